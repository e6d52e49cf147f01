"""The specification of a screen as one model: what a user writes, checked in itself and across its sections."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from simcell.errors import nearest
from simcell.spec.base import Gene, Name, NonNegative, Number, Sign, SpecModel, Whole
from simcell.spec.cell import CellSpec
from simcell.spec.errors import problem
from simcell.spec.library import LibrarySpec
from simcell.spec.measurement import AssaySpec, EngineSpec, OutputSpec, TruthSpec
from simcell.spec.networks import NetworkSpec
from simcell.spec.protocol_steps import CultureStep, HarvestStep, ProtocolStep, SampleStep, TransduceStep

DEFAULT_PROTOCOL: tuple[ProtocolStep, ...] = (
    TransduceStep(step="transduce"),
    CultureStep(step="culture", medium="base", hours=168.0),
    HarvestStep(step="harvest"),
)


class SignalTarget(SpecModel):
    """The effect of a signal on one gene."""

    target: Gene = Field(description="gene whose promoter the signal acts on")
    sign: Sign = Field(description="1: the signal activates; -1: it represses")
    strength: Annotated[Number, Field(gt=1)] | None = Field(
        None, description="fold change at saturation, > 1; null: drawn like the strength of an edge"
    )


class ScreenSpec(SpecModel):
    """A screen, from the network to the output file. All draws follow from the seed."""

    name: Name = Field(description="name of the screen, used in reports and file names")
    seed: Annotated[Whole, Field(ge=0, lt=2**63)] = Field(0, description="root of all random draws")
    network: NetworkSpec = Field(description="who regulates whom")
    cell: CellSpec = Field(CellSpec(), description="regulation and kinetics")
    signals: dict[Name, tuple[SignalTarget, ...]] = Field({}, description="signals of media, and the genes they act on")
    media: Annotated[dict[Name, dict[Name, NonNegative]], Field(min_length=1)] = Field(
        {"base": {}},
        description="media: the level of each signal in each; the wild type is calibrated in the first one",
    )
    library: LibrarySpec = Field(LibrarySpec(), description="guides and constructs")
    protocol: Annotated[tuple[ProtocolStep, ...], Field(min_length=1)] = Field(
        DEFAULT_PROTOCOL, description="steps of the experiment, in order"
    )
    assay: AssaySpec = Field(AssaySpec(), description="measurement")
    engine: EngineSpec = Field(EngineSpec(), description="simulation engine")
    truth: TruthSpec = Field(TruthSpec(), description="precision of the true responses")
    output: OutputSpec = Field(OutputSpec(), description="what is written")

    @property
    def reference_medium(self) -> str:
        """Name of the medium in which the wild type is calibrated: the first one."""
        return next(iter(self.media))

    @model_validator(mode="after")
    def _known_signals(self) -> ScreenSpec:
        for medium, levels in self.media.items():
            for signal in levels:
                if signal not in self.signals:
                    known = ", ".join(self.signals) or "none is defined"
                    hint = nearest(signal, self.signals)
                    raise problem(f"media.{medium}", signal, f"a known signal{hint}; allowed: {known}")
        for signal, edges in self.signals.items():
            targets = [edge.target for edge in edges]
            for number, target in enumerate(targets):
                if target in targets[:number]:
                    raise problem(
                        f"signals.{signal}[{number}].target", target, "new; a signal acts on a gene only once"
                    )
        return self

    @model_validator(mode="after")
    def _sound_protocol(self) -> ScreenSpec:
        last = len(self.protocol) - 1
        transductions = 0
        for number, step in enumerate(self.protocol):
            where = f"protocol[{number}].step"
            if isinstance(step, CultureStep) and step.medium not in self.media:
                allowed = f"one of the media {', '.join(self.media)}{nearest(step.medium, self.media)}"
                raise problem(f"protocol[{number}].medium", step.medium, allowed)
            if isinstance(step, TransduceStep):
                transductions += 1
                if transductions > 1:
                    raise problem(where, step.step, "allowed twice; cells are transduced once")
            if isinstance(step, SampleStep):
                before = self.protocol[number - 1]
                if transductions == 0:
                    raise problem(where, step.step, "allowed here: nothing is perturbed before the transduce step")
                if not isinstance(before, CultureStep):
                    raise problem(where, step.step, "allowed here: a sample is taken after a culture step")
            if isinstance(step, HarvestStep) and number < last:
                raise problem(where, step.step, "allowed here; the harvest is the last step")
        if transductions == 0:
            raise problem("protocol", [step.step for step in self.protocol], "a protocol with a transduce step")
        if isinstance(self.protocol[last - 1], SampleStep) and isinstance(self.protocol[last], HarvestStep):
            raise problem(
                f"protocol[{last}].step", "harvest", "allowed right after a sample: it would be of the same hour"
            )
        if not isinstance(self.protocol[-1], HarvestStep):
            raise problem(f"protocol[{last}].step", self.protocol[-1].step, "harvest, which must be the last step")
        return self
