"""What a user writes under `knowledge:` in a benchmark file: what fitters are told beside the cells, on purpose."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_validator, model_validator

from simcell.spec import SpecModel, problem
from simcell.spec.base import Count, Fraction, Name

TAKEN = ("co-expression", "none")


class GraphSpec(SpecModel):
    """A graph made from the true network of each data set: as it is, or corrupted."""

    corrupted: Fraction = Field(
        0.0, description="probability with which an edge is replaced by one that is none; 0: the true network"
    )


class AtlasSpec(SpecModel):
    """Unperturbed cells of the same world, simulated once for each screen and seed."""

    cells: Count = Field(20_000, description="number of cells")
    tissues: Count = Field(20, description="number of tissues, whose steady states differ")

    @model_validator(mode="after")
    def _cells_for_each(self) -> AtlasSpec:
        if self.tissues > self.cells:
            raise problem("tissues", self.tissues, f"<= cells ({self.cells})")
        return self


def _names(value: Any) -> Any:
    """Return a mapping with keys that are text: YAML reads true and false as truth values, which nobody means here."""
    if not isinstance(value, dict):
        return value
    return {str(key).lower() if isinstance(key, bool) else key: item for key, item in value.items()}


def _or_defaults(value: Any) -> Any:
    return {} if value is None else value


class KnowledgeSpec(SpecModel):
    """Told to every fitter of the benchmark; what a fitter makes of it is its own affair, and its options'."""

    graphs: Annotated[dict[Name, Annotated[GraphSpec, BeforeValidator(_or_defaults)]], BeforeValidator(_names)] = Field(
        {}, description="graphs by name, each {corrupted: fraction}"
    )
    atlas: AtlasSpec | None = Field(None, description="an atlas of unperturbed cells; {} for one of the default size")

    @field_validator("graphs")
    @classmethod
    def _not_taken(cls, graphs: dict[str, GraphSpec]) -> dict[str, GraphSpec]:
        taken = [name for name in graphs if name in TAKEN]
        if taken:
            raise problem(
                taken[0], taken[0], f"free: by {' and '.join(TAKEN)} fitters mean graphs that nobody told them"
            )
        return graphs

    @property
    def is_empty(self) -> bool:
        """Whether fitters are told nothing."""
        return not self.graphs and self.atlas is None
