"""The command `simcell`: arguments in, an exit code out (0 done, 1 a check failed, 2 user error, 130 interrupted).

Only argparse is imported here, so that `simcell --help` is there at once; each command imports what it needs.
"""

from __future__ import annotations

import argparse
import importlib
import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from typing import NoReturn

_DESCRIPTION = """\
Perturbation screens with known truth: simulate one, look at it, and judge models of gene regulation on it."""

_EXAMPLES = """\
examples:
  simcell simulate screen.yaml -o screen.zarr           run a screen
  simcell info screen.zarr                              what is in it
  simcell export screen.zarr screen.h5ad                hand it to scanpy and others
  simcell replay screen.zarr                            does it come out the same again?
  simcell benchmark benchmark.yaml -o report            fit, score and compare; writes report/report.html
  simcell study recovery -o recovery                    which models find the network, and when
  simcell check-fitter my_fitter.py:MyFitter            does my model keep the contract?
  simcell schema screen > screen.schema.json            all keys of a specification, with units and defaults

`simcell COMMAND --help` says more about each."""

_SIMULATE_EXAMPLES = """\
examples:
  simcell simulate screen.yaml -o screen.zarr
  simcell simulate screen.yaml -o again.zarr --seed 2 --force
  simcell simulate screen.yaml -o small.zarr --set assay.cells_per_batch=100 --set 'protocol[1].hours=48'
  simcell simulate screen.yaml -o mean.zarr --engine ode --threads 2"""

_ATLAS_EXAMPLES = """\
examples:
  simcell atlas screen.yaml -o atlas.zarr
  simcell atlas screen.yaml -o atlas.zarr --cells 50000 --tissues 50 --regulators-changed 0.5

The world is that of the screen: its network, kinetics, media and assay. Models that learn from unperturbed cells before
they see a screen are given an atlas by the section `knowledge:` of a benchmark."""

_EXPORT_EXAMPLES = """\
examples:
  simcell export screen.zarr screen.h5ad                counts and what an experimenter would know
  simcell export screen.zarr screen.h5ad --truth        the true network, responses and guides as well

Names follow the scPerturb convention: obs has perturbation, nperts, guide_id, batch, ncounts and others."""

_EMBED_EXAMPLES = """\
examples:
  simcell embed other.zarr -o other.npz                 what another screen teaches of the genes that it perturbs

The file is an option of fitters, in a benchmark as {name: bilinear, options: {perturbation_embedding: other.npz}}:
genes that the other screen perturbs are then known to have responses alike, also where they are unseen in training."""

_BENCHMARK_EXAMPLES = """\
examples:
  simcell benchmark examples/demo.yaml -o demo-report
  simcell benchmark mine.yaml -o report --jobs 4 --force

DIR then holds report.html (opens without a network), scores.csv and the predictions. A fitter that fails is a warning
and the others go on. The exit code is 0 if at least one of the fitters that BENCH lists was scored, 1 if none was."""

_STUDY_EXAMPLES = """\
examples:
  simcell study recovery -o recovery                    who finds the network; some half an hour with two jobs
  simcell study recovery -o quick --quick --networks 3  a part of it, to see how it looks
  simcell study recovery -o mine --fitters ridge-network,co-expression
  simcell study losses -o losses                        what the steady-state loss of controls does, and when

DIR then holds a page (recovery.md, losses.md), its pictures and a table (.csv). A study that was stopped goes on where
it was."""

_FITTERS_EXAMPLES = """\
examples:
  simcell fitters                    all of them, by family
  simcell fitters node vae           equations, options with their defaults, and source of these"""

_CHECK_FITTER_EXAMPLES = """\
examples:
  simcell check-fitter my_fitter.py:MyFitter            a class in a file of your own
  simcell check-fitter my_fitter.py:MyFitter --quick    only what takes no other process and few fits
  simcell check-fitter bilinear --set components=3      a registered fitter, with an option
  simcell check-fitter command --set command='Rscript my.R' --set 'claims=[mean]'

One line per check with what was seen. The exit code is 0 if none failed, 1 if one did."""

_SCHEMA_EXAMPLES = """\
examples:
  simcell schema screen > screen.schema.json
  simcell schema benchmark > benchmark.schema.json

An editor that knows YAML schemas completes and checks a file that begins with
  # yaml-language-server: $schema=screen.schema.json"""


class _Parser(argparse.ArgumentParser):
    """A parser that complains in one line, as everything here does; subcommands are of the same class."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"simcell: error: {message} (see {self.prog} --help)\n")


class _Version(argparse.Action):
    """Print the version; it is looked up only when asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from simcell._version import __version__

        print(f"simcell {__version__}")
        parser.exit()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line on `argv` (the process's own arguments if None) and return the exit code.

    What a user can mend is one line on standard error for each fault and exit code 2; anything else is a fault of the
    program and keeps its traceback.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # an arrow in a table is no reason to fail in an ASCII terminal
    try:
        _end_like_an_interruption(signal.SIGTERM, getattr(signal, "SIGHUP", None))
        given = sys.argv[1:] if argv is None else argv
        if not given:  # somebody who looks around
            _parser().print_help(sys.stderr)
            return 2
        arguments = _parser().parse_args(given)
        run: Callable[[argparse.Namespace], int] = getattr(
            importlib.import_module(f"experiments.commands.{arguments.module}"), arguments.function
        )
        code = run(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("simcell: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # the reader of a pipe has gone (`simcell schema | head`); nor may the interpreter's last flush complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        lines = _lines(error)
        if not lines:
            raise
        for line in lines:
            print(f"simcell: error: {line}", file=sys.stderr)
        return 2
    return code


def _end_like_an_interruption(*signals: signal.Signals | None) -> None:
    """Let what a batch scheduler sends end the run as Ctrl-C does: with nothing half-written left behind."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        for number in signals:
            if number is not None and signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, interrupt)


def _lines(error: Exception) -> list[str]:
    """Return what to tell the user, one line per fault; nothing for a fault that is not the user's to mend."""
    from simcell.errors import SimcellError

    if isinstance(error, SimcellError):
        each = getattr(error, "errors", (error,))  # of several faults in one file, each has its line
        return [" ".join(str(one).split()) for one in each]
    if isinstance(error, OSError):
        reason = error.strerror or str(error) or type(error).__name__
        return [f"{error.filename}: {reason}" if error.filename else reason]
    if isinstance(error, MemoryError):
        return ["not enough memory; fewer cells or genes, or smaller chunks (output.chunk_cells), need less"]
    return []


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="simcell",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    simulate = _command(commands, "simulate", "run the screen of a specification", _SIMULATE_EXAMPLES, module="screens")
    simulate.add_argument("spec", metavar="SPEC", help="the specification of a screen, a YAML file")
    simulate.add_argument("-o", "--output", metavar="X.zarr", required=True, help="where to write")
    simulate.add_argument("--seed", type=_at_least(0), metavar="N", help="replaces the seed of the specification")
    simulate.add_argument("--engine", metavar="E", help="replaces the engine: langevin, tau, ssa or ode")
    simulate.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="a.b=c",
        dest="overrides",
        help="replaces a value; may be repeated",
    )
    simulate.add_argument("--threads", type=_at_least(1), metavar="N", help="threads to use (default: all cores)")
    _add_force(simulate)

    atlas = _command(
        commands,
        "atlas",
        "simulate unperturbed cells of a screen's world, from several tissues",
        _ATLAS_EXAMPLES,
        module="screens",
    )
    atlas.add_argument("spec", metavar="SPEC", help="the specification of the screen, a YAML file")
    atlas.add_argument("-o", "--output", metavar="X.zarr", required=True, help="where to write")
    atlas.add_argument("--cells", type=_at_least(1), metavar="N", help="cells in all (default: 20000)")
    atlas.add_argument("--tissues", type=_at_least(1), metavar="K", help="tissues (default: 20)")
    atlas.add_argument(
        "--regulators-changed", type=float, metavar="S", help="share of regulators that a tissue changes (default: 0.3)"
    )
    atlas.add_argument(
        "--fold-sigma", type=float, metavar="S", help="standard deviation of the log of their factors (default: 1)"
    )
    atlas.add_argument("--seed", type=_at_least(0), metavar="N", help="replaces the seed of the specification")
    atlas.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="a.b=c",
        dest="overrides",
        help="replaces a value; may be repeated",
    )
    atlas.add_argument("--threads", type=_at_least(1), metavar="N", help="threads to use (default: all cores)")
    _add_force(atlas)

    info = _command(commands, "info", "say what is in a data set", module="screens")
    info.add_argument("path", metavar="X.zarr", help="a data set written by simcell simulate")

    export = _command(commands, "export", "write a data set as AnnData", _EXPORT_EXAMPLES, module="screens")
    export.add_argument("path", metavar="X.zarr", help="a data set written by simcell simulate")
    export.add_argument("output", metavar="X.h5ad", help="where to write")
    export.add_argument("--truth", action="store_true", help="also write what only the simulator knows")
    _add_force(export)

    replay = _command(
        commands,
        "replay",
        "simulate a data set again from its own specification and compare all bits",
        "The exit code is 0 if all is identical, 1 if not.",
        module="screens",
    )
    replay.add_argument("path", metavar="X.zarr", help="a data set written by simcell simulate")
    replay.add_argument("--threads", type=_at_least(1), metavar="N", help="threads to use (default: all cores)")

    embed = _command(
        commands,
        "embed",
        "embed the perturbed genes of a data set, for other screens",
        _EMBED_EXAMPLES,
        module="embedding",
    )
    embed.add_argument("path", metavar="X.zarr", help="a data set written by simcell simulate")
    embed.add_argument("-o", "--output", metavar="P.npz", required=True, help="where to write")
    embed.add_argument(
        "--components", type=_at_least(1), default=10, metavar="K", help="principal components to keep (default: 10)"
    )
    _add_force(embed)

    benchmark = _command(
        commands, "benchmark", "fit and judge models on screens", _BENCHMARK_EXAMPLES, module="judging"
    )
    benchmark.add_argument("spec", metavar="BENCH", help="the specification of a benchmark, a YAML file")
    benchmark.add_argument("-o", "--output", metavar="DIR", required=True, help="directory of the results")
    benchmark.add_argument("--jobs", type=_at_least(1), metavar="N", help="tasks at a time (default: as BENCH says)")
    _add_force(benchmark)

    study = _command(commands, "study", "answer a question about models", _STUDY_EXAMPLES, module="studies")
    study.add_argument("name", metavar="NAME", help="which study: recovery, mechanistic, losses")
    study.add_argument("-o", "--output", metavar="DIR", help="directory of the results (default: NAME)")
    study.add_argument("--networks", type=_at_least(2), default=10, metavar="N", help="networks (default: 10)")
    study.add_argument("--jobs", type=_at_least(1), metavar="N", help="worlds at a time (default: 1)")
    study.add_argument("--fitters", metavar="A,B", help="fitters to run (default: all that it is about)")
    study.add_argument("--quick", action="store_true", help="fewer worlds")

    check = _command(
        commands, "check-fitter", "hold a fitter to the contract", _CHECK_FITTER_EXAMPLES, module="contract"
    )
    check.add_argument("fitter", metavar="FITTER", help="path/to/file.py:MyFitter, or the name of a registered fitter")
    check.add_argument(
        "--set", action="append", default=[], metavar="a=b", dest="options", help="an option; may be repeated"
    )
    check.add_argument("--quick", action="store_true", help="only the short checks")

    schema = _command(commands, "schema", "print the JSON schema of a kind of file", _SCHEMA_EXAMPLES, module="judging")
    schema.add_argument(
        "kind", nargs="?", choices=("screen", "benchmark"), default="screen", help="which file (default: screen)"
    )

    listing = _command(
        commands, "fitters", "list the fitters that are installed, or explain some", _FITTERS_EXAMPLES, module="judging"
    )
    listing.add_argument(
        "names", nargs="*", metavar="FITTER", help="fitters to explain: equations, options with defaults, source"
    )
    return parser


def _command(
    commands: argparse._SubParsersAction[_Parser],
    name: str,
    summary: str,
    examples: str = "",
    *,
    module: str,
) -> argparse.ArgumentParser:
    """Add a command, which is the function of its name in `experiments.commands.<module>`."""
    parser = commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(module=module, function=name.replace("-", "_"))
    return parser


def _add_force(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--force", action="store_true", help="replace what is already there")


def _at_least(least: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
        if value < least:
            raise argparse.ArgumentTypeError(f"{value} is not >= {least}")
        return value

    return parse


if __name__ == "__main__":
    sys.exit(main())
