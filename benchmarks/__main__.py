"""The command `python -m benchmarks`: names of benchmarks in (all by default), tables with targets out.

Each benchmark runs in a process of its own, so that none inherits another's memory, threads or compiled code.
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from benchmarks._report import Figure, Result, Skipped, machine, render, summary

NAMES = ("langevin", "ssa", "tau", "scaling", "memory", "cold_start", "fitters", "gpu")


def main(argv: list[str] | None = None) -> int:
    """Run benchmarks and print them; return 1 if one failed, else 0: targets met or not, and some skipped or not."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure speed and memory of simcell.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which to run: {', '.join(NAMES)}; by default all")
    parser.add_argument("--quick", action="store_true", help="smaller and rougher, to see that all works")
    parser.add_argument("--markdown", action="store_true", help="print Markdown")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the one result here, and print nothing")
    arguments = parser.parse_args(argv)
    for name in arguments.names:
        if name not in NAMES:
            parser.error(f"NAME: {name} is not one of {', '.join(NAMES)}")
    if arguments.json:
        if len(arguments.names) != 1:
            parser.error("--json needs exactly one NAME")
        try:
            result = importlib.import_module(f"benchmarks.{arguments.names[0]}").measure(quick=arguments.quick)
        except Skipped as reason:
            arguments.json.write_text(json.dumps({"skipped": str(reason)}))
        else:
            arguments.json.write_text(json.dumps(asdict(result)))
        return 0

    options = ["--quick"] * arguments.quick
    print(machine(" ".join(["python -m benchmarks", *arguments.names, *options])), end="\n\n", flush=True)
    results, failed = [], False
    for name in arguments.names or NAMES:
        try:
            result = _in_a_process(name, options)
        except Skipped as reason:
            print(f"{name}: skipped: {reason}\n", flush=True)
            continue
        if result is None:
            failed = True
        else:
            results.append(result)
            print(render(result, markdown=arguments.markdown), flush=True)
    if len(results) > 1:
        print(summary(results, markdown=arguments.markdown))
    return 1 if failed else 0


def _in_a_process(name: str, options: list[str]) -> Result | None:
    """Return the result of one benchmark, or None if it failed, which it has then said itself; or skip it."""
    with tempfile.TemporaryDirectory(prefix="simcell-bench-") as folder:
        file = Path(folder) / "result.json"
        command = [sys.executable, "-m", "benchmarks", name, "--json", str(file), *options]
        if subprocess.run(command, check=False).returncode != 0:
            print(f"benchmark {name} failed\n", file=sys.stderr)
            return None
        found = json.loads(file.read_text())
    if "skipped" in found:
        raise Skipped(found["skipped"])
    return Result(
        title=found["title"],
        figures=tuple(Figure(**figure) for figure in found["figures"]),
        columns=tuple(found["columns"]),
        rows=tuple(tuple(row) for row in found["rows"]),
        notes=tuple(found["notes"]),
    )


if __name__ == "__main__":
    sys.exit(main())
