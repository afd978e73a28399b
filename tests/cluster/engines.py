"""Engines that take their time instead of computing, so that two cores are enough for many."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

from pipeline.audio import Audio
from pipeline.base import Deadline
from pipeline.errors import EngineError
from pipeline.llm import fake as llm
from pipeline.llm.base import Deltas, Message, Sampling, Usage
from pipeline.stt import fake as stt
from pipeline.stt.base import Transcript, Wanted
from pipeline.tts import fake as tts
from pipeline.tts.base import Voice

STEP_S = 0.02


def work(work_s: float, deadline: Deadline) -> None:
    until = time.monotonic() + work_s
    while (left_s := until - time.monotonic()) > 0:
        deadline.check()
        time.sleep(min(STEP_S, left_s))


class Listens(stt.Fake):
    def __init__(
        self, *, work_s: float, text: str = "Bonjour !", slots: int = 1, wait_s: float = 30.0
    ) -> None:
        super().__init__(text=text, slots=slots, wait_s=wait_s)
        self._work_s = work_s

    def _transcribe(self, audio: Audio, wanted: Wanted, deadline: Deadline) -> Transcript:
        work(self._work_s, deadline)
        return super()._transcribe(audio, wanted, deadline)


class Writes(llm.Fake):
    """``work_s`` for each word; or one, if it is told to: its own process number.

    ``fails``: a folder; where it holds a file ``die`` the process dies after the second word.
    """

    def __init__(
        self,
        *,
        work_s: float,
        tells_process: bool = False,
        dies_by: str = "",
        slots: int = 1,
        wait_s: float = 30.0,
        timeout_s: float = 120.0,
    ) -> None:
        super().__init__(slots=slots, wait_s=wait_s, timeout_s=timeout_s)
        self._work_s = work_s
        self._tells_process = tells_process
        self._dies_by = dies_by

    def _reply(self, messages: Sequence[Message], sampling: Sampling, deadline: Deadline) -> Deltas:
        if "panne" in messages[-1].text:
            raise OSError("no paper in the printer")
        if self._tells_process:
            work(self._work_s, deadline)
            yield str(os.getpid())
            return Usage(1, 1)
        words = super()._reply(messages, sampling, deadline)
        for place, word in enumerate(words):
            if place == 2 and self._dies_by and _taken(Path(self._dies_by)):
                os.kill(os.getpid(), 9)
            work(self._work_s, deadline)
            yield word
        return Usage(1, 5)


class Speaks(tts.Fake):
    def __init__(self, *, work_s: float, slots: int = 1, wait_s: float = 30.0) -> None:
        super().__init__(slots=slots, wait_s=wait_s)
        self._work_s = work_s

    def _synthesize(self, sentence: str, voice: Voice, speed: float, deadline: Deadline) -> Audio:
        work(self._work_s, deadline)
        if "panne" in sentence:
            raise EngineError("no paper in the printer")
        return super()._synthesize(sentence, voice, speed, deadline)


def _taken(file: Path) -> bool:
    """Whether it was there; it is not any more."""
    try:
        file.unlink()
    except FileNotFoundError:
        return False
    return True
