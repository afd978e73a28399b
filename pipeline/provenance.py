"""Where the parts of a turn came from."""

from __future__ import annotations

from pipeline.base import CacheState
from pipeline.engines import Engines
from pipeline.errors import PipelineError
from pipeline.turn import Turn
from pipeline.weights import WeightsError


def caches(turn: Turn) -> dict[str, CacheState]:
    """Whether the result of each stage was kept from before (hit), is kept now (miss) or is not."""
    return dict(turn.cache)


def outbound(turn: Turn, engines: Engines) -> dict[str, bool]:
    """Whether what each stage worked on left the machine. Speech from the cache did not."""
    return {
        "stt": engines.stt.outbound,
        "llm": engines.llm.outbound,
        "tts": any(speech.outbound for speech in turn.speeches),
    }


def speakers(turn: Turn) -> list[str]:
    """The engines that spoke, in order: several when one had to stand in for another."""
    return list(dict.fromkeys(speech.engine for speech in turn.speeches))


def identities(engines: Engines) -> dict[str, dict[str, str]]:
    """Role → what decides its engine's results; the name alone where weights are missing."""
    known = {}
    for role, engine in engines:
        try:
            known[role] = dict(engine.identity)
        except (PipelineError, WeightsError):
            known[role] = {"engine": engine.name}
    return known
