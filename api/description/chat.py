"""A turn in OpenAI's words: ``/v1/chat/completions``."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.utils import OpenApiExample, OpenApiRequest, OpenApiResponse
from rest_framework import serializers as fields

from api.description.answers import ENGINES, NO_BUFFERING, OF_A_TURN, UPLOADS, Events
from api.description.bodies import Body
from api.description.describing import describe
from api.description.openai import TAG, OpenAIError, OpenAIProblem
from api.openai import chat
from api.openai.listing import ModelNotFound
from api.openai.serializers import ChatBody
from pipeline import errors

RECORDING_BASE64 = "UklGRg=="
"""Stands for one in the example."""

# --- what is sent ------------------------------------------------------------------------------

TEXT_PART = {
    "type": "object",
    "required": ["type", "text"],
    "properties": {"type": {"const": "text"}, "text": {"type": "string"}},
}
RECORDING_PART = {
    "type": "object",
    "required": ["type", "input_audio"],
    "properties": {
        "type": {"const": "input_audio"},
        "input_audio": {
            "type": "object",
            "required": ["data"],
            "properties": {
                "data": {
                    "type": "string",
                    "contentEncoding": "base64",
                    "description": "A recording in any format that is read here.",
                },
                "format": {"type": "string", "description": "Not looked at: it says so itself."},
            },
        },
    },
}


class ContentExtension(OpenApiSerializerFieldExtension):
    target_class = "api.openai.messages.ContentField"

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        parts = {"type": "array", "items": {"oneOf": [TEXT_PART, RECORDING_PART]}}
        told = "A text, or texts and recordings."
        return {"oneOf": [{"type": "string"}, parts], "description": told}


class TextsExtension(OpenApiSerializerFieldExtension):
    target_class = "api.openai.serializers.TextsField"

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        text = {"type": "string"}
        return {"oneOf": [text, {"type": "array", "items": text, "maxItems": 16}]}


class VoiceExtension(OpenApiSerializerFieldExtension):
    target_class = "api.openai.serializers.VoiceField"

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        text = {"type": "string"}
        named = {"type": "object", "required": ["id"], "properties": {"id": text}}
        told = "An id of `GET /v1/audio/voices`, or a name of OpenAI's."
        return {
            "oneOf": [text, {**named, "additionalProperties": False}],
            "description": told,
        }


class AnythingExtension(OpenApiSerializerFieldExtension):
    """Named type by type: to a schema of anything, null could not be added."""

    target_class = "rest_framework.serializers.JSONField"

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        return {"type": ["object", "array", "string", "number", "boolean"]}


# --- what is answered --------------------------------------------------------------------------


class CompletionUsage(Body):
    """In tokens of what writes replies: audio is text by then."""

    prompt_tokens = fields.IntegerField()
    completion_tokens = fields.IntegerField()
    total_tokens = fields.IntegerField()


class ReplyAudio(Body):
    """The reply, said aloud."""

    id = fields.CharField(help_text="Sent back in a later message, it stands for the reply.")
    expires_at = fields.IntegerField(help_text="Seconds since 1970.")
    data = fields.CharField(help_text="In base64, as `audio.format` says.")  # type: ignore[assignment] # its name
    transcript = fields.CharField(help_text="What is said: the reply.")


class CompletionMessage(Body):
    role = fields.ChoiceField(choices=["assistant"])
    content = fields.CharField(allow_null=True, help_text="The reply; null where it is audio.")
    refusal = fields.CharField(allow_null=True, help_text="Null: errors have a status.")
    audio = ReplyAudio(required=False)


FINISHES = ["stop", "length"]


class CompletionChoice(Body):
    index = fields.IntegerField()
    message = CompletionMessage()
    logprobs = fields.DictField(allow_null=True, help_text="Null.")
    finish_reason = fields.ChoiceField(choices=FINISHES, help_text="`length`: it was cut off.")


class Completion(Body):
    """A reply."""

    id = fields.CharField()
    object = fields.ChoiceField(choices=["chat.completion"])
    created = fields.IntegerField(help_text="Seconds since 1970.")
    model = fields.CharField(help_text="What replied.")
    choices = CompletionChoice(many=True)
    usage = CompletionUsage(allow_null=True, help_text="Null where the engine does not count.")


class AudioDelta(Body):
    """More of the reply that is said aloud: one of these."""

    transcript = fields.CharField(required=False, trim_whitespace=False)
    data = fields.CharField(required=False, help_text="In base64.")  # type: ignore[assignment] # its name
    id = fields.CharField(required=False)
    expires_at = fields.IntegerField(required=False)


class CompletionDelta(Body):
    """More of the reply; the first tells whose it is, the last is empty."""

    role = fields.ChoiceField(choices=["assistant"], required=False)
    content = fields.CharField(required=False, allow_blank=True, trim_whitespace=False)
    audio = AudioDelta(required=False)


class DeltaChoice(Body):
    index = fields.IntegerField()
    delta = CompletionDelta()
    logprobs = fields.DictField(allow_null=True, help_text="Null.")
    finish_reason = fields.ChoiceField(choices=FINISHES, allow_null=True)


class CompletionChunk(Body):
    """A piece of a reply, or the `error` that ends it. After the last comes `[DONE]`."""

    id = fields.CharField(required=False)
    object = fields.ChoiceField(choices=["chat.completion.chunk"], required=False)
    created = fields.IntegerField(required=False)
    model = fields.CharField(required=False)
    choices = DeltaChoice(many=True, required=False, help_text="None, beside the `usage`.")
    usage = CompletionUsage(
        allow_null=True,
        required=False,
        help_text="In the last chunk, where `stream_options.include_usage` is true.",
    )
    error = OpenAIError(required=False)


describe(
    chat.ChatView,
    "post",
    "create_chat_completion",
    tag=TAG,
    summary="Ask a question, written or spoken; hear or read the reply",
    description="The last message is the question. With `input_audio` in it and `audio` among "
    "the `modalities`, one request goes from sound to sound. `X-Transcript` tells what was heard.",
    parameters=[
        NO_BUFFERING,
        *OF_A_TURN,
    ],
    request={
        "application/json": OpenApiRequest(
            ChatBody,
            examples=[
                OpenApiExample(
                    "A written question",
                    {
                        "model": "gpt-4o",
                        "messages": [
                            {"role": "user", "content": "Quelle est la capitale de l'Italie ?"}
                        ],
                    },
                    request_only=True,
                ),
                OpenApiExample(
                    "From sound to sound",
                    {
                        "model": "gpt-4o-audio-preview",
                        "modalities": ["text", "audio"],
                        "audio": {"voice": "alloy", "format": "wav"},
                        "messages": [
                            {
                                "role": "user",
                                "content": [
                                    {
                                        "type": "input_audio",
                                        "input_audio": {"data": RECORDING_BASE64, "format": "wav"},
                                    }
                                ],
                            }
                        ],
                    },
                    request_only=True,
                ),
            ],
        )
    },
    answers={
        (200, "application/json"): OpenApiResponse(Completion, "The reply."),
        (200, "text/event-stream"): Events(
            "data alone, where `stream` is true", {"": CompletionChunk}
        ),
    },
    errors=[
        *UPLOADS,
        *ENGINES,
        *(errors.InputError, errors.NoSpeech, errors.TextTooLong),
        *(errors.UnknownVoice, errors.UnsupportedLanguage, errors.UnsupportedTask),
        ModelNotFound,
    ],
    forms=(ChatBody,),
    codes=[
        *("messages_no_question", "messages_not_found"),
        *("response_format_unsupported", "tool_choice_unsupported"),
    ],
    shape=OpenAIProblem,
)
