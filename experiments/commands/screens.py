"""Commands about one data set: simulate it or an atlas beside it, describe it, export it, replay it.

Imports stand inside the functions: no command waits for what another one needs.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simcell.screen import Screen
    from simcell.spec import ScreenSpec


def simulate(arguments: Namespace) -> int:
    """Run the screen of a specification and write it."""
    from simcell.spec import load_screen_spec

    spec = load_screen_spec(arguments.spec, overrides=arguments.overrides, seed=arguments.seed, engine=arguments.engine)
    # after the specification is known to be sound: this loads the compiled engine
    from simcell.screen import simulate

    simulate(_built(spec), arguments.output, n_threads=arguments.threads, force=arguments.force)
    print(arguments.output)
    return 0


def atlas(arguments: Namespace) -> int:
    """Simulate unperturbed cells of the world of a screen."""
    from simcell.spec import load_screen_spec

    spec = load_screen_spec(arguments.spec, overrides=arguments.overrides, seed=arguments.seed)
    from simcell.atlas import simulate_atlas  # loads the compiled engine

    given = {name: getattr(arguments, name) for name in ("cells", "tissues", "regulators_changed", "fold_sigma")}
    simulate_atlas(
        _built(spec),
        arguments.output,
        **{name: value for name, value in given.items() if value is not None},
        n_threads=arguments.threads,
        force=arguments.force,
    )
    print(arguments.output)
    return 0


def _built(spec: ScreenSpec) -> Screen:
    """Return the screen of a specification, and say what was drawn that nobody asked for."""
    from simcell.screen import build_screen

    screen = build_screen(spec)
    for note in screen.notes:
        print(f"simcell: note: {note}", file=sys.stderr)
    return screen


def info(arguments: Namespace) -> int:
    """Say what is in a data set."""
    from simcell import dataset
    from simcell.info import describe

    print(describe(dataset.load(arguments.path, verify=True)))
    return 0


def export(arguments: Namespace) -> int:
    """Write a data set as AnnData."""
    from simcell.anndata_export import export_anndata

    export_anndata(arguments.path, arguments.output, truth=arguments.truth, force=arguments.force)
    print(arguments.output)
    return 0


def replay(arguments: Namespace) -> int:
    """Simulate a data set again from its own specification; the exit code is 1 if any bit differs."""
    from simcell.replaying import replay

    result = replay(arguments.path, n_threads=arguments.threads)
    for line in result.lines:
        print(line)
    return 0 if result.identical else 1
