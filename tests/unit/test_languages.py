"""A language is told where it is sure, and otherwise not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.languages import written_in
from pipeline.prompts import PROMPTS


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Quelle heure est-il ?", "fr"),
        ("What time is it?", "en"),
        ("¿Qué hora es?", "es"),
        ("Che ore sono?", "it"),
        ("Que horas são?", "pt"),
        ("今何時ですか", "ja"),
        ("你好吗", "zh"),
        ("नमस्ते", "hi"),
        ("Bonjour", "fr"),
        ("Allume la lumière.", "fr"),
        ("Turn on the light.", "en"),
    ],
)
def test_sure(text: str, language: str) -> None:
    assert written_in(text, PROMPTS) == language


@pytest.mark.parametrize("text", ["", "OK", "2 + 2", "Rome", "😀", "Wie spät ist es?"])
def test_not_sure(text: str) -> None:
    assert written_in(text, PROMPTS) is None


def test_only_of_those_there_are() -> None:
    assert written_in("Che ore sono?", ["fr", "it"]) == "it"
    assert written_in("Che ore sono?", ["it"]) == "it"
    assert written_in("Che ore sono?", ["xx"]) is None
    assert written_in("Che ore sono?", []) is None


def test_french_is_french(speech_dir: Path) -> None:
    for folder in ("fr", "questions"):
        for entry in json.loads((speech_dir / folder / "transcripts.json").read_text("utf-8")):
            assert written_in(entry["text"], PROMPTS) == "fr", entry["text"]
