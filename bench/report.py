"""Writes the figures of ``bench/results/`` into ``docs/figures.md``, the headline into the README.

Between their marks, in both languages: ``python -m bench.report``, the last step of ``make bench``
and ``make eval``. The words are in ``report.toml``, a table for each language; a number is written
as its readers write it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import results

ROOT = Path(__file__).resolve().parent.parent
SUFFIXES = {"en": "", "fr": ".fr"}  # of the documents in a language
STAGES = ("stt", "llm_first", "llm", "tts", "first_audio", "total")
PEERS = ("reference", "usual", "standard")
MODELS = ("gemma-3-270m", "bloomz-1b1")
WINDOWS = ("questions", "fr", "all")


class Report:
    """In one language. Figures have two digits, as the machine allows."""

    def __init__(self, language: str) -> None:
        self._french = language == "fr"
        words = tomllib.loads(Path(__file__).with_name("report.toml").read_text())
        self._words: dict[str, Any] = words[language]

    def headline(self) -> str:
        turn = results.read("turn")
        took = turn["embedded"]
        text: str = self._words["headline"]
        return text.format(
            question=self._number(took["utterance_s"]),
            first=self._number(took["fresh"]["first_audio"]),
            cached=self._number(turn["http"]["cached_ms"]),
        )

    def figures(self) -> str:
        turn, heard = results.read("turn"), results.read("eval")
        took = turn["embedded"]
        fresh, repeated = took["fresh"], took["repeated"]
        parts = [
            self._words["turn"].format(turns=turn["turns"], processor=turn["processor"]),
            self._table(
                [
                    [self._words[stage], self._s(fresh[stage]), self._s(repeated[stage])]
                    for stage in STAGES
                ],
                "stage",
            ),
            self._words["embedded"].format(
                **{
                    name: self._number(took[name])
                    for name in ("load_s", "memory_mb", "prefix_known_s", "prefix_unknown_s")
                },
                question=self._number(took["utterance_s"]),
                speech=self._number(took["speech_s"]),
                overhead=self._number(turn["http"]["overhead_ms"]),
                cached=self._number(turn["http"]["cached_ms"]),
                stalls=len(took["stalls_s"]),
                longest=self._longest(took["stalls_s"]),
            ),
            *self._peers(turn),
            *self._limits(),
            self._words["formats"],
            self._formats(),
            *self._growth(),
            self._words["heard"],
            self._table(
                [
                    [self._words[name], str(self._recordings(heard, name))]
                    + [
                        f"{self._number(heard[window][name]['word_error_rate'], 3)}"
                        f" ({self._s(heard[window][name]['each_s'])})"
                        for window in ("window", "window_of_30_s")
                    ]
                    for name in WINDOWS
                ],
                "recordings",
            ),
            self._words["replies"].format(
                rate=self._number(heard["replies"]["word_error_rate"], 3)
            ),
        ]
        return "\n\n".join(parts)

    def _peers(self, turn: dict[str, Any]) -> list[str]:
        """Nothing where they were not measured."""
        if not all(name in turn for name in PEERS):
            return []
        return [self._words["peers"], self._table([self._peer(turn, n) for n in PEERS], "peer")]

    def _limits(self) -> list[str]:
        limits = results.read("limits")
        decoding, encoding, shares = (limits[what] for what in ("decoding", "encoding", "shares"))
        return [
            self._words["limits"].format(
                tokens=self._number(decoding["tokens_s"]),
                read=self._number(decoding["read_gb_s"]),
                bandwidth=self._number(limits["bandwidth_gb_s"]),
                of_bandwidth=self._percent(shares["decoding_of_bandwidth"]),
                encoded=self._number(encoding["gflop_s"], 3),
                int8=self._number(limits["int8_gflop_s"], 3),
                of_int8=self._percent(shares["encoding_of_int8"]),
            )
        ]

    def _formats(self) -> str:
        formats = results.read("formats")
        return self._table(
            [
                [
                    model,
                    name.upper(),
                    f"{self._number(took['size_mb'], 3)} {self._words['mb']}",
                    self._number(took["tokens_s"]),
                    str(took.get("same_replies", "–")),
                ]
                for model in MODELS
                for name, took in formats[model].items()
            ],
            "format",
        )

    def _growth(self) -> list[str]:
        """Nothing where it was not measured."""
        picture = results.FOLDER / "growth.svg"
        if not picture.exists():
            return []
        return [
            f"![{self._words['growth']}](../bench/results/{picture.name})",
            self._words["grown"],
        ]

    def _peer(self, turn: dict[str, Any], name: str) -> list[str]:
        first, total = (turn[name]["fresh"][what] for what in ("first_audio", "total"))
        own = turn["standard"]["fresh"]
        ratios = (first / own["first_audio"], total / own["total"])
        return [
            self._words[name],
            *(
                f"{self._s(took_s)}" + (f" ({self._number(ratio)} ×)" if ratio > 1 else "")
                for took_s, ratio in zip((first, total), ratios, strict=True)
            ),
            f"{self._number(turn[name]['memory_mb'] / 1000)} {self._words['gb']}",
            f"{len(turn[name]['stalls_s'])}{self._longest(turn[name]['stalls_s'])}",
        ]

    def _longest(self, stalls_s: Sequence[float]) -> str:
        if not stalls_s:
            return ""
        text: str = self._words["longest"]
        return text.format(longest=self._number(max(stalls_s)))

    def _recordings(self, heard: dict[str, Any], name: str) -> int:
        numbers: dict[str, int] = heard["recordings"]
        return sum(numbers.values()) if name == "all" else numbers[name]

    def _table(self, rows: Sequence[Sequence[str]], name: str) -> str:
        heads: list[str] = self._words[f"{name}_heads"]
        lines = [heads, ["---"] * len(heads), *rows]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)

    def _s(self, seconds: float) -> str:
        return f"{self._number(seconds)} s"

    def _percent(self, share: float) -> str:
        return f"{100 * share:.0f}\u00a0%" if self._french else f"{100 * share:.0f} %"

    def _number(self, value: float, digits: int = 2) -> str:
        """Of ``digits`` significant digits."""
        shown = float(f"{value:.{digits}g}")
        text = f"{shown:.6f}".rstrip("0").rstrip(".") if abs(shown) < 100 else f"{shown:.0f}"
        return text.replace(".", ",") if self._french else text


def main() -> None:
    for language, suffix in SUFFIXES.items():
        report = Report(language)
        _write(ROOT / f"README{suffix}.md", "headline", report.headline())
        _write(ROOT / "docs" / f"figures{suffix}.md", "figures", report.figures())


def _write(path: Path, mark: str, part: str) -> None:
    pattern = rf"(<!-- {mark} -->\n).*?(\n<!-- /{mark} -->)"
    text = re.sub(pattern, rf"\g<1>{part}\g<2>", path.read_text(), count=1, flags=re.DOTALL)
    path.write_text(text)


if __name__ == "__main__":
    main()
