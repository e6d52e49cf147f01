"""`graph`: a perturbation of a gene is alike to those of its neighbours in a graph that is told beforehand.

In: training data and, if wanted, graphs told beside them. Out: profiles of seen and unseen genes and combinations.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from fitters.checks import Scope
from fitters.contract import Assumption, Claim
from fitters.errors import FitterError, FitterOptionError
from fitters.graph.gene_graphs import CO_EXPRESSION, GeneGraph, check_graph, correlated_weights, gene_graph
from fitters.options import check_choice, check_flags, check_numbers, check_whole_numbers
from fitters.pooled_responses import PooledResponses, pooled_responses
from fitters.profile_fit import ProfileFit
from fitters.results import LossHistory
from fitters.training.batches import RowLabels
from fitters.training.cells import CellTable
from fitters.training.checkpoint import fingerprint_of
from fitters.training.devices import one_thread, seeded
from fitters.training.loop import train
from fitters.training.options import TrainedFitter
from fitters.training_data import TrainingData

if TYPE_CHECKING:
    from fitters.graph.graph_module import GraphNet

RESPONSES = ("autofocus", "mse")


@dataclass(frozen=True, eq=False, kw_only=True)
class Graph(TrainedFitter):
    """Embeddings of genes and of perturbations, each refined over a graph, decoded gene by gene, as in GEARS.

    Equations, for G measured genes, T genes that can be perturbed (these G and targets that are not measured), width H;
    MLPs have one hidden layer with a rectifier, of H units unless said otherwise:

    - message passing on a graph with weights W: ``X <- A X Theta + b``, A = D^-1/2 (W + I) D^-1/2, D the row sums of
      W + I; `prior_layers` or `gene_layers` times, with rectifiers between. W is symmetric: graphs are undirected, and
      each gene is its own neighbour
    - genes (G, H): ``h = MLP(relu(E) + 0.2 X)`` with E and X embeddings that are learned, X after the gene graph
    - perturbations (T, H): ``u``, embeddings that are learned and begin at 0, after the prior graph; of targets p
      ``q_p = MLP(sum over t in p of u_t)``, of which the last layer begins at 0 too
    - a state for each gene: ``a_pg = h_g + q_p``, and h_g alone where nothing is perturbed: ``q = 0`` there, not the
      MLP of an empty sum
    - its own head: ``v_pg = <w_g, MLP(relu(a_pg))> + b_g``, 2H hidden units, w (G, H)
    - the cross-gene layer: ``d_pg = c_g v_pg + <r_g, MLP(v_p)>``, v_p (G,) into H, r (G, H)
    - change: ``x_pg = d_pg - d_g of no perturbation + m [g in p]``, m one number for all targets, which begins at the
      mean of their observed changes
    - prediction: control's log profile + x_p, not below 0; genes that the controls have too few counts of do not change

    Loss, y the observed change of a pool of cells from the controls of its batch (see `pooled_responses`), x the
    predicted one, means over pools and measured genes:

    - "response": ``mean |x - y|^(2 + gamma)`` (autofocus), or the mean squared error
    - "direction": ``mean (sign y - tanh(x / direction_scale))^2``
    - "contrast_matched", "contrast_pooled": mean squared errors of changes from the controls of the same batch, and
      from those of all batches; not in use unless the option `losses` names them

    The co-expression graph joins genes whose changes correlate between pools: |r| above `threshold`, of each gene the
    `neighbours` strongest and those of which it is one; its weights are |r|. A graph that is told has weights 1, all of
    its edges, and no directions.

    Source: Y. Roohani, K. Huang, J. Leskovec, "Predicting transcriptional outcomes of novel multigene perturbations
    with GEARS", Nature Biotechnology 42 (2024), 927-935, and its released code. Message passing: F. Wu et al.,
    "Simplifying graph convolutional networks", ICML 2019, one step for each layer, as there.

    Differences: the prior graph is not that of Gene Ontology but one that is told, or of co-expression. Rows are pools
    of cells, not cells, and responses are taken from the controls of the same batch, not from any control cell; that is
    why batches may differ. The sign of a prediction has no slope, so that the direction term of the released code moves
    no parameter: here it is a tanh. Embeddings of perturbations and what is made of them begin at 0, not at random: an
    unseen gene without neighbours is an average perturbation, and a training that stops early stays near to no change.
    Nothing is normalised by mini-batch, and embeddings have no longest length. What is predicted of controls, to which
    no q is added here as there, is taken off, so that they are predicted exactly. Targets have a change m in common;
    the first version of the code marks them by a vector, the last does not. Pools, not perturbations, weigh alike.
    There is no estimate of uncertainty.

    Args:
        prior: graph of perturbations: "co-expression", "none", or the name of a graph that the data come with.
        gene_graph: graph of genes, likewise.
        response: "autofocus" or "mse".
        gamma: above 2, the exponent of "autofocus"; at least 0.
        direction_scale: change of the log profile that counts as one that has a direction, above 0.
        width: H.
        prior_layers: rounds of message passing on the prior graph, at least 1.
        gene_layers: the same on the gene graph.
        mark_targets: whether m is learned; it is 0 otherwise.
        cells_per_pool: cells of a pool; 1: single cells.
        threshold: least |r| of the co-expression graph, at least 0 and below 1.
        neighbours: partners of a gene there, at least 1.
        weight_decay: of Adam, at least 0.

    The others are those of `TrainedFitter`.

    Raises:
        FitterOptionError: an option out of range.
    """

    name: ClassVar[str] = "graph"
    family: ClassVar[str] = "graph"
    claims: ClassVar[frozenset[Claim]] = frozenset({Claim.MEAN, Claim.UNSEEN_GENE, Claim.COMBINATION})
    assumptions: ClassVar[frozenset[Assumption]] = frozenset({Assumption.TIMELESS, Assumption.MEDIUM_FREE})
    source: ClassVar[str] = "Roohani, Huang & Leskovec, Nature Biotechnology 42 (2024), 927-935"
    terms: ClassVar[Mapping[str, float]] = {
        "response": 1.0,
        "direction": 1e-3,
        "contrast_matched": 0.0,
        "contrast_pooled": 0.0,
    }

    prior: str = CO_EXPRESSION
    gene_graph: str = CO_EXPRESSION
    response: str = "autofocus"
    gamma: float = 2.0
    direction_scale: float = 0.1
    width: int = 32
    prior_layers: int = 1
    gene_layers: int = 1
    mark_targets: bool = True
    cells_per_pool: int = 50
    threshold: float = 0.4
    neighbours: int = 20
    weight_decay: float = 0.0
    learning_rate: float = 5e-3
    epochs: int = 200
    patience: int = 50
    batching: str = "perturbation"
    batch_size: int = 32

    def __post_init__(self) -> None:
        super().__post_init__()
        for option in ("prior", "gene_graph"):
            value = getattr(self, option)
            if not (isinstance(value, str) and value):
                raise FitterOptionError.value(self.name, option, value, "co-expression, none or the name of a graph")
        check_choice(self, "response", among=RESPONSES)
        check_whole_numbers(self, "width", "prior_layers", "gene_layers", "cells_per_pool", "neighbours", at_least=1)
        check_numbers(self, "gamma", "weight_decay", at_least=0)
        check_numbers(self, "direction_scale", above=0)
        check_numbers(self, "threshold", at_least=0, below=1)
        check_flags(self, "mark_targets")

    def fit(self, data: TrainingData, *, seed: int) -> GraphFit:
        """Return the fit.

        Raises:
            FitterError: controls only; controls with too few counts of every gene; a graph that the data lack (naming
                those that they have), or that has no edge between two of their genes; a training that diverges.
        """
        if not data.perturbations:
            raise FitterError(self.name, "the training data have no perturbation")
        for option in ("prior", "gene_graph"):
            check_graph(getattr(self, option), option=option, data=data, fitter=self.name)
        table = CellTable.of(data)
        responses = pooled_responses(table, cells_per_pool=self.cells_per_pool)
        responses.check_measured(fitter=self.name)
        targets = (*table.genes, *sorted(set(table.targets) - set(table.genes)))
        genes, prior = self._graphs(data, table, responses, targets)
        net, history = self._trained(table, responses, targets, genes, prior, seed=seed)
        return GraphFit(
            fitter=self.name,
            claims=self.claims,
            scope=Scope.of(data),
            control=data.control,
            notes=(prior.note, genes.note, responses.note("perturbed cells")),
            history=history,
            net=net,
            row={gene: number for number, gene in enumerate(targets)},
            column=table.column,
            measured=responses.measured,
        )

    def _graphs(
        self, data: TrainingData, table: CellTable, responses: PooledResponses, targets: tuple[str, ...]
    ) -> tuple[GeneGraph, GeneGraph]:
        """Return the graphs of genes and of targets; targets that are not measured have no co-expression."""
        n_genes = len(table.genes)
        correlated = np.zeros((len(targets), len(targets)))
        correlated[:n_genes, :n_genes] = correlated_weights(
            responses.matched, threshold=self.threshold, neighbours=self.neighbours
        )

        def graph(option: str, names: tuple[str, ...]) -> GeneGraph:
            among = correlated[: len(names), : len(names)]
            name = getattr(self, option)
            return gene_graph(name, names, option=option, data=data, correlated=among, fitter=self.name)

        return graph("gene_graph", table.genes), graph("prior", targets)

    def _trained(
        self,
        table: CellTable,
        responses: PooledResponses,
        targets: tuple[str, ...],
        genes: GeneGraph,
        prior: GeneGraph,
        *,
        seed: int,
    ) -> tuple[GraphNet, LossHistory]:
        from fitters.graph.graph_module import GraphNet, GraphObjective

        design = np.zeros((len(table.conditions), len(targets)))
        design[:, [targets.index(target) for target in table.targets]] = table.design
        is_target = design[responses.condition, : len(table.genes)] > 0
        with seeded(seed, 0):
            net = GraphNet(
                genes.normalised,
                prior.normalised,
                width=self.width,
                gene_layers=self.gene_layers,
                prior_layers=self.prior_layers,
                own_change=float(responses.matched[is_target].mean()) if self.mark_targets and is_target.any() else 0.0,
                mark_targets=self.mark_targets,
            )
        objective = GraphObjective(
            net,
            responses,
            design,
            response=self.response,
            gamma=float(self.gamma),
            direction_scale=float(self.direction_scale),
            weight_decay=float(self.weight_decay),
            decays=self.optimiser == "adam",
        )
        held_out = table.held_out(self.held_out, seed=seed)[responses.condition]
        graphs = hashlib.blake2b(genes.weight.tobytes() + prior.weight.tobytes()).hexdigest()
        history = train(
            objective,
            RowLabels(responses.condition, responses.batch, held_out),
            self,
            weights=self.weights,
            seed=seed,
            fingerprint=fingerprint_of(table, repr(self), seed, graphs),
        )
        return net.to("cpu").eval(), history


@dataclass(frozen=True, eq=False, kw_only=True)
class GraphFit(ProfileFit):
    """A fitted network.

    Args:
        net: the network, on the CPU.
        row: row of each gene among those that can be perturbed.
        column: (G,) columns of the network's genes, which are sorted by name, in the training data.
        measured: (G,) whether each of them, sorted, may change.
    """

    net: GraphNet
    row: Mapping[str, int] = field(repr=False)
    column: NDArray[np.intp]
    measured: NDArray[np.bool_]

    def profile(self, targets: tuple[str, ...]) -> NDArray[np.float64]:
        """Return the control's log profile and the predicted change, shape (G,), not below 0."""
        import torch

        if not targets:
            return self.control
        design = torch.zeros(1, len(self.row))
        design[0, [self.row[target] for target in targets]] = 1.0
        with torch.no_grad(), one_thread():
            change = self.net(design)[0].numpy().astype(np.float64)
        profile = self.control.copy()
        profile[self.column] += np.where(self.measured, change, 0.0)
        return np.maximum(profile, 0.0)
