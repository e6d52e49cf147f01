"""The network of `graph` and its loss, as torch modules.

In: graphs as normalised matrices, pooled responses. Out: `GraphNet`, from targets to changes of log profiles, and
`GraphObjective`, its terms on pools.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from fitters.losses import contrast, squared_error
from fitters.pooled_responses import FloatArray, PooledResponses
from fitters.training.objective import Moment

POSITION_WEIGHT = 0.2  # of what a gene's neighbours say of it, beside what is its own; as in the original


class MessagePassing(nn.Module):
    """Graph convolutions ``X <- A X W + b``, a rectifier between two of them; A (n, n) is given, W (H, H) learned."""

    def __init__(self, matrix: FloatArray, *, width: int, layers: int) -> None:
        super().__init__()
        self.matrix: Tensor
        self.register_buffer("matrix", torch.as_tensor(matrix, dtype=torch.float32), persistent=False)
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(layers))

    def forward(self, embedding: Tensor) -> Tensor:
        """Return (n, H) embeddings that have heard their neighbours."""
        for number, layer in enumerate(self.layers):
            embedding = layer(self.matrix @ (embedding.relu() if number else embedding))
        return embedding


class GraphNet(nn.Module):
    """See `fitters.graph.graph.Graph` for its equations.

    Args:
        gene_matrix: (G, G) normalised graph of the measured genes.
        prior_matrix: (T, T) normalised graph of the genes that can be perturbed, of which the first G are those.
        width: H.
        gene_layers, prior_layers: convolutions on each graph.
        own_change: what a target changes by beside what the decoder says, at first.
        mark_targets: whether that is learned.
    """

    def __init__(
        self,
        gene_matrix: FloatArray,
        prior_matrix: FloatArray,
        *,
        width: int,
        gene_layers: int,
        prior_layers: int,
        own_change: float,
        mark_targets: bool,
    ) -> None:
        super().__init__()
        n_genes = len(gene_matrix)
        self.own = nn.Parameter(torch.randn(n_genes, width) / width**0.5)
        self.position = nn.Parameter(torch.randn(n_genes, width) / width**0.5)
        self.gene_graph = MessagePassing(gene_matrix, width=width, layers=gene_layers)
        self.gene = _perceptron(width, width, width)
        # from 0: what nobody has taught says nothing to its neighbours
        self.perturbation = nn.Parameter(torch.zeros(len(prior_matrix), width))
        self.prior_graph = MessagePassing(prior_matrix, width=width, layers=prior_layers)
        self.fuse = _perceptron(width, width, width)
        for parameter in self.fuse[-1].parameters():  # at first no perturbation shifts anything
            nn.init.zeros_(parameter)
        self.own_change = nn.Parameter(torch.tensor(own_change), requires_grad=mark_targets)
        self.decode_in, self.decode_out = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.head = nn.Parameter(torch.randn(n_genes, width) / width**0.5)
        self.head_bias = nn.Parameter(torch.zeros(n_genes))
        self.cross = _perceptron(n_genes, width, width)
        self.last = nn.Parameter(torch.ones(n_genes))
        self.last_cross = nn.Parameter(torch.randn(n_genes, width) / width)

    def forward(self, design: Tensor) -> Tensor:
        """Return (C, G) changes of log profiles for C perturbations, of which `design` (C, T) says the targets."""
        genes = self.gene(self.own.relu() + POSITION_WEIGHT * self.gene_graph(self.position))
        # where nothing is perturbed nothing is added: not even what the fusion makes of an empty sum
        shift = self.fuse(design @ self.prior_graph(self.perturbation)) * design.any(dim=1, keepdim=True)
        found = self._decoded(torch.cat([genes + shift[:, None], genes[None]]))
        return found[:-1] - found[-1] + self.own_change * design[:, : len(genes)]

    def _decoded(self, states: Tensor) -> Tensor:
        """Return (C, G) values of states (C, G, H), by the head of each gene and then with all genes in sight."""
        hidden = self.decode_in(states.relu()).relu()
        # <head, W hidden + b> as <head W, hidden> + <head, b>: (C, G, H) need not be made
        weight, bias = self.head @ self.decode_out.weight, self.head @ self.decode_out.bias + self.head_bias
        value = torch.einsum("cgk,gk->cg", hidden, weight) + bias
        return value * self.last + self.cross(value) @ self.last_cross.T


class GraphObjective(nn.Module):
    """The loss of `graph`: rows are pools of perturbed cells.

    Args:
        net: the network; it is trained in place.
        responses: P pools.
        design: (C, T) targets of every condition.
        response: "autofocus" or "mse".
        gamma, direction_scale: see `Graph`.
        weight_decay: of Adam.
        decays: whether the optimiser takes it.
    """

    stopping = ("response",)

    def __init__(
        self,
        net: GraphNet,
        responses: PooledResponses,
        design: FloatArray,
        *,
        response: str,
        gamma: float,
        direction_scale: float,
        weight_decay: float,
        decays: bool,
    ) -> None:
        super().__init__()
        self.net = net
        self.exponent = 2.0 + gamma if response == "autofocus" else 2.0
        self.direction_scale, self.weight_decay, self.decays = direction_scale, weight_decay, decays
        self.condition: Tensor
        self.design: Tensor
        self.matched: Tensor
        self.pooled: Tensor
        self.measured: Tensor
        for name, value in (("condition", responses.condition), ("measured", responses.measured)):
            self.register_buffer(name, torch.as_tensor(value), persistent=False)
        for name, table in (("design", design), ("matched", responses.matched), ("pooled", responses.pooled)):
            self.register_buffer(name, torch.as_tensor(table, dtype=torch.float32), persistent=False)

    def parameter_groups(self) -> Sequence[Tensor] | Sequence[dict[str, object]]:
        """Return what is learned; L-BFGS takes no groups."""
        learned = [value for value in self.net.parameters() if value.requires_grad]
        return [{"params": learned, "weight_decay": self.weight_decay}] if self.decays else learned

    def terms(self, rows: Tensor, moment: Moment) -> Mapping[str, Tensor]:
        """Return every term on some pools; each of their conditions is passed through the network once."""
        conditions, which = torch.unique(self.condition[rows], return_inverse=True)
        predicted = self.net(self.design[conditions])[which][:, self.measured]
        matched, pooled = self.matched[rows][:, self.measured], self.pooled[rows][:, self.measured]
        none = torch.zeros((), device=predicted.device)
        return {
            "response": autofocus(predicted, matched, exponent=self.exponent),
            "direction": direction(predicted, matched, scale=self.direction_scale),
            "contrast_matched": squared_error(predicted, matched),
            "contrast_pooled": contrast(predicted, none, pooled, none),
        }


def autofocus(predicted: Tensor, observed: Tensor, *, exponent: float) -> Tensor:
    """Return the mean of |predicted - observed|^exponent: errors that are large weigh more the larger the exponent."""
    return ((predicted - observed).abs() ** exponent).mean()


def direction(predicted: Tensor, observed: Tensor, *, scale: float) -> Tensor:
    """Return the mean of (sign(observed) - tanh(predicted / scale))^2, of changes: between 0 and 4."""
    return ((observed.sign() - torch.tanh(predicted / scale)) ** 2).mean()


def _perceptron(n_in: int, n_hidden: int, n_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(n_in, n_hidden), nn.ReLU(), nn.Linear(n_hidden, n_out))
