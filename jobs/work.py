"""One job, from its recording to its transcript: piece by piece, while nobody else wants the
engines, from where it was left."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Final, cast

import numpy as np

from jobs import files
from jobs.models import Job
from pipeline.audio import Audio
from pipeline.decoding.client import decoder
from pipeline.decoding.samples import SAMPLE_RATE
from pipeline.engines import engines
from pipeline.errors import EngineError, NoSpeech
from pipeline.stt.base import Segment, SpeechToText, Task, Transcript
from pipeline.stt.pieces import LOOK_S, look
from pipeline.subtitles import readable
from pipeline.traffic import traffic

logger = logging.getLogger(__name__)

LOOK_AGAIN_S: Final = 1.0
"""How soon a job that waits for its turn notices that it is not wanted any more."""

TRIES, BETWEEN_S = 3, 5.0
"""Of one piece: an engine that is busy, or elsewhere, may come back."""

PCM_BYTES: Final = 2


class Interrupted(Exception):
    """The process ends: the job goes on when it is started again."""


def do(job: Job, max_duration: float, leaving: threading.Event) -> None:
    """All that is left of ``job``, unless ``leaving`` is set. ``max_duration`` in seconds.

    :raises Cancelled, Interrupted: it is left where it is.
    :raises PipelineError: it cannot be done.
    """

    def wait() -> None:
        """Until nobody else wants the engines."""
        quiet = False
        while not quiet:
            if leaving.is_set():
                raise Interrupted
            job.still_wanted()
            quiet = traffic.wait_until_quiet(LOOK_AGAIN_S)

    if not files.path(job.pk, "pcm").exists():
        wait()
        _read(job, max_duration)
    sound = np.memmap(files.path(job.pk, "pcm"), dtype="<i2", mode="r")
    if job.duration is None:  # it was read, and the process ended
        job.read(len(sound) / SAMPLE_RATE)
    # What is heard but once need not be remembered.
    engine = engines.bare.stt
    engine.load()
    position = round(job.done_s * SAMPLE_RATE)
    while position < len(sound):
        wait()
        ahead = Audio.from_pcm16(
            sound[position : position + round(LOOK_S * SAMPLE_RATE)].tobytes(), SAMPLE_RATE
        ).samples
        piece = look(ahead, engine.speech_in, last=position + len(ahead) == len(sound))
        segments: list[Segment] = []
        language = job.heard_language or job.language
        if piece.speech is not None:
            transcript = _heard(job, engine, Audio(ahead[piece.speech], SAMPLE_RATE), wait)
            language = transcript.language if transcript.text else language
            offset = (position + piece.speech.start) / SAMPLE_RATE
            segments = [
                replace(s, start=s.start + offset, end=s.end + offset) for s in readable(transcript)
            ]
        position += piece.end
        job.heard(position / SAMPLE_RATE, segments, language)
    if not job.segments.exists():
        raise NoSpeech


def _read(job: Job, max_duration: float) -> None:
    """The upload is decoded, and goes.

    :raises AudioDecodeError, AudioTooLong, EngineBusy, EngineUnavailable, DiskFull:
    :raises OSError: it cannot be had.
    """
    files.fetch(job.pk)
    upload = files.path(job.pk, "upload")
    samples = 0
    with (
        upload.open("rb") as recording,
        files.writing(job.pk, "pcm", size_bytes=upload.stat().st_size) as file,
        closing(decoder.pieces(recording, max_duration)) as pieces,
    ):
        for piece in pieces:
            file.write(Audio(piece, SAMPLE_RATE).pcm16())
            samples += len(piece)
            if samples % (100 * len(piece)) == 0:
                job.still_wanted()
    job.read(samples / SAMPLE_RATE)
    upload.unlink(missing_ok=True)


def _heard(job: Job, engine: SpeechToText, audio: Audio, wait: Callable[[], None]) -> Transcript:
    """Of one piece, which may say nothing.

    :raises PipelineError: not after a few tries either.
    """
    for left in reversed(range(TRIES)):
        try:
            return engine.transcribe(
                audio,
                # What was detected first goes for all of it.
                language=job.heard_language or job.language or None,
                task=cast("Task", job.task),
                prompt=job.prompt,
                words=engine.times_words,
            )
        except NoSpeech:
            return Transcript("", "")
        except EngineError as exc:
            if not left:
                raise
            logger.warning("A piece of job %s is tried again: %s", job, exc, exc_info=exc)
            time.sleep(BETWEEN_S)
            wait()
    raise AssertionError  # it has returned, or raised
