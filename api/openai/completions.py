"""A turn as OpenAI's chat completions tell it, whole or chunk by chunk.

https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

import time
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Any, Final

from api.openai import events
from api.openai.messages import REPLY_LIFETIME_S, reply_id
from pipeline.encoding import encoder, whole
from pipeline.llm.base import Usage
from pipeline.stt.base import Transcript
from pipeline.turn import Done, Event, Heard, ReplyDelta, Spoken, Turn

ENCODINGS: Final = {
    "wav": "wav", "mp3": "mp3", "opus": "opus", "flac": "flac", "aac": "aac",
    "pcm16": "pcm", "pcm": "pcm",
}  # fmt: skip
"""What audio is asked for as → its name in ``pipeline.encoding``."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What all that is told of one completion has in common."""

    id: str
    model: str
    format: str | None  # of its audio; None for text alone
    created: int = field(default_factory=lambda: int(time.time()))

    def json(self, object: str, choice: dict[str, Any] | None, **more: Any) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": object,
            "created": self.created,
            "model": self.model,
            "choices": [] if choice is None else [{"index": 0, "logprobs": None, **choice}],
            **more,
        }


def completion_json(answer: Answer, turn: Turn) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": turn.reply, "refusal": None}
    if answer.format is not None:
        message["content"] = None  # it is the transcript
        message["audio"] = {
            "id": reply_id(turn.reply),
            "expires_at": answer.created + REPLY_LIFETIME_S,
            "data": _base64(whole(turn.audio, answer.format)),
            "transcript": turn.reply,
        }
    choice = {"message": message, "finish_reason": _finish_reason(turn)}
    return answer.json("chat.completion", choice, usage=usage_json(turn.usage))


class Chunks:
    """Makes server-sent events of those of a turn. They begin with the reply."""

    transcript: Transcript  # known once the first bytes are

    def __init__(self, answer: Answer, *, usage: bool) -> None:
        """``usage``: whether what it took is told at the end."""
        self._answer = answer
        self._usage = usage
        self._encoder = encoder(answer.format) if answer.format is not None else None
        self._begun = False

    def encode(self, event: Event) -> bytes:
        """``event`` as it is sent; empty when there is nothing to send yet."""
        match event:
            case Heard():
                self.transcript = event.transcript
                return b""
            case ReplyDelta():
                return self._written(event.text)
            case Spoken():
                assert self._encoder is not None
                return self._audio(self._encoder.feed(event.speech.audio))
            case Done():
                return self._done(event.turn)

    def _written(self, text: str) -> bytes:
        if not self._begun:
            text = text.lstrip()  # some weights begin with a blank
        if not text:
            return b""
        return self._delta({"content": text} if self._encoder is None else _heard(transcript=text))

    def _audio(self, data: bytes) -> bytes:
        return self._delta(_heard(data=_base64(data))) if data else b""

    def _done(self, turn: Turn) -> bytes:
        told = b""
        if self._encoder is not None:
            told += self._audio(self._encoder.finish())
            told += self._delta(_heard(id=reply_id(turn.reply)))
            told += self._delta(_heard(expires_at=self._answer.created + REPLY_LIFETIME_S))
        told += self._delta({}, _finish_reason(turn))
        if self._usage:
            told += self._chunk(None, usage_json(turn.usage))
        return told + events.DONE

    def _delta(self, delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
        opening = b""
        if not self._begun:
            self._begun = True
            first = {"role": "assistant"} if self._encoder else {"role": "assistant", "content": ""}
            opening = self._delta(first)
        return opening + self._chunk({"delta": delta, "finish_reason": finish_reason})

    def _chunk(self, choice: dict[str, Any] | None, usage: dict[str, Any] | None = None) -> bytes:
        more = {"usage": usage} if self._usage else {}
        return events.sent(self._answer.json("chat.completion.chunk", choice, **more))


def usage_json(usage: Usage | None) -> dict[str, Any] | None:
    """In tokens of what writes replies: audio is text by then. None where it does not count."""
    if usage is None:
        return None
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.reply_tokens,
        "total_tokens": usage.prompt_tokens + usage.reply_tokens,
    }


def _heard(**audio: str | int) -> dict[str, Any]:
    return {"audio": audio}


def _finish_reason(turn: Turn) -> str:
    return "length" if turn.usage is not None and turn.usage.cut else "stop"


def _base64(data: bytes) -> str:
    return b64encode(data).decode("ascii")
