"""The command `python -m verification`: laws, planted bugs and maps of validity in, the certificate out.

It writes `docs/certificate.html`, `docs/certificate.csv` and `docs/engines.png`, and returns 1 if anything failed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from verification.laws import LAWS
from verification.run import ENGINES, run, to_rows

DOCS = Path(__file__).resolve().parent.parent / "docs"


def main(argv: list[str] | None = None) -> int:
    """Run what is asked for; return 0 if all comparisons passed and all bugs were caught, else 1."""
    parser = argparse.ArgumentParser(prog="python -m verification", description=__doc__.splitlines()[0])
    parser.add_argument("--laws", nargs="+", metavar="LAW", choices=LAWS, default=[], help=f"some of {', '.join(LAWS)}")
    parser.add_argument("--engines", nargs="+", metavar="ENGINE", choices=ENGINES, default=[], help=", ".join(ENGINES))
    parser.add_argument("--seed", type=int, default=0, help="of all random numbers; 0 by default")
    parser.add_argument("--few", action="store_true", help="few cells, as where bugs are planted")
    parser.add_argument("--json", metavar="FILE", type=Path, help="only run laws, and write their comparisons here")
    parser.add_argument("--output", metavar="FOLDER", type=Path, default=DOCS, help="where to write; docs/ by default")
    parser.add_argument("--no-bugs", action="store_true", help="plant none")
    parser.add_argument("--no-maps", action="store_true", help="draw no maps of validity")
    arguments = parser.parse_args(argv)
    began = time.time()
    done = list(run(arguments.laws, arguments.engines, seed=arguments.seed, few=arguments.few))
    passed = all(each.passed for each in done)
    if arguments.json:
        rows = to_rows([each for law in done for each in law.comparisons])
        arguments.json.write_text(json.dumps(rows), encoding="utf-8")
        return 0 if passed else 1

    from verification.bugs import BUGS
    from verification.page import write_certificate
    from verification.planting import catch_all
    from verification.validity import measure_maps

    catches = [] if arguments.no_bugs else catch_all(BUGS, seed=arguments.seed)
    maps = [] if arguments.no_maps else measure_maps(seed=arguments.seed)
    command = " ".join(["python -m verification", *(sys.argv[1:] if argv is None else argv)])
    page = write_certificate(
        arguments.output, done, catches, maps, command=command, seed=arguments.seed, seconds=time.time() - began
    )
    failed = sum(not each.passed for law in done for each in law.comparisons)
    missed = sum(not each.caught for each in catches)
    print(f"{page}: {failed} rows failed, {missed} planted bugs were not caught")
    return 0 if not failed and not missed else 1


if __name__ == "__main__":
    sys.exit(main())
