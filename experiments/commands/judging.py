"""Commands about models: run a benchmark, list the fitters, print the schema of a file.

Imports stand inside the functions: no command waits for what another one needs.
"""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fitters.registry import FitterEntry


def benchmark(arguments: Namespace) -> int:
    """Fit and judge the models of a benchmark, write its report and print its leaderboard; 1 if none was scored."""
    from experiments.benchmark_spec import load_benchmark_spec

    spec = load_benchmark_spec(arguments.spec)
    # after the specification is known to be sound: these take time to import
    from experiments.benchmark import run_benchmark
    from experiments.report.text import leaderboard_text

    result = run_benchmark(spec, arguments.output, force=arguments.force, jobs=arguments.jobs)
    print(leaderboard_text(result.scores))
    for failure in result.failures:
        print(f"simcell: warning: {failure}", file=sys.stderr)
    print(f"report: {result.report}")
    return 0 if result.any_scored else 1


def fitters(arguments: Namespace) -> int:
    """List the fitters that are installed, built in or from other packages, by family; or explain some of them."""
    from fitters.contract import FAMILIES
    from fitters.registry import available, describe

    if arguments.names:
        print("\n\n".join(_explained(describe(name)) for name in arguments.names))
        return 0
    entries = available()
    indent = " " * (max(map(len, entries), default=0) + 4)
    for family in dict.fromkeys([*FAMILIES, *(entry.family for entry in entries.values())]):
        of_family = {name: entry for name, entry in entries.items() if entry.family == family}
        if of_family:
            print(f"{family}")
        for name, entry in of_family.items():
            summary = f"cannot be used: {entry.problem}" if entry.problem else entry.summary
            print(f"  {name:<{len(indent) - 4}}  {summary}")
            said = {
                "claims": ", ".join(sorted(entry.claims)),
                "assumes": ", ".join(sorted(entry.assumptions)),
                "options": ", ".join(sorted(entry.options or ())),
                "source": entry.source,
                "cannot be fitted": entry.lacks,
            }
            for word, text in said.items():
                if text:
                    print(f"{indent}{word}: {text}")
        if of_family:
            print()
    print("A class of your own takes part as path/to/file.py:MyFitter, or by the entry point group simcell.fitters.")
    return 0


def _explained(entry: FitterEntry) -> str:
    """Return all that a fitter says of itself, and its options with their defaults."""
    lines = [f"{entry.name} ({entry.family})", "", entry.documentation, "", "Options and their defaults:"]
    options = entry.options if entry.options is not None else tuple(entry.defaults)
    lines += [f"    {option}: {entry.defaults.get(option, 'none: it has to be given')}" for option in options]
    if entry.options is None:
        lines.append("    any others")
    elif not options:
        lines.append("    none")
    lines += ["", f"Claims: {', '.join(sorted(entry.claims)) or 'nothing'}"]
    lines += [f"Assumes: {', '.join(sorted(entry.assumptions)) or 'nothing'}"]
    return "\n".join(lines + ([f"Cannot be fitted: {entry.lacks}"] if entry.lacks else []))


def schema(arguments: Namespace) -> int:
    """Print the JSON schema of a kind of file."""
    from simcell.spec import json_schema

    if arguments.kind == "benchmark":
        from experiments.benchmark_spec import BenchmarkSpec

        described = json_schema(BenchmarkSpec)
    else:
        described = json_schema()
    print(json.dumps(described, indent=2))
    return 0
