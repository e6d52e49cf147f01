"""The fitter `graph`: a world in which neighbours have the same effect, what is learnt, sound answers, refusals."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fitters.base import CheckedFit, FitterError, FitterOptionError, Query, TrainingData, checked_fit
from fitters.graph.gene_graphs import GeneGraph
from fitters.graph.graph import Graph
from fitters.knowledge import Knowledge, PriorGraph

FloatArray = NDArray[np.float64]
QUICK: dict[str, Any] = {"epochs": 8, "width": 8}


def fit(data: TrainingData, *, seed: int = 0, **options: Any) -> CheckedFit:
    return checked_fit(Graph(**options), data, seed=seed)


def predict(data: TrainingData, *labels: str, **options: Any) -> FloatArray:
    return fit(data, **options).predict(Query.of_labels(labels)).profile


def screen(seed: int, *, knowledge: Knowledge | None = None, effect: float = 0.5) -> TrainingData:
    """Return a screen of eight conditions, two batches and twelve genes; each target falls to a fifth."""
    rng = np.random.default_rng(seed)
    labels = ("control", "G0", "G1", "G2", "G3", "G4", "G0+G1", "G2+G5")
    mean = rng.gamma(2.0, 30.0, 12) * rng.lognormal(0.0, effect, (8, 12)) + 5.0
    for row, label in enumerate(labels[1:], start=1):
        for target in label.split("+"):
            mean[row, int(target[1:])] = mean[0, int(target[1:])] / 5
    each = np.repeat(np.arange(8), 12)
    batch = np.where(np.arange(96) % 2, "a", "b")
    genes = tuple(f"G{gene}" for gene in range(12))
    return TrainingData.from_arrays(
        rng.poisson(mean[each]) + 1,
        genes=genes,
        perturbation=[labels[row] for row in each],
        batch=batch,
        knowledge=knowledge,
    )


# a world in which the effect of a gene is that of its neighbour

PAIRS = [(f"A{number:02}", f"B{number:02}") for number in range(12)]


def world_of_pairs(seed: int) -> tuple[TrainingData, FloatArray]:
    """Return a screen without noise of twelve genes A, and the true profiles of their neighbours B, never perturbed.

    Log changes of 40 genes are linear in two dimensions of which each pair has its own place. The graphs: "true" joins
    A to B of the same pair; in "corrupted" each B is joined to another pair's A, and no edge is true.
    """
    rng = np.random.default_rng(seed)
    genes = (*(gene for pair in PAIRS for gene in pair), *(f"R{number:02}" for number in range(40)))
    change = np.zeros((13, len(genes)))
    change[1:, 24:] = rng.normal(size=(12, 2)) @ rng.normal(size=(2, 40)) * 0.4
    control = rng.uniform(0.5, 2.0, len(genes))
    counts = np.rint(1e6 * control * np.exp(change))
    shifted = [(a, PAIRS[(number + 5) % 12][1]) for number, (a, _) in enumerate(PAIRS)]
    knowledge = Knowledge(graphs={"true": PriorGraph(tuple(PAIRS)), "corrupted": PriorGraph(tuple(shifted))})
    labels = ["control", *(a for a, _ in PAIRS)]
    data = TrainingData.from_arrays(counts, genes=genes, perturbation=labels, knowledge=knowledge)
    return data, np.stack([data.pseudobulk.row(a) for a, _ in PAIRS])


def explained(prior: str) -> float:
    """Return the share of the variance of the unseen genes' profiles, between them, that is predicted."""
    data, truth = world_of_pairs(1)
    options: dict[str, Any] = {"response": "mse", "held_out": 0.0, "epochs": 150, "gene_graph": "none", "width": 16}
    found = predict(data, *(b for _, b in PAIRS), prior=prior, **options)
    return 1.0 - float(((found - truth) ** 2).sum() / ((truth - truth.mean(axis=0)) ** 2).sum())


def test_the_true_graph_predicts_unseen_genes_and_a_corrupted_one_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert explained("true") > 0.9
    assert explained("corrupted") < 0.1
    assert explained("none") < 0.1
    monkeypatch.setattr(GeneGraph, "normalised", property(lambda graph: np.eye(len(graph.weight))))  # planted: ignored
    assert explained("true") < 0.1


# what it answers


def test_a_control_is_the_control_and_genes_that_are_not_measured_do_not_change() -> None:
    data = screen(1)
    counts = data.counts.toarray()
    counts[:, 7] = 0
    silent = TrainingData.from_arrays(counts, genes=data.genes, perturbation=data.perturbation, batch=data.batch)
    found = predict(silent, "control", "G0", "G9", **QUICK)
    np.testing.assert_array_equal(found[0], silent.control)
    np.testing.assert_array_equal(found[:, 7], 0.0)
    assert (found >= 0).all() and not np.allclose(found[1], silent.control)


def largest_change_of_no_perturbation(*, fused: bool = False) -> float:
    """Return the largest predicted change where nothing is perturbed, by a network of which no parameter is 0.

    Planted where `fused`: a perturbation of next to nothing has for q what the fusion makes of an empty sum.
    """
    torch = pytest.importorskip("torch")
    from fitters.graph.graph_module import GraphNet

    torch.manual_seed(0)
    net = GraphNet(np.eye(4), np.eye(5), width=6, gene_layers=1, prior_layers=1, own_change=-0.7, mark_targets=True)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.normal_()
        found = net(torch.cat([torch.eye(5), torch.full((1, 5), 1e-30 if fused else 0.0)]))
    assert float(found[:5].abs().max()) > 0.5
    return float(found[5].abs().max())


def test_no_perturbation_predicts_no_change() -> None:
    assert largest_change_of_no_perturbation() < 1e-4
    assert largest_change_of_no_perturbation(fused=True) > 0.1


def test_the_change_of_targets_carries_over_to_unseen_ones_unless_told_not_to() -> None:
    data = screen(2, effect=0.0)
    own = np.mean([data.pseudobulk.row(f"G{g}")[g] - data.control[g] for g in range(5)])
    expected = float(predict(data, "G9", **QUICK)[0, 9] - data.control[9])
    assert expected == pytest.approx(own, abs=0.35) and own < -1
    without = predict(data, "G9", mark_targets=False, **QUICK)[0, 9] - data.control[9]
    assert abs(without) < 0.5


def test_effects_of_single_perturbations_and_combinations_are_learnt() -> None:
    """Of 40 genes without noise, with pairs that add: singles are fitted, and unseen pairs near to their sums."""
    rng = np.random.default_rng(3)
    genes = tuple(f"G{number:02}" for number in range(40))
    change = rng.normal(0.0, 0.4, (8, 40))
    pairs = [(a, b) for a in range(8) for b in range(a) if (a + b) % 3]
    labels = ["control", *genes[:8], *(f"{genes[b]}+{genes[a]}" for a, b in pairs)]
    logs = np.vstack([np.zeros(40), change, *(change[a] + change[b] for a, b in pairs)])
    counts = np.rint(1e5 * rng.uniform(0.5, 2.0, 40) * np.exp(logs))
    data = TrainingData.from_arrays(counts, genes=genes, perturbation=labels)
    keep = np.array([label not in ("G00+G01", "G02+G05", "G04+G07") for label in labels])
    held = [label for label, kept in zip(labels, keep, strict=True) if not kept]
    assert len(held) == 3
    training = data.take(np.flatnonzero(keep))
    options: dict[str, Any] = {"held_out": 0.0, "epochs": 300, "width": 16, "prior": "none", "response": "mse"}
    fitted = fit(training, **options)

    def agreement(asked: list[str], *, with_rows: int = 0) -> float:
        found = fitted.predict(Query.of_labels(asked)).profile - training.control
        truth = np.stack([data.pseudobulk.row(label) for label in asked]) - data.control
        return float(np.corrcoef(found.ravel(), np.roll(truth, with_rows, axis=0).ravel())[0, 1])

    assert agreement(list(genes[:8])) > 0.95 > 0.3 > agreement(list(genes[:8]), with_rows=1)
    assert agreement(held) > 0.5 > 0.3 > agreement(held, with_rows=1)


def test_order_of_genes_and_cells_is_of_no_account_and_a_fit_can_be_saved() -> None:
    data = screen(4, knowledge=Knowledge(graphs={"told": PriorGraph((("G0", "G7"), ("G3", "G1"), ("G9", "G2")))}))
    rng = np.random.default_rng(0)
    column, cell = rng.permutation(12), rng.permutation(96)
    moved = TrainingData.from_arrays(
        data.counts[cell][:, column],
        genes=[data.genes[gene] for gene in column],
        perturbation=data.perturbation[cell],
        batch=data.batch[cell],
        knowledge=data.knowledge,
    )
    query = Query.of_labels(["G0", "G7", "G0+G9"])
    for options in ({}, {"prior": "told"}, {"gene_graph": "told", "prior_layers": 2}):
        fitted = fit(data, **QUICK, **options)
        expected = fitted.predict(query).profile
        np.testing.assert_array_equal(predict(moved, *query.labels, **QUICK, **options), expected[:, column])
        again = pickle.loads(pickle.dumps(fitted))
        np.testing.assert_array_equal(again.predict(query).profile, expected)
    assert not np.array_equal(fit(data, seed=1, **QUICK).predict(query).profile, expected)


def test_the_graph_is_named_and_every_term_recorded() -> None:
    told = PriorGraph((("G0", "G7"), ("X", "G1")), "from a friend")
    data = screen(5, knowledge=Knowledge(graphs={"told": told}))
    fitted = fit(data, prior="told", losses={"contrast_pooled": 0.5, "contrast_matched": 0}, **QUICK).fit
    assert fitted.notes[0] == "prior 'told' (from a friend): 1 undirected edges, 1 of its genes unknown to the data"
    assert fitted.history.terms == ("response", "direction", "contrast_matched", "contrast_pooled")
    assert fitted.history.weight.tolist() == [1.0, 1e-3, 0.0, 0.5]
    assert np.isfinite(fitted.history.training).all()


def test_lbfgs_and_single_cells_are_taken_too() -> None:
    data = screen(6)
    fitted = fit(data, optimiser="lbfgs", learning_rate=0.5, cells_per_pool=1, **(QUICK | {"epochs": 3})).fit
    assert "84 pools of perturbed cells, of 1 in the median" in fitted.notes
    assert fitted.history.training[-1, 0] < fitted.history.training[0, 0]


def test_weight_decay_makes_weights_small() -> None:
    data = screen(7)
    sizes = [
        sum(float(p.detach().square().sum()) for p in fit(data, weight_decay=decay, **QUICK).fit.net.parameters())
        for decay in (0.0, 1.0)
    ]
    assert sizes[1] < 0.9 * sizes[0]


# what it refuses


def test_graphs_that_the_data_lack_are_refused_before_any_work() -> None:
    data = screen(8, knowledge=Knowledge(graphs={"true": PriorGraph((("G0", "G1"),))}))
    options: list[dict[str, Any]] = [{"prior": "half"}, {"gene_graph": "half"}]
    for option in options:
        with pytest.raises(FitterError) as error:
            fit(data, **option)
        assert str(error.value) == (
            f"fitter graph: option {next(iter(option))}: 'half' is not co-expression, none or the name of a graph; "
            "the training data have true"
        )


def test_controls_only_are_refused_by_name() -> None:
    data = TrainingData.from_arrays([[4, 1]], genes=("A", "B"), perturbation=["control"])
    with pytest.raises(FitterError, match=r"^fitter graph: the training data have no perturbation"):
        fit(data)


def test_controls_with_too_few_counts_of_every_gene_are_refused_by_name() -> None:
    counts = np.full((40, 6), 50)
    counts[0] = [3, 1, 0, 2, 0, 1]
    labels = ["control", *(f"G{number % 3}" for number in range(39))]
    data = TrainingData.from_arrays(counts, genes=[f"G{number}" for number in range(6)], perturbation=labels)
    with pytest.raises(FitterError, match=r"^fitter graph: no gene is counted often enough in the controls to be comp"):
        fit(data)
    counts[0, 5] = 50  # one gene is enough
    data = TrainingData.from_arrays(counts, genes=data.genes, perturbation=labels)
    fitted = fit(data, **QUICK).fit
    assert fitted.notes[-1] == "3 pools of perturbed cells, of 13 in the median"
    assert np.isfinite(fitted.history.training).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prior": ""}, "option prior: '' is not co-expression, none or the name of a graph"),
        ({"gene_graph": None}, "option gene_graph: None is not co-expression, none or the name of a graph"),
        ({"response": "nb"}, "option response: 'nb' is not one of autofocus, mse"),
        ({"gamma": -1.0}, "option gamma: -1.0 is not a number >= 0"),
        ({"direction_scale": 0}, "option direction_scale: 0 is not a number > 0"),
        ({"width": 0}, "option width: 0 is not a whole number >= 1"),
        ({"prior_layers": 0}, "option prior_layers: 0 is not a whole number >= 1"),
        ({"cells_per_pool": 2.5}, "option cells_per_pool: 2.5 is not a whole number >= 1"),
        ({"threshold": 1.0}, "option threshold: 1.0 is not a number >= 0 and < 1"),
        ({"mark_targets": "yes"}, "option mark_targets: 'yes' is not true or false"),
        ({"losses": {"autofocus": 1.0}}, "option losses: 'autofocus' is not a term of its loss"),
        ({"losses": {"direction": -1.0}}, "option losses.direction: -1.0 is not a weight >= 0"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(FitterOptionError) as error:
        Graph(**options)
    assert str(error.value).startswith(f"fitter graph: {message}")
