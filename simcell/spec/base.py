"""What all specification models share: strictness about keys and types, and the small types of their fields.

A model here is what a user writes in a file; it holds no arrays and does no work.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from simcell.errors import nearest
from simcell.network import gene_name_rule
from simcell.spec.errors import problem, problems


class SpecModel(BaseModel):
    """A section of a file: unknown keys are refused and the nearest known one is suggested; values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, data: Any) -> Any:
        # pydantic would refuse unknown keys too, but does not say which are known
        if isinstance(data, dict):
            known = list(cls.model_fields)
            unknown = [key for key in data if key not in known]
            if unknown:
                allowed = f"; allowed: {', '.join(known)}"
                raise problems([(str(key), key, f"a known key{nearest(str(key), known)}{allowed}") for key in unknown])
        return data


def _integral(value: Any) -> Any:
    # 1e5 cells is a natural thing to write, and YAML reads it as a float
    return int(value) if isinstance(value, float) and math.isfinite(value) and value.is_integer() else value


def _name(value: str) -> str:
    if not value or not all(character.isalnum() or character in "_.-" for character in value) or value[0] in ".-":
        raise ValueError("a name of letters, digits, '_', '-' and '.' that starts with a letter or digit")
    return value


def _gene(value: str) -> str:
    allowed = gene_name_rule(value)
    if allowed:
        raise ValueError(allowed)
    return value


def _sign(value: Any) -> Any:
    return {"+": 1, "+1": 1, "-": -1, "-1": -1}.get(value, value) if isinstance(value, str) else value


Whole = Annotated[int, BeforeValidator(_integral), Field(strict=True)]
Count = Annotated[Whole, Field(ge=1)]
Number = Annotated[float, Field(strict=True)]
Positive = Annotated[Number, Field(gt=0)]
NonNegative = Annotated[Number, Field(ge=0)]
Sigma = Annotated[Number, Field(ge=0, le=5)]  # of a natural logarithm: 5 is a factor of 150 either way
Fraction = Annotated[Number, Field(ge=0, le=1)]
Flag = Annotated[bool, Field(strict=True)]
Name = Annotated[str, AfterValidator(_name)]
Gene = Annotated[str, AfterValidator(_gene)]
Sign = Annotated[Literal[1, -1], BeforeValidator(_sign), WithJsonSchema({"enum": [1, -1, "+", "-"]})]


class LogNormal(SpecModel):
    """A lognormal distribution over genes, edges or guides."""

    median: Positive = Field(description="median, in the unit of the quantity")
    sigma: Sigma = Field(description="standard deviation of the natural logarithm; 0 makes all alike")


class Spread(SpecModel):
    """A lognormal factor of median 1."""

    sigma: Sigma = Field(description="standard deviation of the natural logarithm; 0 makes all factors 1")


class Range(SpecModel):
    """Two ends of a range of numbers; equal ends make all alike."""

    low: Number = Field(description="lower end")
    high: Number = Field(description="upper end")

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if self.high < self.low:
            raise problem("high", self.high, f">= low ({self.low:g})")
        return self


class OpenUnitRange(Range):
    """A range of numbers inside the open interval (0, 1)."""

    low: Annotated[Number, Field(gt=0, lt=1)] = Field(description="lower end, in (0, 1)")
    high: Annotated[Number, Field(gt=0, lt=1)] = Field(description="upper end, in (0, 1)")


class FoldRange(Range):
    """A range of fold changes above 1."""

    low: Annotated[Number, Field(gt=1)] = Field(description="lower end, > 1")
    high: Annotated[Number, Field(gt=1)] = Field(description="upper end, > 1")


class PositiveRange(Range):
    """A range of positive numbers."""

    low: Positive = Field(description="lower end, > 0")
    high: Positive = Field(description="upper end, > 0")
