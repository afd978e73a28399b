"""What was measured, what it was to show, and whether it does."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

RESULTS: Final = Path(__file__).resolve().parent.parent / "results" / "torture.json"


@dataclass
class Report:
    """Of one part."""

    part: str
    figures: dict[str, Any] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    def figure(self, name: str, value: Any) -> None:
        self.figures[name] = value
        print(f"{self.part:10} {name}: {value}", flush=True)

    def claim(self, text: str, holds: bool) -> None:
        print(f"{self.part:10} {'holds' if holds else 'BROKEN'}: {text}", flush=True)
        if not holds:
            self.broken.append(text)

    def write(self) -> None:
        """Into ``RESULTS``, beside what the other parts have left there."""
        RESULTS.parent.mkdir(exist_ok=True)
        kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        kept["cores"] = os.cpu_count()
        kept[self.part] = {**self.figures, "broken": self.broken}
        RESULTS.write_text(json.dumps(kept, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
