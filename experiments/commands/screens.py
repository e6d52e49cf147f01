"""Commands about one data set: simulate it, describe it, export it, replay it.

Imports stand inside the functions: no command waits for what another one needs.
"""

from __future__ import annotations

import sys
from argparse import Namespace


def simulate(arguments: Namespace) -> int:
    """Run the screen of a specification and write it."""
    from simcell.spec import load_screen_spec

    spec = load_screen_spec(arguments.spec, overrides=arguments.overrides, seed=arguments.seed, engine=arguments.engine)
    # after the specification is known to be sound: this loads the compiled engine
    from simcell.screen import build_screen, simulate

    screen = build_screen(spec)
    for note in screen.notes:
        print(f"simcell: note: {note}", file=sys.stderr)
    simulate(screen, arguments.output, n_threads=arguments.threads, force=arguments.force)
    print(arguments.output)
    return 0


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
