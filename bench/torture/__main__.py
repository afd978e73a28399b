"""``python -m bench.torture [PART …]``: see the package."""

from __future__ import annotations

import bench.setup  # noqa: F401 - first: it sets Django up

# isort: split
import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench import overload
from bench.torture import faults, inventing, kills, mixed, slow, uploads
from bench.torture.report import Report

PARTS: dict[str, Callable[[Report, Path, int], None]] = {
    "uploads": uploads.run,
    "inventing": inventing.run,
    "slow": slow.run,
    "overload": overload.run,
    "faults": faults.run,
    "kills": kills.run,
    "mixed": mixed.run,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.torture")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    if unknown := set(asked.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    broken = []
    for name in asked.parts or PARTS:
        report = Report(name)
        with tempfile.TemporaryDirectory(prefix=f"voicebot-torture-{name}-") as folder:
            PARTS[name](report, Path(folder), asked.seed)
        report.write()
        broken += report.broken
    sys.exit(f"Broken: {'; '.join(broken)}" if broken else None)


if __name__ == "__main__":
    main()
