"""How a specification names a network: a generator with its parameters, a file of edges, or the edges themselves."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from simcell.spec.base import Count, Flag, Fraction, Gene, NonNegative, Number, Positive, Sign, SpecModel, Whole
from simcell.spec.errors import problem


class _RandomNetwork(SpecModel):
    """What the random families have in common."""

    kind: str  # first, so that it is written first
    genes: Annotated[Whole, Field(ge=2)] = Field(200, description="number of genes")
    edges_per_gene: Positive = Field(3.0, description="mean number of regulators per gene")
    regulators: Annotated[Number, Field(gt=0, le=1)] | None = Field(
        None, description="largest fraction of genes that may regulate, in (0, 1]; null: no limit"
    )
    activator_fraction: Fraction = Field(0.5, description="probability that an edge activates rather than represses")


class GroupedScaleFreeNetwork(_RandomNetwork):
    """Scale-free with groups and cycles, after Aguirre et al. (2025, doi 10.1371/journal.pcbi.1013387)."""

    kind: Literal["grouped-scale-free"]
    edges_per_gene: Annotated[Number, Field(ge=1)] = Field(3.0, description="mean number of regulators per gene, >= 1")
    groups: Count = Field(8, description="number of groups of genes, at most the number of genes")
    within_group_affinity: Annotated[Number, Field(ge=1)] = Field(
        10.0,
        description="how many times likelier an edge is inside a group than between groups; 1: groups do not matter",
    )
    in_degree_bias: NonNegative = Field(
        100.0, description="added to a gene's in-degree when a target is drawn; large: in-degrees nearly even"
    )
    out_degree_bias: Positive = Field(
        1.0, description="added to a gene's out-degree when a regulator is drawn; small: out-degrees heavy-tailed"
    )

    @model_validator(mode="after")
    def _no_empty_groups(self) -> GroupedScaleFreeNetwork:
        if self.groups > self.genes:
            raise problem("groups", self.groups, f"<= genes ({self.genes})")
        return self


class ErdosRenyiNetwork(_RandomNetwork):
    """Every edge alike: edges drawn uniformly from all pairs of a regulator and another gene."""

    kind: Literal["erdos-renyi"]


class CascadeNetwork(SpecModel):
    """A chain: each gene acts on the next."""

    kind: Literal["cascade"]
    length: Annotated[Whole, Field(ge=2)] = Field(3, description="number of genes in the chain")
    activating: Flag = Field(True, description="whether each gene activates the next, or represses it")


class FeedForwardLoopNetwork(SpecModel):
    """Three genes: X regulates Y, and both regulate Z."""

    kind: Literal["feed-forward-loop"]
    coherent: Flag = Field(True, description="whether the direct and the indirect path have the same sign")


class ToggleSwitchNetwork(SpecModel):
    """Two genes that repress each other."""

    kind: Literal["toggle-switch"]


class RepressilatorNetwork(SpecModel):
    """Three genes that repress one another in a ring."""

    kind: Literal["repressilator"]


class EdgeListNetwork(SpecModel):
    """A CSV or TSV file with the header regulator,target,sign; signs are +, -, +- and ?."""

    kind: Literal["edge-list"]
    path: Annotated[str, Field(min_length=1)] = Field(
        description="path of the file, relative to the file that names it"
    )


class EdgesNetwork(SpecModel):
    """The edges themselves: what a data set keeps of a network that came from a file, so that it can be replayed."""

    kind: Literal["edges"]
    edges: Annotated[tuple[tuple[Gene, Gene, Sign], ...], Field(min_length=1)] = Field(
        description="[regulator, target, sign] of every edge; sign is 1 (activates) or -1 (represses)"
    )
    genes: tuple[Gene, ...] | None = Field(None, description="all genes, in order; null: those of the edges, sorted")

    @model_validator(mode="after")
    def _consistent(self) -> EdgesNetwork:
        seen: set[tuple[str, str]] = set()
        known = None if self.genes is None else set(self.genes)
        if self.genes is not None and known is not None and len(known) < len(self.genes):
            twice = next(gene for gene in self.genes if self.genes.count(gene) > 1)
            raise problem("genes", twice, "named only once")
        for number, (regulator, target, _) in enumerate(self.edges):
            if (regulator, target) in seen:
                raise problem(f"edges[{number}]", [regulator, target], "new; an edge may stand only once")
            seen.add((regulator, target))
            for gene in (regulator, target):
                if known is not None and gene not in known:
                    raise problem(f"edges[{number}]", gene, "one of the genes of the network")
        return self


NetworkSpec = Annotated[
    GroupedScaleFreeNetwork
    | ErdosRenyiNetwork
    | CascadeNetwork
    | FeedForwardLoopNetwork
    | ToggleSwitchNetwork
    | RepressilatorNetwork
    | EdgeListNetwork
    | EdgesNetwork,
    Field(discriminator="kind"),
]
