"""Resolves the ``ENGINES`` setting: role → dotted path and options → one instance a process.

::

    ENGINES = {
        "stt": {"BACKEND": "pipeline.stt.faster_whisper.FasterWhisper",
                "OPTIONS": {"weights": "whisper-base"}},
        "llm": …, "tts": …,
    }
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, cast

from django.conf import settings
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from pipeline.base import Engine
from pipeline.errors import InvalidEngineError
from pipeline.llm.base import LanguageModel
from pipeline.stt.base import SpeechToText
from pipeline.tts.base import TextToSpeech

ROLES: Mapping[str, type[Engine]] = {
    "stt": SpeechToText,
    "llm": LanguageModel,
    "tts": TextToSpeech,
}

E = TypeVar("E", bound=Engine)


def build(entry: object, contract: type[E], *, where: str) -> E:
    """The engine an ``ENGINES`` entry describes; ``where`` names the entry in errors.

    :raises InvalidEngineError: not an entry, not importable, not of the role, or with an option
        its class does not know.
    """
    if not isinstance(entry, Mapping) or not isinstance(entry.get("BACKEND"), str):
        raise InvalidEngineError(f"{where} must be {{'BACKEND': 'dotted.path', 'OPTIONS': {{…}}}}.")
    if unknown := set(entry) - {"BACKEND", "OPTIONS"}:
        raise InvalidEngineError(f"{where} has unknown keys: {', '.join(sorted(unknown))}.")
    path, options = entry["BACKEND"], entry.get("OPTIONS", {})
    try:
        cls = import_string(path)
    except ImportError as exc:
        raise InvalidEngineError(f"{where}: cannot import {path!r}: {exc}") from exc
    if not (isinstance(cls, type) and issubclass(cls, contract)):
        raise InvalidEngineError(f"{where}: {path} is not a {contract.__name__}.")
    try:
        inspect.signature(cls).bind(**options)
    except TypeError as exc:
        known = ", ".join(inspect.signature(cls).parameters)
        raise InvalidEngineError(
            f"{where}: wrong options for {path}: {exc}. Its options are: {known}."
        ) from exc
    try:
        return cls(**options)
    except (TypeError, ValueError) as exc:
        raise InvalidEngineError(f"{where}: {path} refuses its options: {exc}") from exc


class Engines:
    """The three engines of a configuration, built on first use and kept."""

    def __init__(self, configuration: Mapping[str, Any] | None = None) -> None:
        """``configuration`` None reads the ``ENGINES`` setting."""
        self._configuration = configuration
        self._built: dict[str, Engine] = {}
        self._lock = threading.RLock()

    def __getitem__(self, role: str) -> Engine:
        # The lock that Django's storages lack: engines are shared by all threads, and two
        # copies of the weights would not fit.
        with self._lock:
            if role not in self._built:
                configuration = (
                    settings.ENGINES if self._configuration is None else self._configuration
                )
                if role not in configuration:
                    raise InvalidEngineError(f"ENGINES has no entry {role!r}.")
                self._built[role] = build(
                    configuration[role], ROLES[role], where=f"ENGINES[{role!r}]"
                )
            return self._built[role]

    def __iter__(self) -> Iterator[tuple[str, Engine]]:
        return ((role, self[role]) for role in ROLES)

    @property
    def stt(self) -> SpeechToText:
        return cast("SpeechToText", self["stt"])

    @property
    def llm(self) -> LanguageModel:
        return cast("LanguageModel", self["llm"])

    @property
    def tts(self) -> TextToSpeech:
        return cast("TextToSpeech", self["tts"])

    @property
    def bare(self) -> Engines:
        """The same engines without what remembers their results."""
        return self._with({role: engine.bare for role, engine in self})

    @property
    def afresh(self) -> Engines:
        """The same engines, of which none but what speaks remembers its results."""
        return self._with({"stt": self.stt.bare, "llm": self.llm.bare, "tts": self.tts})

    def _with(self, built: dict[str, Engine]) -> Engines:
        others = Engines({})
        others._built = built
        return others

    @property
    def loaded(self) -> bool:
        return all(engine.loaded for _role, engine in self)

    def warm_up(self) -> None:
        """Load and warm up all three, one after another: they share the cores."""
        for _role, engine in self:
            engine.warm_up()

    def reset(self) -> None:
        """Forget the instances, as when settings change under tests."""
        with self._lock:
            self._built.clear()


engines = Engines()


def _reset(*, setting: str, **_kwargs: object) -> None:
    if setting == "ENGINES":
        engines.reset()


setting_changed.connect(_reset, dispatch_uid="pipeline.engines")
