"""Parts of `graph`, by hand: normalised graphs, messages along edges only, the network, terms of the loss, pools."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from fitters.base import FitterError, TrainingData
from fitters.graph.gene_graphs import GeneGraph, correlated_weights, gene_graph, told_weights
from fitters.graph.graph_module import GraphNet, GraphObjective, MessagePassing, autofocus, direction
from fitters.knowledge import Knowledge, PriorGraph
from fitters.pooled_responses import PooledResponses, pooled_responses
from fitters.training.cells import CellTable
from fitters.training.objective import Moment
from simcell.profiles import log_profile

FloatArray = NDArray[np.float64]
GENES = ("A", "B", "C", "D")
CHAIN = PriorGraph((("A", "B"), ("C", "B"), ("B", "C"), ("A", "A"), ("A", "X")), "a chain")  # A - B - C, D alone


def matrix(graph: PriorGraph = CHAIN, genes: tuple[str, ...] = GENES) -> FloatArray:
    return GeneGraph(told_weights(graph, genes), "").normalised


def net(seed: int = 0, *, layers: int = 1, n_targets: int = 5, genes: FloatArray | None = None) -> GraphNet:
    """Return a network of four genes and a fifth that can be perturbed, of which no parameter is 0."""
    torch.manual_seed(seed)
    prior = matrix(genes=(*GENES, "E")[:n_targets])
    found = GraphNet(
        matrix() if genes is None else genes,
        prior,
        width=6,
        gene_layers=1,
        prior_layers=layers,
        own_change=-0.7,
        mark_targets=True,
    )
    with torch.no_grad():
        for parameter in (found.perturbation, *found.fuse[-1].parameters(), found.head_bias):
            parameter.normal_()
    return found


def design(*targets: tuple[int, ...], n_targets: int = 5) -> torch.Tensor:
    found = torch.zeros(len(targets), n_targets)
    for row, columns in enumerate(targets):
        found[row, list(columns)] = 1.0
    return found


# graphs


def test_a_chain_of_three_genes_is_normalised_by_hand() -> None:
    """Degrees, each gene its own neighbour: A 2, B 3, C 2, D 1. Edges have no direction, and count once."""
    ab = 1 / np.sqrt(6)
    expected = [[1 / 2, ab, 0, 0], [ab, 1 / 3, ab, 0], [0, ab, 1 / 2, 0], [0, 0, 0, 1]]
    np.testing.assert_allclose(matrix(), expected, rtol=1e-12)


def test_messages_on_a_chain_by_hand() -> None:
    """A X Theta + b with Theta = 2 and b = 1; with two rounds, a rectifier between."""
    passing = MessagePassing(matrix(genes=("A", "B", "C")), width=1, layers=2)
    with torch.no_grad():
        for name, parameter in passing.named_parameters():
            parameter.fill_(2.0 if name.endswith("weight") else 1.0)
        found = passing(torch.tensor([[3.0], [0.0], [-9.0]]))[:, 0]
    r = 1 / np.sqrt(6)
    first = [2 * (3 / 2) + 1, 2 * (3 * r - 9 * r) + 1, 2 * (-9 / 2) + 1]  # 4, -3.9, -8
    a, b, c = (max(value, 0.0) for value in first)
    np.testing.assert_allclose(
        found, [2 * (a / 2 + b * r) + 1, 2 * (a * r + b / 3 + c * r) + 1, 2 * (b * r + c / 2) + 1], rtol=1e-5
    )


@pytest.mark.parametrize(("layers", "heard"), [(1, {0, 1}), (2, {0, 1, 2})])
def test_a_perturbation_hears_the_genes_that_edges_lead_to_and_no_others(layers: int, heard: set[int]) -> None:
    """Of A: itself and B in one round, C in two; D and E never. D hears itself alone."""
    model = net(layers=layers)
    for target, expected in ((0, heard), (3, {3})):
        model.zero_grad()
        model(design((target,))).square().sum().backward()
        reached = model.perturbation.grad
        assert reached is not None
        assert set(torch.nonzero(reached.abs().sum(1))[:, 0].tolist()) == expected


def test_without_edges_a_gene_hears_itself() -> None:
    np.testing.assert_array_equal(GeneGraph(np.zeros((3, 3)), "").normalised, np.eye(3))


def test_correlated_genes_are_joined_the_strongest_first() -> None:
    rng = np.random.default_rng(0)
    common, other = rng.normal(size=(2, 400))
    noise = rng.normal(size=(400, 5)) * [0.1, 0.2, 0.5, 0.1, 0.0]
    changes = np.stack([common, -common, common, other, np.zeros(400)], axis=1) + noise
    r = np.abs(np.corrcoef(changes[:, :4].T))
    found = correlated_weights(changes, threshold=0.4, neighbours=1)
    expected = np.zeros((5, 5))  # 0 and 1 have each other; 2 has 0; 3 has nobody; 4 does not vary
    expected[0, 1] = expected[1, 0] = r[0, 1]
    expected[0, 2] = expected[2, 0] = r[0, 2]
    np.testing.assert_allclose(found, expected, atol=1e-8)
    assert (correlated_weights(changes, threshold=0.4, neighbours=2) > 0).sum() == 6
    assert not correlated_weights(changes, threshold=0.999, neighbours=2).any()


def test_a_graph_that_is_not_there_is_refused_with_those_that_are() -> None:
    def asked(name: str, **graphs: PriorGraph) -> GeneGraph:
        data = TrainingData.from_arrays(
            [[1, 1, 1, 1]], genes=GENES, perturbation=["control"], knowledge=Knowledge(graphs=graphs)
        )
        return gene_graph(name, GENES, option="prior", data=data, correlated=np.ones((4, 4)), fitter="graph")

    with pytest.raises(FitterError) as error:
        asked("ture", true=CHAIN, half=CHAIN)
    assert str(error.value) == (
        "fitter graph: option prior: 'ture' is not co-expression, none or the name of a graph (did you mean 'true'?); "
        "the training data have true, half"
    )
    with pytest.raises(FitterError, match=r"'true' is not .*; the training data have none$"):
        asked("true")
    with pytest.raises(FitterError, match="no edge of graph 'other' joins two genes of the training data"):
        asked("other", other=PriorGraph((("A", "X"), ("A", "A"))))
    assert asked("true", true=CHAIN).note == (
        "prior 'true' (a chain): 2 undirected edges, 1 of its genes unknown to the data"
    )


# the network


def test_a_prediction_by_the_equations() -> None:
    """Every layer written out, in numpy and in the order of the docstring; the second perturbation has two targets."""
    model = net().double()
    value: dict[str, FloatArray] = {name: parameter.detach().numpy() for name, parameter in model.named_parameters()}

    def linear(x: FloatArray, name: str) -> FloatArray:
        found: FloatArray = x @ value[f"{name}.weight"].T + value[f"{name}.bias"]
        return found

    def perceptron(x: FloatArray, first: str, second: str) -> FloatArray:
        return linear(np.maximum(linear(x, first), 0), second)

    position = linear(matrix() @ value["position"], "gene_graph.layers.0")
    h = perceptron(np.maximum(value["own"], 0) + 0.2 * position, "gene.0", "gene.2")
    u = linear(matrix(genes=(*GENES, "E")) @ value["perturbation"], "prior_graph.layers.0")
    expected = []
    for targets in ((1,), (0, 4), None):
        a = h if targets is None else h + perceptron(u[list(targets)].sum(axis=0), "fuse.0", "fuse.2")
        v = (value["head"] * perceptron(np.maximum(a, 0), "decode_in", "decode_out")).sum(axis=1) + value["head_bias"]
        expected.append(value["last"] * v + value["last_cross"] @ perceptron(v, "cross.0", "cross.2"))
    changes = np.array(expected[:2]) - expected[2]
    changes[0, 1] -= 0.7
    changes[1, 0] -= 0.7
    with torch.no_grad():
        found = model(design((1,), (0, 4)).double()).numpy()
    np.testing.assert_allclose(found, changes, rtol=1e-6, atol=1e-7)  # buffers were made of 32 bits


def test_genes_in_another_order_are_answered_in_that_order() -> None:
    model, moved, order = net(), net(n_targets=5), [2, 0, 3, 1]
    state = model.state_dict()
    for name in ("own", "position", "head", "head_bias", "last", "last_cross"):
        state[name] = state[name][order]
    state["perturbation"] = state["perturbation"][[*order, 4]]
    state["cross.0.weight"] = state["cross.0.weight"][:, order]
    moved.load_state_dict(state)
    names = tuple(GENES[position] for position in order)
    moved.gene_graph.matrix = torch.as_tensor(matrix(genes=names), dtype=torch.float32)
    moved.prior_graph.matrix = torch.as_tensor(matrix(genes=(*names, "E")), dtype=torch.float32)
    with torch.no_grad():
        expected = model(design((2,), (0, 1), (4,)))[:, order]
        found = moved(design((0,), (1, 3), (4,)))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    with torch.no_grad():  # a graph that is not moved with the genes is found out
        moved.prior_graph.matrix = model.prior_graph.matrix
        assert not torch.allclose(moved(design((0,), (1, 3), (4,))), expected, rtol=1e-3, atol=1e-3)


def test_at_first_targets_fall_and_nothing_else_changes() -> None:
    torch.manual_seed(1)
    fresh = GraphNet(matrix(), matrix(), width=4, gene_layers=1, prior_layers=1, own_change=-0.5, mark_targets=True)
    with torch.no_grad():
        found = fresh(design((1,), (0, 2), n_targets=4))
    torch.testing.assert_close(found, torch.tensor([[0, -0.5, 0, 0], [-0.5, 0, -0.5, 0]]))


# the loss


def test_terms_by_hand() -> None:
    predicted = torch.tensor([[1.0, 0.0], [-0.2, 0.3]])
    observed = torch.tensor([[0.0, 2.0], [-0.2, -0.2]])
    assert autofocus(predicted, observed, exponent=4.0).item() == pytest.approx((1 + 16 + 0 + 0.0625) / 4)
    assert autofocus(predicted, observed, exponent=3.0).item() == pytest.approx((1 + 8 + 0 + 0.125) / 4)
    signs = [0 - np.tanh(2.0), 1 - 0, -1 - np.tanh(-0.4), -1 - np.tanh(0.6)]
    assert direction(predicted, observed, scale=0.5).item() == pytest.approx(np.square(signs).mean(), rel=1e-6)
    # as the scale falls it is the term of the original, (sign y - sign x)^2
    assert direction(predicted, observed, scale=1e-6).item() == pytest.approx((1 + 1 + 0 + 4) / 4)


@pytest.mark.parametrize("term", ["autofocus", "direction"])
def test_terms_have_the_slopes_of_their_differences(term: str) -> None:
    torch.manual_seed(3)
    predicted = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    observed = torch.randn(5, 4, dtype=torch.float64)
    functions: dict[str, Any] = {
        "autofocus": lambda x: autofocus(x, observed, exponent=4.0),
        "direction": lambda x: direction(x, observed, scale=0.3),
    }
    assert torch.autograd.gradcheck(functions[term], (predicted,))


def responses(n_genes: int = 4) -> PooledResponses:
    rng = np.random.default_rng(4)
    matched, pooled = rng.normal(size=(2, 6, n_genes))
    measured = np.array([True, True, False, True])
    return PooledResponses(np.array([2, 0, 1, 2, 2, 1]), np.zeros(6, np.intp), matched, pooled, measured, np.full(6, 3))


def objective(model: GraphNet, **options: Any) -> GraphObjective:
    given: dict[str, Any] = {"response": "autofocus", "gamma": 2.0, "direction_scale": 0.1} | options
    table = design((0,), (1, 2), (4,)).numpy().astype(np.float64)
    return GraphObjective(model, responses(), table, weight_decay=0.0, decays=True, **given)


def test_terms_of_the_objective_are_those_of_its_rows_over_measured_genes() -> None:
    model, rows = net(), torch.tensor([3, 1, 5])
    found = objective(model).terms(rows, Moment(0, 0.0))
    with torch.no_grad():
        predicted = model(design((4,), (0,), (1, 2))).numpy()[:, [0, 1, 3]]  # the conditions of rows 3, 1 and 5
    given = responses()
    matched, pooled = given.matched[[3, 1, 5]][:, [0, 1, 3]], given.pooled[[3, 1, 5]][:, [0, 1, 3]]
    expected = {
        "response": ((predicted - matched) ** 4).mean(),
        "direction": ((np.sign(matched) - np.tanh(predicted / 0.1)) ** 2).mean(),
        "contrast_matched": ((predicted - matched) ** 2).mean(),
        "contrast_pooled": ((predicted - pooled) ** 2).mean(),
    }
    assert {name: value.item() for name, value in found.items()} == pytest.approx(expected, rel=1e-4)
    squared = objective(model, response="mse").terms(rows, Moment(0, 0.0))
    assert squared["response"].item() == pytest.approx(expected["contrast_matched"], rel=1e-4)
    cubed = objective(model, gamma=1.0).terms(rows, Moment(0, 0.0))
    assert cubed["response"].item() == pytest.approx((np.abs(predicted - matched) ** 3).mean(), rel=1e-4)


# pools


def table(counts: Any, labels: list[str], batches: list[str]) -> CellTable:
    genes = [f"G{number}" for number in range(np.shape(counts)[1])]
    return CellTable.of(TrainingData.from_arrays(counts, genes=genes, perturbation=labels, batch=batches))


def test_changes_are_those_of_log_profiles_from_the_batch_s_own_controls() -> None:
    """In the second batch gene 0 is captured half as well: matched changes do not know it, pooled ones do."""
    control, perturbed = np.array([400, 300, 200, 100]), np.array([100, 300, 400, 200])
    half = np.array([0.5, 1, 1, 1])
    counts = [control, control * half, perturbed, perturbed * half]
    found = pooled_responses(table(counts, ["control", "control", "G0", "G0"], ["a", "b", "a", "b"]), cells_per_pool=50)
    assert found.condition.tolist() == [0, 0]
    assert found.batch.tolist() == [0, 1]
    np.testing.assert_allclose(found.matched[0], found.matched[1], rtol=1e-9)
    everywhere = control + control * half
    expected = log_profile(everywhere * perturbed / control) - log_profile(everywhere)
    np.testing.assert_allclose(found.matched[0], expected, rtol=1e-9)
    controls = (log_profile(control) + log_profile(control * half)) / 2
    np.testing.assert_allclose(found.pooled, log_profile(np.array(counts[2:])) - controls, rtol=1e-9)
    assert abs(found.pooled[0] - found.pooled[1]).max() > 0.3


def test_pools_are_of_about_equal_size_and_hold_every_cell_once() -> None:
    rng = np.random.default_rng(5)
    labels = ["control"] * 20 + ["G0"] * 23 + ["G1"] * 2
    counts = rng.poisson(50.0, (45, 3))
    for size, n_pools in ((10, 2 + 1), (1, 25), (1000, 2)):
        found = pooled_responses(table(counts, labels, ["a"] * 45), cells_per_pool=size)
        assert len(found) == n_pools and found.n_cells.sum() == 25
    assert sorted(found.n_cells) == [2, 23] and found.note("cells") == "2 pools of cells, of 12.5 in the median"
    singles = pooled_responses(table(counts, labels, ["a"] * 45), cells_per_pool=1)
    controls = log_profile(counts[:20]).mean(axis=0)
    expected = np.sort((log_profile(counts[43:]) - controls)[:, 0])
    # both sides are of one cell: only the levels of the conditions, of some 100 counts, tell their biases apart
    np.testing.assert_allclose(np.sort(singles.pooled[singles.condition == 1][:, 0]), expected, atol=1e-5)


def test_genes_that_controls_lack_do_not_change() -> None:
    counts = [[500, 300, 3, 0], [500, 300, 40, 7]]
    found = pooled_responses(table(counts, ["control", "G0"], ["a", "a"]), cells_per_pool=5)
    assert found.measured.tolist() == [True, True, False, False]
    np.testing.assert_array_equal(found.matched[0, 2:], 0.0)
    np.testing.assert_array_equal(found.pooled[0, 2:], 0.0)
