"""Where figures go: one JSON a script in ``bench/results/``."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("results")


def write(name: str, figures: dict[str, Any]) -> None:
    """Keeps and prints the figures of a whole run. They replace those of the run before: what was
    not measured at the same time is not comparable."""
    text = json.dumps(_rounded(figures), indent=2, ensure_ascii=False) + "\n"
    (FOLDER / f"{name}.json").write_text(text)
    print(text, end="")


def read(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_text())


def processor() -> str:
    """Its name and the number of cores that may be used, for the reader to judge figures by."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return f"{len(os.sched_getaffinity(0))} × {names[0] if names else 'unknown'}"


def _rounded(value: Any) -> Any:
    """No figure is known to more than four digits."""
    match value:
        case float():
            return float(f"{value:.4g}")
        case dict():
            return {key: _rounded(one) for key, one in value.items()}
        case list() | tuple():
            return [_rounded(one) for one in value]
    return value
