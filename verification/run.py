"""Run laws: names, engines and a size in, comparisons with their times out; one law and engine after the other."""

from __future__ import annotations

import sys
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace

from verification.comparison import SLOTS, Comparison, spent
from verification.laws import LAWS

ENGINES = ("langevin", "tau", "ssa", "ode", "theory")


@dataclass(frozen=True)
class Done:
    """One law for one engine: its comparisons, and how many seconds it took."""

    law: str
    engine: str
    comparisons: list[Comparison]
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether all comparisons passed."""
        return all(each.passed for each in self.comparisons)


def seed_of(seed: int, law: str, engine: str) -> int:
    """Return the seed of one law and engine, so that no two share random numbers."""
    return zlib.crc32(f"{seed} {law} {engine}".encode())


def run(
    laws: Sequence[str] = (), engines: Sequence[str] = (), *, seed: int = 0, few: bool = False, quiet: bool = False
) -> Iterator[Done]:
    """Run laws for engines, all by default, and say how each went.

    Args:
        few: with the small numbers of cells at which bugs are planted. quiet: without a word.
    """
    made: list[Comparison] = []
    for name in laws or LAWS:
        law = LAWS[name]
        for engine in law.engines:
            if engines and engine not in engines:
                continue
            began = time.perf_counter()
            found = law.run(engine, cells=law.few if few else law.cells, seed=seed_of(seed, name, engine))
            done = Done(name, engine, found, time.perf_counter() - began)
            made += found
            if spent(made) > SLOTS:
                raise RuntimeError(f"more than the {SLOTS} rows among which the budget of false alarms is shared")
            if not quiet:
                print(_line(done), file=sys.stderr, flush=True)
            yield done


def _line(done: Done) -> str:
    nearest = max((each.value / each.limit for each in done.comparisons if each.limit > 0.0), default=0.0)
    failed = sum(not each.passed for each in done.comparisons)
    word = "passed" if done.passed else f"{failed} FAILED"
    rows = f"{len(done.comparisons)} rows"
    return (
        f"{done.law:23s} {done.engine:9s} {rows:8s} {word:10s} worst {nearest:4.0%} of its limit {done.seconds:6.1f} s"
    )


def to_rows(comparisons: Sequence[Comparison]) -> list[dict[str, object]]:
    """Return comparisons as what JSON and CSV can hold, without their curves."""
    return [
        {key: value for key, value in asdict(replace(each, curve=None)).items() if key != "curve"}
        | {"passed": each.passed}
        for each in comparisons
    ]


def from_rows(rows: Sequence[dict[str, object]]) -> list[Comparison]:
    """Return comparisons from `to_rows`."""
    names = {field.name for field in fields(Comparison)}
    return [Comparison(**{key: value for key, value in row.items() if key in names}) for row in rows]  # type: ignore[arg-type]
