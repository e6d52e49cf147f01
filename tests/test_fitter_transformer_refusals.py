"""`transformer` and its variants: terms of the loss that they have, and what they refuse before any work."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers_transformer import FAST, GENES, screen_of_modules

import fitters.attention.transformer_module as module
from fitters.attention.transformer import Transformer
from fitters.attention.transformer_variants import FrozenTransformer, RankTransformer
from fitters.base import TrainingData
from fitters.errors import FitterError, FitterOptionError, TrainingDataError
from fitters.knowledge import Atlas, Knowledge


def test_terms_that_are_named_are_recorded() -> None:
    data = screen_of_modules(cells=5)
    options = FAST | {"pretraining": "none", "epochs": 2}
    history = Transformer(**options, losses={"contrast_matched": 0.0, "contrast_pooled": 0.5}).fit(data, seed=0).history
    assert history.terms == ("response", "contrast_matched", "contrast_pooled")
    np.testing.assert_allclose(history.training[:, 0], history.training[:, 1])  # one error by two names
    np.testing.assert_allclose(history.training[:, 0], history.training[:, 2], rtol=1e-4)  # and of one batch, by three


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pretraining": "cells"}, "option pretraining: 'cells' is not one of auto, atlas, controls, none"),
        ({"tokens": "bins"}, "option tokens: 'bins' is not one of values, ranks"),
        ({"decoding": "ridge"}, "option decoding: 'ridge' is not one of fine-tuned, frozen-ridge"),
        ({"frozen": "all"}, "option frozen: 'all' is not one of perturbations, genes, both"),
        ({"width": 30, "heads": 4}, r"option width: 30 is not a multiple of heads \(4\)"),
        ({"layers": 0}, "option layers: 0 is not a whole number >= 1"),
        ({"masked_share": 1.0}, "option masked_share: 1.0 is not"),
        ({"penalty": 0}, "option penalty: 0 is not"),
        ({"losses": {"kl": 1.0}}, "option losses: 'kl' is not a term of its loss"),
        ({"losses": {"response": -1.0}}, "option losses.response: -1.0 is not a weight >= 0"),
        ({"losses": {"masked_expression": 0.0}}, "option losses.masked_expression: 0 is not above 0"),
        ({"losses": {"response": 0.0}}, "option losses: {'response': 0.0} is not a mapping that leaves fine-tuning a "),
        (
            {"decoding": "frozen-ridge", "losses": {"response": 3}},
            "option losses: 'response' is not a term of its loss ",
        ),
    ],
)
def test_bad_options_are_refused_before_any_work(options: dict[str, Any], message: str) -> None:
    with pytest.raises(FitterOptionError, match=f"^fitter transformer: {message}"):
        Transformer(**options)


def test_frozen_decoding_has_one_term() -> None:
    message = (
        "fitter frozen-transformer: option losses: 'contrast_matched' is not a term of its loss with decoding "
        "frozen-ridge; that is masked_expression"
    )
    with pytest.raises(FitterOptionError) as error:
        FrozenTransformer(losses={"contrast_matched": 5, "response": 3})
    assert str(error.value) == message
    assert FrozenTransformer(losses={"masked_expression": 2.0}).weights == {"masked_expression": 2.0}


@pytest.mark.parametrize("fitter", [Transformer, RankTransformer])
def test_controls_with_too_few_counts_of_every_gene_are_refused_before_pretraining(
    fitter: type[Transformer], monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = np.full((40, 16), 50)
    counts[0] = np.arange(16) % 3
    labels = ["control", *(GENES[number % 3] for number in range(39))]
    data = TrainingData.from_arrays(counts, genes=GENES, perturbation=labels)
    refused = rf"^fitter {fitter.name}: no gene is counted often enough in the controls to be compared with: each has"
    with monkeypatch.context() as patched, pytest.raises(FitterError, match=refused):
        patched.setattr(module.MaskedExpression, "terms", None)  # nothing is trained
        fitter(**FAST).fit(data, seed=0)
    counts[0, 5] = 50  # one gene is enough, though most steps draw none that was measured
    data = TrainingData.from_arrays(counts, genes=GENES, perturbation=labels)
    fitted: Any = fitter(**FAST | {"epochs": 3, "genes_per_step": 2}).fit(data, seed=0)
    assert np.isfinite(fitted.history.training).all() and fitted.measured.sum() == 1
    assert fitted.notes[-1] == "3 pools of perturbed cells, of 13 in the median"


def test_the_checkpoint_of_fine_tuning_is_refused_before_pretraining(tmp_path: Path) -> None:
    data = screen_of_modules(cells=3)
    (tmp_path / "fit.pt").write_text("no checkpoint")
    told = r"^fitter transformer: option checkpoint: '.*fit\.pt' is not a checkpoint of transformer \("
    with pytest.raises(FitterError, match=told):
        Transformer(**FAST, checkpoint=str(tmp_path / "fit.pt")).fit(data, seed=0)
    assert [file.name for file in tmp_path.iterdir()] == ["fit.pt"]  # no file of pretraining
    frozen = {"checkpoint": str(tmp_path / "fit.pt"), "pretraining_epochs": 1}
    FrozenTransformer(**FAST | frozen).fit(data, seed=0)  # it has no fine-tuning
    assert sorted(file.name for file in tmp_path.iterdir()) == ["fit.pt", "fit.pt.pretraining"]


def test_an_atlas_that_is_not_there_or_lacks_a_gene_is_refused_by_name() -> None:
    data = screen_of_modules(cells=3)
    with pytest.raises(FitterError, match=r"^fitter transformer: option pretraining: 'atlas', but the data come"):
        Transformer(pretraining="atlas").fit(data, seed=0)
    atlas = Atlas(GENES[1:], np.ones((4, 15), int), np.array(["t"] * 4))
    with pytest.raises(TrainingDataError, match=r"knowledge\.atlas: it has no gene 'G00'"):
        Transformer(**FAST).fit(replace(data, knowledge=Knowledge(atlas=atlas)), seed=0)
    lonely = TrainingData.from_arrays([[3, 4]], genes=("A", "B"), perturbation=["control"])
    with pytest.raises(FitterError, match=r"^fitter transformer: the training data have no perturbation"):
        Transformer().fit(lonely, seed=0)
