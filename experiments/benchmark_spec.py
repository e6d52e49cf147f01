"""What a user writes in a benchmark file: screens, seeds, splits, fitters and metrics; checked before any work.

In: a YAML file. Out: a `BenchmarkSpec` in which every screen stands in full.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, ValidationError, model_validator

from experiments.controls import CONTROLS
from experiments.digests import each_text, is_file
from experiments.knowledge_spec import KnowledgeSpec
from experiments.metrics import METRICS
from experiments.scoring import ALWAYS, CHANCE, CONTROL_CELLS
from experiments.splits import SPLITS, Split
from simcell.errors import SpecError, nearest
from simcell.spec import ScreenSpec, SpecMessage, SpecModel, load_screen_spec, problem, read_file, spec_error
from simcell.spec.base import Count, Name, Number, Whole

OpenFraction = Annotated[Number, Field(gt=0, lt=1)]


class ScreenFile(SpecModel):
    """A screen that stands in a file of its own."""

    file: str = Field(min_length=1, description="path of a screen's YAML file, relative to the benchmark file")
    set: tuple[str, ...] = Field((), description="values of that file to replace, such as assay.batches=3")


class _SplitSpec(SpecModel):
    kind: str
    name: Name | None = Field(None, description="name in tables; null: that of the kind")

    @property
    def label(self) -> str:
        """Name of the split in tables."""
        return self.name or self.kind

    def split(self, labels: tuple[str, ...], *, seed: int) -> Split:
        """Divide condition labels; SplitError where that cannot be done."""
        options = self.model_dump(exclude={"kind", "name"})
        return SPLITS[self.kind](labels, seed=seed, name=self.label, **options)


class UnseenSingle(_SplitSpec):
    """Single perturbations are held out, and with them all combinations that contain their genes."""

    order: ClassVar[int] = 1  # number of genes of the perturbations that are held out
    kind: Literal["unseen-single"]
    test_fraction: OpenFraction = Field(0.25, description="fraction of the single perturbations to hold out")


class UnseenDouble(_SplitSpec):
    """Double perturbations are held out; all single perturbations are known."""

    order: ClassVar[int] = 2
    kind: Literal["unseen-double"]
    test_fraction: Annotated[Number, Field(gt=0, le=1)] = Field(0.5, description="fraction of the doubles to hold out")


class UnseenK(_SplitSpec):
    """All perturbations of fewer than k genes are known, those of k genes are held out."""

    kind: Literal["unseen-k"]
    order: Annotated[Whole, Field(ge=2)] = Field(2, description="k, the number of genes of held-out perturbations")

    @property
    def label(self) -> str:
        """Name of the split in tables."""
        return self.name or f"unseen-{self.order}"


class FitterSpec(SpecModel):
    """A fitter, perhaps with options."""

    name: str = Field(min_length=1, description="name of a fitter, or path/to/file.py:MyFitter")
    label: Name | None = Field(None, description="name in tables; null: the fitter's own")
    options: dict[str, Any] = Field(
        {}, description="keyword arguments of the fitter; one that names a file is relative to the benchmark file"
    )

    @property
    def title(self) -> str:
        """Name of the fitter in tables."""
        return self.label or self.name.rpartition(":")[2]


def _which_screen(value: Any) -> str:
    found = value.get("file") if isinstance(value, dict) else getattr(value, "file", None)
    return "<file>" if found is not None else "<screen>"


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


def _metric(value: str) -> str:
    if value not in METRICS:
        raise ValueError(f"a metric{nearest(value, METRICS)}; known: {', '.join(METRICS)}")
    return value


Screen = Annotated[
    Annotated[ScreenFile, Tag("<file>")] | Annotated[ScreenSpec, Tag("<screen>")], Discriminator(_which_screen)
]
SplitSpec = Annotated[UnseenSingle | UnseenDouble | UnseenK, Field(discriminator="kind")]
MetricName = Annotated[str, BeforeValidator(_metric)]


class BenchmarkSpec(SpecModel):
    """A benchmark: every fitter on every split of every screen under every seed."""

    name: Name = Field("benchmark", description="title of the report")
    screens: Annotated[tuple[Screen, ...], Field(min_length=1)] = Field(
        description="screens, each in full or as {file: path}"
    )
    seeds: Annotated[tuple[Annotated[Whole, Field(ge=0, lt=2**63)], ...], Field(min_length=1)] = Field(
        (0,), description="each seed draws network, screen and split anew; intervals are over seeds"
    )
    splits: Annotated[tuple[SplitSpec, ...], Field(min_length=1)] = Field(
        description="which perturbations are held out"
    )
    fitters: Annotated[tuple[Annotated[FitterSpec, BeforeValidator(_named)], ...], Field(min_length=1)] = Field(
        description="names of fitters, or {name: ..., label: ..., options: {...}}"
    )
    knowledge: KnowledgeSpec = Field(
        KnowledgeSpec(), description="what fitters are told beside the cells: graphs, an atlas; by default nothing"
    )
    metrics: Annotated[tuple[MetricName, ...], Field(min_length=1)] | None = Field(
        None, description="names of metrics; null: all"
    )
    jobs: Count = Field(1, description="number of tasks that run at once, each in a process of its own")

    @model_validator(mode="after")
    def _different_names(self) -> BenchmarkSpec:
        screens = [screen.name for screen in self.screens if isinstance(screen, ScreenSpec)]
        named: dict[str, list[Any]] = {
            "screens": screens,
            "seeds": list(self.seeds),
            "splits": [split.label for split in self.splits],
            "fitters": [fitter.title for fitter in self.fitters],
            "metrics": list(self.metrics or ()),
        }
        for field, names in named.items():
            for number, name in enumerate(names):
                if name in names[:number]:
                    hint = {"splits": " (give it a name of its own)", "fitters": " (give it a label of its own)"}
                    raise problem(f"{field}[{number}]", name, f"new; each may stand there once{hint.get(field, '')}")
        for number, fitter in enumerate(self.fitters):
            for name in (fitter.name, fitter.title):
                if name in CONTROLS:
                    raise problem(f"fitters[{number}]", name, "a fitter; this control is in every table by itself")
            if fitter.title in (*ALWAYS, CHANCE, CONTROL_CELLS) and (fitter.name != fitter.title or fitter.options):
                allowed = "free: the baseline of this name, without options, is in every table; give it another label"
                raise problem(f"fitters[{number}]", fitter.title, allowed)
        return self

    @property
    def full_screens(self) -> tuple[ScreenSpec, ...]:
        """The screens, once those in files have been read."""
        return tuple(screen for screen in self.screens if isinstance(screen, ScreenSpec))


def load_benchmark_spec(path: str | Path) -> BenchmarkSpec:
    """Return the benchmark of a YAML file, with its screens read from their own files.

    Paths in it (of screens, edge lists, fitters, and files in options of fitters) are relative to the file; they come
    back relative to the working directory. Raises SpecError, naming the field, if the file or one that it names is not
    there or not valid. A text in an option is a path where a file of that name is beside the benchmark file.
    """
    path = Path(path)
    return parse_benchmark_spec(read_file(path), folder=path.parent)


def parse_benchmark_spec(data: dict[str, Any], *, folder: str | Path = ".") -> BenchmarkSpec:
    """Return plain data as a benchmark; paths in it are relative to `folder`. SpecError if it is not valid."""
    spec = _validated(data)
    folder = Path(folder)
    screens = tuple(_in_full(screen, f"screens[{number}]", folder) for number, screen in enumerate(spec.screens))
    fitters = tuple(_found(fitter, folder) for fitter in spec.fitters)
    # Validated again as a whole: names of screens that stood in files may now clash.
    spec = _validated(spec.model_dump() | {"screens": screens, "fitters": fitters})
    _check_splits(spec)
    return spec


def _check_splits(spec: BenchmarkSpec) -> None:
    """Refuse a split for which a screen's library has no perturbations, before anything is simulated."""
    for number, split in enumerate(spec.splits):
        for screen in spec.full_screens:
            library = screen.library
            orders = {combination.order for combination in library.combinations} | ({1} if library.singles else set())
            for needed in (1, split.order):
                if needed not in orders:
                    what = "single perturbations" if needed == 1 else f"combinations of {needed} genes"
                    allowed = f"possible on screen {screen.name!r}: its library has no {what}"
                    raise SpecError(f"splits[{number}]", split.label, allowed)


def _validated(data: dict[str, Any]) -> BenchmarkSpec:
    try:
        return BenchmarkSpec.model_validate(data)
    except ValidationError as error:
        raise spec_error(error, data) from None


def _in_full(screen: ScreenFile | ScreenSpec, field: str, folder: Path) -> ScreenSpec:
    if isinstance(screen, ScreenFile):
        try:
            return load_screen_spec(folder / screen.file, overrides=screen.set)
        except SpecError as error:
            raise SpecMessage(f"{field}.file", str(error)) from None
    edge_list = getattr(screen.network, "path", None)
    if edge_list is None:
        return screen
    if not (folder / edge_list).is_file():
        raise SpecError(f"{field}.network.path", str(folder / edge_list), "an existing file")
    network = screen.network.model_copy(update={"path": str(folder / edge_list)})
    return screen.model_copy(update={"network": network})


def _found(fitter: FitterSpec, folder: Path) -> FitterSpec:
    """Return a fitter whose own file, and files among its options, are looked for in `folder`."""

    def in_folder(text: str) -> str:
        return str(folder / text) if is_file(folder / text) else text

    name = str(folder / fitter.name) if ".py:" in fitter.name else fitter.name
    return fitter.model_copy(update={"name": name, "options": each_text(fitter.options, in_folder)})
