"""A turn as it is sent while it happens: as sound, or as server-sent events."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from base64 import b64encode
from typing import Any

from rest_framework.request import Request

from api.exceptions import Problem
from api.serializers import piece_json, transcript_json, turn_json
from history.recording import Recording
from pipeline.audio import Audio, open_wav, to_wav
from pipeline.stt.base import Transcript
from pipeline.turn import Done, Event, Heard, ReplyDelta, Spoken


class Encoder(ABC):
    """Makes bytes of the events of one turn."""

    transcript: Transcript  # known once the first bytes are

    def __init__(self, request: Request, account: Recording) -> None:
        self.request = request
        self.account = account

    @property
    @abstractmethod
    def content_type(self) -> str:
        """Known once the first bytes are."""

    def encode(self, event: Event) -> bytes:
        """``event`` as it is sent; empty when there is nothing to send yet."""
        if isinstance(event, Heard):
            self.transcript = event.transcript
        return self._encode(event)

    @abstractmethod
    def _encode(self, event: Event) -> bytes: ...

    def failure(self, problem: Problem) -> bytes | None:
        """What tells the client that the turn ends early; None where nothing could, but the end of
        the connection."""
        return None


class Sound(Encoder):
    """PCM, chunk after chunk, at the sample rate of the first."""

    sample_rate = 0  # Hz; not known yet

    def _encode(self, event: Event) -> bytes:
        if not isinstance(event, Spoken):
            return b""
        audio = event.speech.audio
        if self.sample_rate:
            return self.pcm(audio.resampled(self.sample_rate))
        self.sample_rate = audio.sample_rate
        return self.head() + self.pcm(audio)

    def head(self) -> bytes:
        return b""

    @abstractmethod
    def pcm(self, audio: Audio) -> bytes: ...


class Wav(Sound):
    """A WAV that does not say how long it is."""

    @property
    def content_type(self) -> str:
        return self.request.accepted_renderer.media_type

    def head(self) -> bytes:
        return open_wav(self.sample_rate)

    def pcm(self, audio: Audio) -> bytes:
        return audio.pcm16()


class L16(Sound):
    """Samples alone, in network byte order: RFC 2586, section 2."""

    @property
    def content_type(self) -> str:
        return f"audio/L16;rate={self.sample_rate};channels=1"

    def pcm(self, audio: Audio) -> bytes:
        return audio.pcm16(big_endian=True)


class Events(Encoder):
    """``heard``, ``reply`` and ``speech``, then ``done``, or ``error`` in its place."""

    @property
    def content_type(self) -> str:
        return "text/event-stream"

    def _encode(self, event: Event) -> bytes:
        match event:
            case Heard():
                return sent("heard", transcript_json(event.transcript))
            case ReplyDelta():
                return sent("reply", {"delta": event.text})
            case Spoken():
                wav = to_wav([event.speech.audio])
                speech = piece_json(self.request, event.speech)
                return sent("speech", {**speech, "audio": b64encode(wav).decode("ascii")})
            case Done():
                return sent("done", turn_json(self.request, self.account))

    def failure(self, problem: Problem) -> bytes:
        body = json.loads(problem.content)
        if "Retry-After" in problem:  # there is no header any more to say it in
            body["retry_after_s"] = int(problem["Retry-After"])
        return sent("error", body)


def sent(event: str, data: dict[str, Any], *, id: str = "") -> bytes:
    """https://html.spec.whatwg.org/multipage/server-sent-events.html"""
    head = f"id: {id}\n" if id else ""
    return f"{head}event: {event}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()
