"""Which fitters there are: the built-in ones, those of installed packages, and any class in a user's own file.

In: a name such as ``bilinear``, or a reference such as ``path/to/file.py:MyFitter``. Out: a fitter, or its description.
A package takes part by an entry point of the group "simcell.fitters": ``my-fitter = "package.module:MyFitter"``.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import Any

from fitters.contract import Assumption, Claim, Fitter
from fitters.errors import FitterError, FitterLoadError
from fitters.loading import build, defaults_of, find_factory, is_reference, options_of
from simcell.errors import nearest

ENTRY_POINT_GROUP = "simcell.fitters"
# Packages that not every installation has, and the extra of simcell that brings each. A fitter that needs some says so
# by a class attribute, as ``packages = ("gies",)``.
EXTRAS = {"torch": "fit", "torchdiffeq": "fit", "gies": "causal", "dagma": "causal", "anndata": "anndata"}

# One line per fitter. A module here is imported to list it, so heavy packages are imported inside `fit`.
BUILT_IN = {
    "no-change": "fitters.baselines.no_change:NoChange",
    "mean": "fitters.baselines.mean:Mean",
    "crispr-mean": "fitters.baselines.crispr_mean:CrisprMean",
    "matching-mean": "fitters.baselines.matching_mean:MatchingMean",
    "additive": "fitters.baselines.additive:Additive",
    "control-cells": "fitters.baselines.control_cells:ControlCells",
    "scaled-control-cells": "fitters.baselines.control_cells:ScaledControlCells",
    "scaled-additive": "fitters.linear.scaled_additive:ScaledAdditive",
    "bilinear": "fitters.linear.bilinear:Bilinear",
    "bilinear-random-genes": "fitters.linear.bilinear_controls:BilinearRandomGenes",
    "bilinear-random-perturbations": "fitters.linear.bilinear_controls:BilinearRandomPerturbations",
    "kernel-ridge": "fitters.linear.kernel_ridge:KernelRidge",
    "random-network": "fitters.baselines.random_network:RandomNetwork",
    "co-expression": "fitters.baselines.co_expression:CoExpression",
    "sort-by-variance": "fitters.baselines.sort_and_regress:SortByVariance",
    "sort-by-r2": "fitters.baselines.sort_and_regress:SortByR2",
    "ridge-network": "fitters.linear.ridge_network:RidgeNetwork",
    "sparse-inverse": "fitters.linear.sparse_inverse:SparseInverse",
    "scm-linear": "fitters.scm.scm_linear:ScmLinear",
    "scm-cyclic": "fitters.scm.scm_cyclic:ScmCyclic",
    "scm-nonlinear": "fitters.scm.scm_nonlinear:ScmNonlinear",
    "gies": "fitters.scm.gies:Gies",
    "dagma": "fitters.scm.dagma:Dagma",
    "ode-mechanistic": "fitters.mechanistic.ode_mechanistic:OdeMechanistic",
    "node": "fitters.mechanistic.node:Node",
    "operator": "fitters.mechanistic.operator_word:Operator",
    "vae": "fitters.vae.vae:Vae",
    "graph": "fitters.graph.graph:Graph",
    "transformer": "fitters.attention.transformer:Transformer",
    "rank-transformer": "fitters.attention.transformer_variants:RankTransformer",
    "frozen-transformer": "fitters.attention.transformer_variants:FrozenTransformer",
}

# Listed with the others, but nothing until they are told what to do: no test can run them without options.
NEED_OPTIONS = {
    "command": "fitters.commands.command:CommandFitter",
}


@dataclass(frozen=True)
class FitterEntry:
    """What a fitter says of itself.

    Args:
        name: under which `load` finds it.
        origin: "built-in", the package that brings it, or "file".
        reference: ``module:Class`` or ``path.py:Class``.
        family: one of FAMILIES.
        claims: what it answers.
        assumptions: what it takes for granted.
        source: citation.
        summary: first line of its docstring.
        options: its keyword arguments; None where it takes any.
        documentation: its docstring: equations, options, differences from its source; terms of its loss.
        defaults: options that have one -> their default, as JSON has it.
        lacks: how to install the optional package that it needs and that is not installed; empty if it has all.
        problem: why it cannot be used, in one line; empty if it can.
    """

    name: str
    origin: str
    reference: str
    family: str = "user"
    claims: frozenset[Claim] = frozenset()
    assumptions: frozenset[Assumption] = frozenset()
    source: str = ""
    summary: str = ""
    options: tuple[str, ...] | None = ()
    documentation: str = ""
    defaults: Mapping[str, str] = field(default_factory=dict)
    lacks: str = ""
    problem: str = ""


def available() -> dict[str, FitterEntry]:
    """Return every registered fitter by name, built-in ones first; one that cannot be imported has a problem."""
    return {name: _entry(name, origin, reference) for name, (origin, reference) in _registered().items()}


def describe(name_or_reference: str) -> FitterEntry:
    """Return the entry of one fitter; FitterLoadError where it cannot be found."""
    name, origin, reference = _resolve(name_or_reference)
    entry = _entry(name, origin, reference)
    if entry.problem:
        raise FitterLoadError(name, entry.problem)
    return entry


def load(name_or_reference: str, /, **options: Any) -> Fitter:
    """Return a fitter.

    Args:
        name_or_reference: a registered name, ``path/to/file.py:MyFitter`` or ``package.module:MyFitter``.
        options: keyword arguments of its constructor.

    Raises:
        FitterLoadError: nothing of that name (the nearest one is suggested), no such file or class, or not a fitter.
        FitterOptionError: an option that it does not have, or a value that the option does not take.
    """
    name, _, reference = _resolve(name_or_reference)
    return build(find_factory(reference), reference=name, options=options)


def _registered() -> dict[str, tuple[str, str]]:
    found = {name: ("built-in", reference) for name, reference in (BUILT_IN | NEED_OPTIONS).items()}
    for point in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda point: (point.name, point.value)):
        package = point.dist.name if point.dist else "unknown package"
        # A name that is taken stays with its first owner; the newcomer is still there, under its package's name.
        name = point.name if point.name not in found else f"{point.name}@{package}"
        found[name] = (package, point.value)
    return found


def _resolve(name: str) -> tuple[str, str, str]:
    registered = _registered()
    if name in registered:
        return name, *registered[name]
    if is_reference(name):
        return name, "file", name
    known = ", ".join(registered)
    hint = "a fitter of your own is path/to/file.py:MyFitter"
    raise FitterLoadError(name, f"no such fitter{nearest(name, registered)}; there are {known}; {hint}")


def _entry(name: str, origin: str, reference: str) -> FitterEntry:
    try:
        factory = find_factory(reference)
        return FitterEntry(
            name=name,
            origin=origin,
            reference=reference,
            family=_said(factory, "family", "user"),
            claims=frozenset(Claim(claim) for claim in getattr(factory, "claims", ())),
            assumptions=frozenset(Assumption(assumption) for assumption in getattr(factory, "assumptions", ())),
            source=_said(factory, "source", ""),
            summary=_summary(factory),
            options=options_of(factory),
            documentation=_documentation(factory),
            defaults=defaults_of(factory),
            lacks=_lacks(getattr(factory, "packages", ())),
        )
    except (FitterError, TypeError, ValueError) as error:
        problem = error.problem if isinstance(error, FitterError) else " ".join(str(error).split())
        return FitterEntry(name=name, origin=origin, reference=reference, problem=problem)


def _lacks(packages: tuple[str, ...]) -> str:
    """Return what to install for a fitter that says which packages it needs; nothing if they are all there."""
    missing = [package for package in packages if find_spec(package) is None]
    extras = dict.fromkeys(f"simcell[{EXTRAS[package]}]" if package in EXTRAS else package for package in missing)
    install = " ".join(f"'{extra}'" for extra in extras)
    verb = "is" if len(missing) == 1 else "are"
    return f"{' and '.join(missing)} {verb} not installed: pip install {install}" if missing else ""


def _said(factory: Callable[..., Any], attribute: str, default: str) -> str:
    value = getattr(factory, attribute, default)
    return value if isinstance(value, str) else default


def _documentation(factory: Callable[..., Any]) -> str:
    """Return the docstring, those of the classes that bring further options, and the terms of its loss."""
    bases = [base for base in getattr(factory, "__mro__", ())[1:] if dataclasses.is_dataclass(base)]
    found = [inspect.getdoc(factory) or "", *(inspect.getdoc(base) or "" for base in bases)]
    terms = getattr(factory, "terms", None)
    if isinstance(terms, Mapping):
        found.append("Terms of its loss: " + ", ".join(f"{term} {weight:g}" for term, weight in terms.items()))
    return "\n\n".join(text for text in found if text)


def _summary(factory: Callable[..., Any]) -> str:
    lines = (factory.__doc__ or "").strip().splitlines()
    return lines[0].strip() if lines else ""
