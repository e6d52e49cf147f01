"""How a specification describes a guide library: what is targeted, by how many guides, and how well guides work."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from simcell.errors import nearest
from simcell.spec.base import Count, Flag, Fraction, Gene, NonNegative, Number, Positive, SpecModel, Whole
from simcell.spec.errors import problem


class Efficacy(SpecModel):
    """Beta distribution of guide efficacy: the part of the full effect that a guide reaches."""

    mean: Fraction = Field(description="mean efficacy, in [0, 1]")
    concentration: Positive | None = Field(
        None, description="sum of the two parameters of the beta distribution; null: all guides have the mean"
    )


class Onset(SpecModel):
    """How the effect of a guide sets in: nothing until the lag is over, then exponentially."""

    lag_hours: NonNegative = Field(description="hours after transduction without effect")
    time_constant_hours: NonNegative = Field(description="hours in which 63% of the effect sets in; 0: all at once")


class SampledTargets(SpecModel):
    """A number of genes drawn by the seed."""

    count: Count = Field(description="number of genes to target")
    among: Literal["all", "regulators"] = Field("all", description="which genes to draw from")


def _shape(value: Any) -> str:
    """Return the tag of the alternative that a value belongs to by its type alone, so that only that one reports."""
    if isinstance(value, dict | SpecModel):
        return "<mapping>"
    return "<names>" if isinstance(value, list | tuple) else "<word>"


def _word_or_number(value: Any) -> str:
    return "<word>" if isinstance(value, str) else "<number>"


def _word(*words: str, others: str) -> BeforeValidator:
    """Return the check of an alternative that is a word, whose error also names the other alternatives."""

    def check(value: Any) -> Any:
        if value not in words:
            hint = nearest(value, words) if isinstance(value, str) else ""
            raise ValueError(f"one of {', '.join(words)}, {others}{hint}")
        return value

    return BeforeValidator(check)


_TARGET_WORD = _word("all", "regulators", others="{count: n, among: all|regulators} or a list of genes")
GeneNames = Annotated[tuple[Gene, ...], Field(min_length=1)]
TargetChoice = Annotated[
    Annotated[Literal["all", "regulators"], _TARGET_WORD, Tag("<word>")]
    | Annotated[SampledTargets, Tag("<mapping>")]
    | Annotated[GeneNames, Tag("<names>")],
    Discriminator(_shape),
]
CountOrAll = Annotated[
    Annotated[Literal["all"], _word("all", others="or a whole number"), Tag("<word>")]
    | Annotated[Count, Tag("<number>")],
    Discriminator(_word_or_number),
]
TargetsOrNames = Annotated[
    Annotated[Literal["targets"], _word("targets", others="or a list of genes"), Tag("<word>")]
    | Annotated[GeneNames, Tag("<names>")],
    Discriminator(lambda value: "<names>" if _shape(value) == "<names>" else "<word>"),
]


class Combinations(SpecModel):
    """Constructs that perturb several genes of one cell at once."""

    order: Annotated[Whole, Field(ge=2)] = Field(2, description="number of genes per combination")
    count: CountOrAll = Field("all", description="number of combinations, drawn by the seed; all: every one")
    among: TargetsOrNames = Field(
        "targets", description="genes that are combined: the targets of the library, or a list of names"
    )


class LibrarySpec(SpecModel):
    """The guides, and the constructs that carry them into cells."""

    modality: Literal["crispri", "crispra", "knockout"] = Field("crispri", description="what a guide does to its gene")
    targets: TargetChoice = Field(
        "all", description="genes to target: all, regulators, {count: n, among: all|regulators}, or a list of names"
    )
    guides_per_target: Count = Field(2, description="number of guides per gene")
    non_targeting: Count = Field(10, description="number of non-targeting guides, the controls")
    control_fraction: Annotated[Number, Field(gt=0, lt=1)] = Field(
        0.1, description="expected fraction of cells that carry a control construct, in (0, 1)"
    )
    efficacy: Efficacy | None = Field(None, description="efficacy of guides; null: the sourced default of the modality")
    fold: Annotated[Number, Field(gt=1)] | None = Field(
        None, description="CRISPRa only: fold increase of transcription at efficacy 1; null: the sourced default"
    )
    onset: Onset | None = Field(None, description="lag and time constant; null: the sourced default of the modality")
    combinations: tuple[Combinations, ...] = Field((), description="combinations of targets, beside the single ones")
    singles: Flag = Field(True, description="whether each target is also perturbed alone")

    @model_validator(mode="after")
    def _consistent(self) -> LibrarySpec:
        if self.fold is not None and self.modality != "crispra":
            raise problem("fold", self.fold, f"used by modality {self.modality}; allowed: null, or modality crispra")
        if not self.singles and not self.combinations:
            raise problem("singles", self.singles, "allowed without combinations: nothing would be perturbed")
        if isinstance(self.targets, tuple) and len(set(self.targets)) < len(self.targets):
            twice = next(gene for gene in self.targets if self.targets.count(gene) > 1)
            raise problem("targets", twice, "named only once")
        for number, combination in enumerate(self.combinations):
            names = combination.among if combination.among != "targets" else self.targets
            available = len(set(names)) if isinstance(names, tuple) else getattr(names, "count", None)
            if isinstance(available, int) and combination.order > available:
                raise problem(f"combinations[{number}].order", combination.order, f"<= {available}, the genes combined")
        return self
