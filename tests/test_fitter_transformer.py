"""`transformer`: it learns from unperturbed cells which genes go together, from perturbed ones what follows."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from helpers_transformer import FAST, GENES, MODULE, SEEN, atlas_of_modules, changes, screen_of_modules

import fitters.attention.transformer_module as module
from fitters.attention.expression_rows import Scale, pooled_fractions
from fitters.attention.transformer import Transformer
from fitters.attention.transformer_variants import FrozenTransformer, RankTransformer
from fitters.base import Query, TrainingData, checked_fit
from simcell.profiles import log_profile


def predicted(
    data: TrainingData, *labels: str, seed: int = 0, fitter: type[Transformer] = Transformer, **options: Any
) -> Any:
    fitted = checked_fit(fitter(**FAST | options), data, seed=seed)
    return fitted.predict(Query.of_labels(labels)).profile


# rows


def test_pools_are_of_one_group_and_hold_every_cell_once() -> None:
    from scipy.sparse import csr_array

    rng = np.random.default_rng(0)
    counts, group = rng.poisson(3.0, (31, 4)), rng.integers(0, 3, 31)
    counts[5] = 0
    found, of = pooled_fractions(csr_array(counts), group, cells_per_pool=4)
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    kept = [counts[(group == number) & (counts.sum(axis=1) > 0)] for number in range(3)]
    assert [int((of == number).sum()) for number in range(3)] == [round(len(each) / 4) for each in kept]
    alone, _ = pooled_fractions(csr_array(counts), group, cells_per_pool=1000)
    for number, each in enumerate(kept):
        np.testing.assert_allclose(alone[number], each.sum(axis=0) / each.sum())


def test_scales_are_standardised_levels_or_ranks() -> None:
    rng = np.random.default_rng(1)
    fractions = rng.dirichlet(np.arange(1.0, 6.0), 200)
    values = Scale.of(fractions, ranks=False)(fractions)
    np.testing.assert_allclose(values.mean(axis=0), 0.0, atol=1e-5)
    np.testing.assert_allclose(values.std(axis=0), 1.0, atol=1e-5)
    scale = Scale.of(fractions, ranks=True)
    ranks = scale(fractions)
    assert np.allclose(np.sort(ranks, axis=1), np.linspace(-0.8, 0.8, 5))
    np.testing.assert_array_equal(np.argsort(ranks[0]), np.argsort(log_profile(fractions)[0] - scale.mean))


# pretraining


@pytest.mark.parametrize("tokens", ["values", "ranks"])
def test_pretraining_fills_in_what_is_hidden_better_than_the_genes_mean(
    tokens: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = screen_of_modules(atlas=atlas_of_modules())

    def error() -> float:
        history = Transformer(**FAST, tokens=tokens, decoding="frozen-ridge").fit(data, seed=0).history
        assert history.stage == "pretraining" and history.terms == ("masked_expression",)
        assert history.held_out is not None
        return float(history.held_out[history.best_epoch - 1, 0])

    ignorant = 1.0  # a guess at the gene that has a rank
    if tokens == "values":  # the gene's mean, for the rows that are held out
        fractions, _ = pooled_fractions(data.knowledge.atlas.counts, np.arange(500) % 2, cells_per_pool=1)
        ignorant = float((Scale.of(fractions, ranks=False)(fractions)[1::10] ** 2).mean())
    assert error() < {"values": 0.3, "ranks": 0.85}[tokens] * ignorant
    # a planted bug: tokens see themselves alone
    monkeypatch.setattr(module, "scaled_dot_product_attention", lambda query, key, value: value)
    assert error() > 0.93 * ignorant


def test_what_it_is_pretrained_on_is_said_and_kept_as_an_earlier_stage() -> None:
    atlas = atlas_of_modules(n_cells=100)
    told, untold = screen_of_modules(atlas=atlas, cells=5), screen_of_modules(cells=5)
    short = {"pretraining_epochs": 1, "epochs": 1}
    fits = {
        (kind, data is told): Transformer(**FAST | short, pretraining=kind).fit(data, seed=0)
        for kind in ("auto", "controls", "none")
        for data in (told, untold)
    }
    said = {key: fitted.notes[0] for key, fitted in fits.items()}
    assert said["auto", True].startswith("pretrained on 100 atlas cells of 2 tissues")
    assert said["auto", False] == said["controls", True] == said["controls", False]
    assert said["controls", True].startswith("pretrained on 50 control cells")
    assert said["none", True] == "not pretrained"
    earlier = fits["auto", True].history.earlier
    assert [history.stage for history in earlier] == ["pretraining"] and earlier[0].terms == ("masked_expression",)
    assert fits["auto", True].history.terms == ("response",)
    assert fits["none", True].history.earlier == ()


@pytest.mark.parametrize("decoding", ["fine-tuned", "frozen-ridge"])
def test_pretraining_on_an_atlas_tells_what_an_unseen_gene_does(decoding: str) -> None:
    """Which module a gene is of stands in the atlas alone, since it is never perturbed; each of 4 unseen genes."""
    data = screen_of_modules(atlas=atlas_of_modules())
    unseen = GENES[SEEN:]

    def separation(**options: Any) -> list[float]:
        """Return by how much more the own module falls than the other one, over the truth; of each unseen gene."""
        found = predicted(data, *unseen, decoding=decoding, **options) - data.control
        rest = [np.delete(np.arange(16), GENES.index(gene)) for gene in unseen]
        gaps = [
            row[others][MODULE[others] != MODULE[GENES.index(gene)]].mean()
            - row[others][MODULE[others] == MODULE[GENES.index(gene)]].mean()
            for row, others, gene in zip(found, rest, unseen, strict=True)
        ]
        return [float(gap / -np.log(0.67)) for gap in gaps]

    assert all(0.7 < gap < 1.4 for gap in separation())
    assert min(separation(pretraining="none")) < 0.3


# perturbation tokens


def test_a_flag_on_a_token_reaches_all_genes(monkeypatch: pytest.MonkeyPatch) -> None:
    data = screen_of_modules()
    options: dict[str, Any] = {"pretraining": "none"}

    def error() -> float:
        found = predicted(data, *GENES[:SEEN], **options)
        truth = np.stack([log_profile(changes(gene) / changes(gene).sum()) for gene in GENES[:SEEN]])
        mean = truth.mean(axis=0)
        return float(((found - truth) ** 2).sum() / ((truth - mean) ** 2).sum())

    assert error() < 0.3
    forward = module.GeneTransformer.forward
    monkeypatch.setattr(  # a planted bug: flags are not looked at
        module.GeneTransformer,
        "forward",
        lambda self, genes, levels, *, flags=None, masked=None: forward(self, genes, levels, masked=masked),
    )
    assert error() > 0.9


def test_combinations_flag_all_their_targets_and_no_target_is_the_control() -> None:
    data = screen_of_modules()
    found = predicted(data, "G00+G01", "control", pretraining="none")
    fall = found[0] - data.control
    assert (fall[:2] < -0.3).all()
    np.testing.assert_array_equal(found[1], data.control)


@pytest.mark.parametrize("fitter", [Transformer, RankTransformer, FrozenTransformer])
def test_the_order_of_genes_and_cells_is_of_no_account(fitter: type[Transformer]) -> None:
    data = screen_of_modules(atlas=atlas_of_modules(n_cells=100), cells=5)
    short = {"pretraining_epochs": 2, "epochs": 2}
    rng = np.random.default_rng(3)
    genes, cells = rng.permutation(16), rng.permutation(data.n_cells)
    other = TrainingData.from_arrays(
        data.counts.toarray()[np.ix_(cells, genes)],
        genes=np.array(GENES)[genes],
        perturbation=data.perturbation[cells],
        knowledge=data.knowledge,
    )
    expected = predicted(data, "G00", "G13", "G01+G02", fitter=fitter, **short)
    found = predicted(other, "G00", "G13", "G01+G02", fitter=fitter, **short)
    np.testing.assert_allclose(found, expected[:, genes], atol=1e-9)


def test_the_network_has_no_order_of_tokens() -> None:
    import torch

    torch_rng = torch.Generator().manual_seed(0)
    net = module.GeneTransformer(6, width=8, layers=2, heads=2, ranks=False).eval()
    levels, flags = torch.randn(3, 6, generator=torch_rng), torch.eye(6)[:3]
    order = torch.tensor([4, 2, 0, 1, 5, 3])
    with torch.no_grad():
        whole = net(torch.arange(6), levels, flags=flags)
        turned = net(order, levels[:, order], flags=flags[:, order])
    torch.testing.assert_close(turned, whole[:, order])


def test_targets_that_are_not_measured_have_a_token() -> None:
    data = screen_of_modules()
    kept = [column for column in range(16) if column not in (0, 1)]
    fewer = TrainingData.from_arrays(
        data.counts.toarray()[:, kept], genes=np.array(GENES)[kept], perturbation=data.perturbation
    )
    found = predicted(fewer, "G00", "G01", pretraining="none") - fewer.control
    of = MODULE[kept]
    assert found[0][of == 0].mean() < found[0][of == 1].mean() - 0.15
    assert found[1][of == 1].mean() < found[1][of == 0].mean() - 0.15


def test_fits_are_the_same_bits_and_can_be_pickled() -> None:
    data = screen_of_modules(atlas=atlas_of_modules(n_cells=100), cells=5)
    one, other = (Transformer(**FAST | {"pretraining_epochs": 2, "epochs": 2}).fit(data, seed=5) for _ in range(2))
    query = Query.of_labels(["G00", "G15"])
    np.testing.assert_array_equal(one.predict(query).profile, other.predict(query).profile)
    np.testing.assert_array_equal(one.predict(query).profile, pickle.loads(pickle.dumps(one)).predict(query).profile)


# frozen


@pytest.mark.parametrize("frozen", ["perturbations", "genes", "both"])
def test_frozen_decoding_is_a_ridge_by_hand(frozen: str) -> None:
    data = screen_of_modules(atlas=atlas_of_modules(n_cells=200))
    fitter = FrozenTransformer(**FAST | {"pretraining_epochs": 2}, frozen=frozen, penalty=0.3)
    fitted: Any = fitter.fit(data, seed=0)
    labels = data.conditions
    profiles = np.stack([data.pseudobulk.row(label) for label in labels], axis=1)
    y = profiles - data.control[:, None]

    def principal(table: np.ndarray) -> np.ndarray:
        u, s, _ = np.linalg.svd(table - table.mean(axis=0), full_matrices=False)
        return u[:, :4] * s[:4]

    from fitters.attention.pretraining import pretrained
    from fitters.training.cells import CellTable

    told = principal(pretrained(fitter, data, CellTable.of(data), seed=0).embedding())
    taught = principal(profiles)
    g = told if frozen in ("genes", "both") else taught
    embedding = told if frozen in ("perturbations", "both") else taught
    rows = [[GENES.index(label)] if label in GENES else [] for label in labels]
    p = np.stack([embedding[row].sum(axis=0) for row in rows], axis=1)
    b = y.mean(axis=1)
    ridge = 0.3 * np.eye(4)
    w = np.linalg.inv(g.T @ g + ridge) @ g.T @ (y - b[:, None]) @ p.T @ np.linalg.inv(p @ p.T + ridge)
    expected = g @ w @ embedding[[3, 14]].T + (b + data.control)[:, None]
    np.testing.assert_allclose(fitted.predict(Query.of_labels(["G03", "G14"])).profile, expected.T, atol=1e-8)
