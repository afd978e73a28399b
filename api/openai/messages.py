"""The messages of a chat, as OpenAI's clients send them."""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

from django.core import signing
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from rest_framework import serializers

Part = str | bytes
"""Something written, or a recording."""

INSTRUCTING: Final = ("system", "developer")
IGNORED: Final = ("tool", "function")
"""Nothing here calls tools: what they gave was asked for by another model."""

REPLY_LIFETIME_S: Final = 30 * 86_400
_SALT: Final = "api.openai.messages"

MOST_SPOKEN: Final = 16
"""Recordings that are heard of one chat, the latest: clients send all of them with each request."""


@dataclass(frozen=True, slots=True)
class Said:
    role: Literal["user", "assistant"]
    parts: tuple[Part, ...]

    @property
    def recordings(self) -> list[bytes]:
        return [part for part in self.parts if isinstance(part, bytes)]


@dataclass(frozen=True, slots=True)
class Chat:
    instructions: str
    before: Sequence[Said]
    question: Said


def reply_id(reply: str) -> str:
    """An id of spoken ``reply`` that holds it: to know it again, nothing has to be kept."""
    return "audio_" + signing.dumps(reply, salt=_SALT, compress=True)


def reply_of(id: str) -> str:
    """What ``reply_id`` was given.

    :raises ValueError: it is none of ours, or too old.
    """
    try:
        value = signing.loads(id.removeprefix("audio_"), salt=_SALT, max_age=REPLY_LIFETIME_S)
    except signing.BadSignature as exc:
        raise ValueError(id) from exc
    return cast("str", value)


class ContentField(serializers.Field[Any, Any, Any, Any]):
    """A text, or a list of parts: texts and recordings."""

    default_error_messages = {
        "invalid": gettext_lazy("The content of a message is a text, or a list of parts."),
        "unsupported": gettext_lazy(
            "Parts of the type “%(type)s” are not understood, only “text” and “input_audio”."
        ),
        "not_base64": gettext_lazy("The data of a recording must be base64."),
    }

    def to_internal_value(self, data: Any) -> tuple[Part, ...]:
        if isinstance(data, str):
            return (_text(data),)
        if not isinstance(data, list):
            self.fail("invalid")
        parts: list[Part] = []
        errors: Any = {}  # place → what is wrong
        for place, part in enumerate(data):
            try:
                parts.append(self._part(part))
            except serializers.ValidationError as exc:
                errors[place] = exc.detail
        if errors:
            raise serializers.ValidationError(errors)
        return tuple(parts)

    def _part(self, part: Any) -> Part:
        if not isinstance(part, Mapping):
            self.fail("invalid")
        kind = part.get("type")
        if kind in ("text", "refusal"):
            return _text(part.get(kind))
        if kind != "input_audio":
            message = self.error_messages["unsupported"] % {"type": str(kind)[:32]}
            raise serializers.ValidationError(message, "unsupported")
        recording = part.get("input_audio")
        data = recording.get("data") if isinstance(recording, Mapping) else None
        try:
            return b64decode(data or "", validate=True)  # what it is, it says itself: see decode
        except (TypeError, ValueError, binascii.Error):
            self.fail("not_base64")


def _text(data: Any) -> str:
    field = serializers.CharField(allow_blank=True, trim_whitespace=False)
    return str(field.run_validation(data))


class ReplySerializer(serializers.Serializer[None]):
    """Speech that was given before, by its id."""

    id = serializers.CharField()

    def validate_id(self, id: str) -> str:
        try:
            reply_of(id)
        except ValueError as exc:
            text = _("This is no speech of ours, or it was given too long ago.")
            raise serializers.ValidationError(text, "not_found") from exc
        return id


class MessageSerializer(serializers.Serializer[None]):
    role = serializers.ChoiceField(["user", "assistant", *INSTRUCTING, *IGNORED])
    content = ContentField(required=False, allow_null=True, default=())
    audio = ReplySerializer(required=False, allow_null=True, default=None)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        spoken = any(isinstance(part, bytes) for part in attrs["content"] or ())
        if spoken and attrs["role"] != "user":
            text = _("Only the messages of the user hold recordings.")
            raise serializers.ValidationError({"content": [text]}, "unsupported")
        return attrs


def chat(messages: Sequence[Mapping[str, Any]]) -> Chat:
    """The chat of ``messages``, as ``MessageSerializer`` gives them.

    Neighbours of the same role are one message: weights were trained on turns.

    :raises serializers.ValidationError: nothing is asked.
    """
    instructions: list[str] = []
    said: list[Said] = []
    for message in messages:
        role, parts = message["role"], tuple(message["content"] or ())
        if role in INSTRUCTING:
            instructions += [part for part in parts if isinstance(part, str)]
            continue
        if role in IGNORED:
            continue
        if message["audio"] and not parts:
            parts = (reply_of(message["audio"]["id"]),)
        parts = tuple(part for part in parts if not isinstance(part, str) or part.strip())
        if said and said[-1].role == role:
            said[-1] = Said(role, (*said[-1].parts, *parts))
        elif parts:
            said.append(Said(role, parts))
    if not said or said[-1].role != "user":
        text = _("The last message must be the user's, and say something.")
        raise serializers.ValidationError({"messages": [text]}, "no_question")
    told = "\n".join(text.strip() for text in instructions)
    return Chat(told.strip(), _latest(said[:-1]), said[-1])


def _latest(said: Sequence[Said]) -> Sequence[Said]:
    """``said`` without what was before its ``MOST_SPOKEN`` latest recordings."""
    spoken = 0
    for place in range(len(said) - 1, -1, -1):
        spoken += len(said[place].recordings)
        if spoken > MOST_SPOKEN:
            return said[place + 1 :]
    return said
