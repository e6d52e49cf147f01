"""The steps of an experiment as a user writes them; a new step is one more class and its name in `ProtocolStep`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from simcell.spec.base import Name, Positive, SpecModel


class TransduceStep(SpecModel):
    """Bring the constructs of the library into the cells."""

    step: Literal["transduce"]
    moi: Annotated[Positive, Field(le=100)] | None = Field(
        None, description="multiplicity of infection: mean number of constructs per cell; null: exactly one each"
    )


class CultureStep(SpecModel):
    """Keep the cells in a medium for a time."""

    step: Literal["culture"]
    medium: Name = Field("base", description="name of a medium, from media")
    hours: Annotated[Positive, Field(le=100_000)] = Field(description="duration, hours")


class SampleStep(SpecModel):
    """Take an equal share of the cells of every batch and sequence them; the others go on."""

    step: Literal["sample"]


class HarvestStep(SpecModel):
    """Take the cells that are left and sequence them: the end of the experiment."""

    step: Literal["harvest"]


ProtocolStep = Annotated[TransduceStep | CultureStep | SampleStep | HarvestStep, Field(discriminator="step")]
