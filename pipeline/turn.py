"""One turn: an utterance comes in, a reply is spoken back.

``events`` is the turn itself, as it happens; ``take`` waits for all of it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Literal, TypeVar

from django.utils.translation import gettext as _

from pipeline import prompts
from pipeline.ahead import ahead
from pipeline.audio import Audio
from pipeline.base import CacheState
from pipeline.engines import Engines
from pipeline.errors import EngineError
from pipeline.llm.base import AS_EVER, Message, Sampling, Usage
from pipeline.metrics import counted
from pipeline.sentences import SentenceSplitter
from pipeline.stt.base import Transcript
from pipeline.tts.base import Speech, whole
from pipeline.waiting import counted as waits

T = TypeVar("T")
R = TypeVar("R")
Stage = Literal["stt", "llm", "tts"]
ChooseVoice = Callable[[str | None], str | None]
"""Language, where it is known → id of a voice that speaks it."""


_adding = threading.Lock()


@dataclass(slots=True)
class Times:
    """Where the time went, in seconds. Stages overlap: their sum may exceed ``total``."""

    wait: float = 0.0  # for others, before any stage; no part of it
    stt: float = 0.0
    llm: float = 0.0
    llm_first: float = 0.0  # of it, until the first delta of the reply
    tts: float = 0.0
    first_audio: float = 0.0  # from the beginning of the turn to its first speech
    total: float = 0.0

    @contextmanager
    def measure(self, stage: Stage) -> Iterator[None]:
        started = time.monotonic()
        with waits() as waited:
            try:
                yield
            finally:
                took_s = time.monotonic() - started - waited.total_s
                setattr(self, stage, getattr(self, stage) + took_s)
                with _adding:  # a reply is written while speech is made
                    self.wait += waited.total_s

    def over(self, stage: Stage, source: Generator[T, None, R]) -> Generator[T, None, R]:
        """The items of ``source``, and what it returns; to make each counts for ``stage``."""
        with closing(source):
            while True:
                try:
                    with self.measure(stage):
                        item = next(source)
                    if stage == "llm":
                        self.llm_first = self.llm_first or self.llm
                except StopIteration as end:
                    returned: R = end.value
                    return returned
                yield item


@dataclass(frozen=True, slots=True)
class Heard:
    transcript: Transcript


@dataclass(frozen=True, slots=True)
class ReplyDelta:
    text: str


@dataclass(frozen=True, slots=True)
class Spoken:
    speech: Speech
    start: float = 0.0  # of its making, after any wait, in seconds from the beginning of the turn
    end: float = 0.0


@dataclass(frozen=True, slots=True)
class Done:
    turn: Turn


Event = Heard | ReplyDelta | Spoken | Done


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn that was taken."""

    transcript: Transcript
    reply: str
    speeches: tuple[Speech, ...]  # in the order they are heard
    times: Times
    usage: Usage | None = None  # of the reply, where the engine counts

    @property
    def audio(self) -> list[Audio]:
        """Speech of the whole reply, piece by piece, at the sample rate of the first."""
        return [
            speech.audio.resampled(self.speeches[0].audio.sample_rate) for speech in self.speeches
        ]

    @property
    def duration(self) -> float:
        """Of the speech, in seconds."""
        return sum(speech.audio.duration for speech in self.speeches)

    @property
    def cache(self) -> Mapping[str, CacheState]:
        """Of each stage; speech is ``hit`` when all of it was kept, ``miss`` when some was made."""
        states = {speech.cache for speech in self.speeches}
        return {
            "stt": self.transcript.cache,
            "llm": self.usage.cache if self.usage else "off",
            "tts": "hit" if states == {"hit"} else "miss" if "miss" in states else "off",
        }


@counted
def events(
    said: Audio | Transcript,
    engines: Engines,
    *,
    language: str | None = None,
    voice: str | ChooseVoice | None = None,
    speed: float = 1.0,
    history: Sequence[Message] = (),
    instructions: str = "",
    beside: str = "",
    sampling: Sampling = AS_EVER,
    reply: str | None = None,
    eager: bool = False,
    aloud: bool = True,
    times: Times | None = None,
) -> Generator[Event, None, None]:
    """Take a turn, event by event; closing the generator stops its work.

    ``said`` is an utterance, or the transcript of one that was heard before; ``reply`` is given
    when it was written before. ``language`` None detects it; ``voice`` may then be what chooses one
    once it is known.

    A reply is written in a thread of its own, so the speech of the first sentence is being made
    while the rest is still being thought of. ``eager`` is for speech that is heard while it is
    made: it begins with the first clause, see ``sentences``, and that comes in pieces where the
    engine can. ``aloud`` False only writes it.

    Of ``history`` the oldest turns are left out that do not fit the language model's context.

    ``instructions`` are what the assistant is told besides, ``sampling`` how it is to write;
    ``beside`` is what was written in the same breath, before what was said.

    ``times`` are filled in on the way, for whoever looks at a turn that does not come to its end.

    :raises PipelineError: see its tree.
    """
    times = Times() if times is None else times
    started = time.monotonic()
    speaker: str  # id of the voice
    written = ""
    usage: Usage | None = None
    pieces: list[Speech] = []

    def elapsed() -> float:
        return time.monotonic() - started

    def speak(sentences: Iterable[str]) -> Iterator[Spoken]:
        nonlocal speaker
        for sentence in sentences:
            first = eager and not pieces
            synthesis = engines.tts.synthesize(sentence, voice=speaker, speed=speed, eager=first)
            before = times.tts
            for speech in times.over("tts", synthesis):
                end = elapsed()
                start, before = end - (times.tts - before), times.tts
                times.first_audio = times.first_audio or end
                speaker = speech.voice  # one that stands in for another stays
                pieces.append(speech)
                yield Spoken(speech, start, end)

    def write() -> Generator[str, None, None]:
        nonlocal usage
        usage = yield from times.over("llm", engines.llm.reply(asked, sampling))

    def speaker_of(language: str | None) -> str:
        chosen = voice(language) if callable(voice) else voice
        return engines.tts.choose_voice(chosen, language).id

    if aloud and (isinstance(voice, str) or language is not None):
        speaker_of(language)  # fail before the work, not after it
    if isinstance(said, Transcript):
        transcript = said
    else:
        with times.measure("stt"):
            transcript = engines.stt.transcribe(said, language=language)
    speaker = speaker_of(transcript.language) if aloud else ""
    yield Heard(transcript)

    if reply is None:
        question = f"{beside}\n{transcript.text}".strip()
        with times.measure("llm"):
            asked = prompts.fitting(
                engines.llm, question, transcript.language, history, instructions
            )
        source = write()
    else:
        source = (delta for delta in [reply])
    splitter = SentenceSplitter(eager=eager)
    with ahead(source) as deltas:
        for delta in deltas:
            written += delta
            yield ReplyDelta(delta)
            if aloud:
                yield from speak(splitter.feed(delta))
        if aloud:
            yield from speak(splitter.flush())

    if aloud and not pieces:
        raise EngineError(_("The assistant found nothing to say."))
    times.total = elapsed()
    yield Done(Turn(transcript, written.strip(), tuple(whole(pieces)), times, usage))


def take(turn: Generator[Event, None, None]) -> Turn:
    """All of the turn that ``events`` began.

    :raises PipelineError: see its tree.
    """
    *_before, done = turn
    assert isinstance(done, Done)  # the last event, where none is an error
    return done.turn
