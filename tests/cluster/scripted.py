"""Fakes that are told what to do, and tell what they did, from one process to another."""

from __future__ import annotations

import pickle
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock

from pipeline.errors import PipelineError
from pipeline.llm import fake as llm
from pipeline.ray.wire import Failed
from pipeline.scripted import Script
from pipeline.stt import fake as stt
from pipeline.tts import fake as tts
from tests.settings import DATA_DIR

Answer = TypeVar("Answer")

FOLDER = DATA_DIR / "scripted"


def forget() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)


class Kept:
    """A list in a folder: what one process appends another reads."""

    def __init__(self, name: str) -> None:
        self._folder = FOLDER / name

    def append(self, item: Any) -> None:
        if isinstance(item, PipelineError):
            item = Failed.of(item)
        with self._locked():
            name = f"{time.time_ns()}"
            (self._folder / name).write_bytes(pickle.dumps(item))

    def pop(self) -> Any:
        """The first item, which is then gone; None when there is none."""
        with self._locked():
            for file in self._files():
                item = pickle.loads(file.read_bytes())
                file.unlink()
                return item.error() if isinstance(item, Failed) else item
        return None

    def __iter__(self) -> Iterator[Any]:
        return iter([pickle.loads(file.read_bytes()) for file in self._files()])

    def __len__(self) -> int:
        return len(self._files())

    def __getitem__(self, place: int) -> Any:
        return list(self)[place]

    def __eq__(self, other: object) -> bool:
        return list(self) == other

    __hash__ = None  # type: ignore[assignment]

    def _files(self) -> list[Path]:
        return sorted(file for file in self._folder.glob("*") if file.suffix != ".lock")

    def _locked(self) -> FileLock:
        self._folder.mkdir(parents=True, exist_ok=True)
        return FileLock(self._folder / "append.lock")


class KeptScript(Script[Answer]):
    def __init__(self, role: str) -> None:
        super().__init__()
        self._answers = Kept(f"{role}.script")

    def enqueue(self, *answers: Answer | Exception) -> None:
        for answer in answers:
            self._answers.append(answer)

    def next(self, default: Answer) -> Answer:
        if (answer := self._answers.pop()) is not None:
            super().enqueue(answer)
        return super().next(default)


class Listens(stt.Fake):
    name = "Fake"

    def __init__(self) -> None:
        super().__init__()
        self.script = KeptScript("stt")
        self.heard = Kept("heard")  # type: ignore[assignment]
        self.wanted = Kept("wanted")  # type: ignore[assignment]


class Writes(llm.Fake):
    name = "Fake"

    def __init__(self) -> None:
        super().__init__()
        self.script = KeptScript("llm")
        self.asked = Kept("asked")  # type: ignore[assignment]
        self.sampled = Kept("sampled")  # type: ignore[assignment]


class Speaks(tts.Fake):
    name = "Fake"

    def __init__(self) -> None:
        super().__init__()
        self.script = KeptScript("tts")
        self.spoken = Kept("spoken")  # type: ignore[assignment]
