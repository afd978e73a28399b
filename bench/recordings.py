"""The speech that is measured on, and how words are compared."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from pipeline.audio import Audio, decode
from pipeline.speakable import speakable

ROOT = Path(__file__).resolve().parent.parent
SPEECH = Path(os.environ.get("VOICEBOT_TEST_SPEECH", ROOT.parent / "shared" / "speech"))

WHERE = f"""\
No recordings in {SPEECH}. They are not part of voicebot; name their folder with
VOICEBOT_TEST_SPEECH. It holds two folders, each with a transcripts.json, a list of
{{"file": "name.wav", "text": "what is said"}}:

  fr/         the 60 French prompts that Debian's package asterisk-core-sounds-fr-wav installs in
              /usr/share/asterisk/sounds/fr (June Wallack, CC-BY-SA-3.0), any of them will do
  questions/  spoken questions: record your own, or make them with `manage.py speak`
"""


@dataclass(frozen=True, slots=True)
class Recording:
    name: str
    text: str
    audio: Audio


def recordings(folder: str) -> list[Recording]:
    """The recordings of ``fr`` or ``questions``; ends the program when there are none."""
    index = SPEECH / folder / "transcripts.json"
    if not index.is_file():
        raise SystemExit(WHERE)
    return [
        Recording(
            entry["file"],
            entry["text"],
            decode((index.parent / entry["file"]).read_bytes(), max_duration=60),
        )
        for entry in json.loads(index.read_text())
    ]


def words(text: str, language: str = "fr") -> str:
    """What is compared: spoken form, lower case, no punctuation."""
    spoken = speakable(text, language).lower()
    return " ".join(re.sub(r"[^\w ]", " ", spoken).split())
