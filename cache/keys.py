"""What makes two speeches the same speech.

A key is the SHA-256, in hexadecimal, of a canonical JSON object (keys sorted, no blanks, ASCII)::

    {"engine": {"engine": "Kokoro", "weights": "6e74…", …},   identity of the engine that speaks
     "language": "fr",                                        of the voice
     "recipe": 2,                                             version of this recipe
     "speed": 1.0,
     "tenant": "",                                            whose reply it is part of
     "text": "Bonjour.",                                      normalised
     "voice": "ff_siwis"}

Whoever changes the recipe, or what ``normalised`` does, raises ``RECIPE``: speech kept under the
former one is then never found again, and leaves as the least recently used.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping

RECIPE = 2

_KEY = re.compile(r"[0-9a-f]{64}")


def normalised(text: str) -> str:
    """``text`` in NFC, every run of whitespace one blank. Case is kept: it can be heard."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def speech_key(
    text: str,
    *,
    voice: str,
    language: str,
    speed: float,
    identity: Mapping[str, str],
    tenant: str,
) -> str:
    """The key of ``text`` spoken to ``tenant`` by ``voice`` of the engine that ``identity`` tells.

    Returns 64 hexadecimal digits.
    """
    ingredients = {
        "recipe": RECIPE,
        "text": normalised(text),
        "voice": voice,
        "language": language,
        "speed": float(speed),
        "engine": dict(identity),
        "tenant": tenant,
    }
    canonical = json.dumps(ingredients, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def is_key(text: str) -> bool:
    return _KEY.fullmatch(text) is not None
