"""What the tests of the speech cache share."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import cast

from cache.models import CachedSpeech
from cache.tts import CachedTextToSpeech
from files import atomic
from pipeline.audio import Audio
from pipeline.base import Deadline
from pipeline.tts.base import Speech, TextToSpeech, Voice
from pipeline.tts.fake import Fake


class Slow(Fake):
    """Takes long enough for others to come and want the same."""

    def _synthesize(self, sentence: str, voice: Voice, speed: float, deadline: Deadline) -> Audio:
        time.sleep(0.2)
        return super()._synthesize(sentence, voice, speed, deadline)


def cached(engine: str = "pipeline.tts.fake.Fake", **options: object) -> CachedTextToSpeech:
    return CachedTextToSpeech(engine={"BACKEND": engine, "OPTIONS": options})


def spoken(tts: CachedTextToSpeech) -> list[str]:
    """What the engine inside had to speak."""
    return cast("Fake", tts.engine).spoken


def say(tts: TextToSpeech, text: str, voice: str | None = None, speed: float = 1.0) -> Speech:
    """The speech of a single sentence."""
    [speech] = tts.synthesize(text, voice=voice, speed=speed)
    return speech


def fill(*texts: str) -> list[CachedSpeech]:
    """Rows, with their files, of ``texts``: the first is the least recently used."""
    tts = cached()
    return [CachedSpeech.objects.get(key=say(tts, text).key) for text in texts]


def make_old(file: Path) -> None:
    """As if it had been written by a process that crashed long ago."""
    long_ago = time.time() - atomic.STALE_S - 1
    os.utime(file, (long_ago, long_ago))
