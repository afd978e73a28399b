"""Turns, voices and kept speech."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework import exceptions as drf

from api import exceptions, views
from api.description import bodies
from api.description.answers import (
    BINARY,
    ENGINES,
    KEPT,
    NO_BUFFERING,
    OF_A_TURN,
    UPLOADS,
    Events,
    header,
    kept_sound,
)
from api.description.describing import describe, form
from api.serializers import KEYS, Question, Wishes
from history.errors import ConversationBusy, ConversationNotFound
from jobs.errors import DiskFull, TooManyJobs
from pipeline import errors

WAV = ("audio/wav", "audio/x-wav", "audio/wave")

ON_ITS_WAY = (
    " Streamed, the reply is heard while it is made: `audio/L16` is plain samples, in network byte "
    "order, at the rate that `Content-Type` tells; WAV is streamed where `stream` is true, and "
    "does not say how long it is; `text/event-stream` has all there is to know, as it happens."
)

describe(
    views.VoicesView,
    "get",
    "voices",
    tag="Turns",
    summary="The voices there are",
    parameters=[
        OpenApiParameter("language", str, description="Only those of this one: `fr`, or `fr-FR`.")
    ],
    answers={200: bodies.Voice(many=True)},
)

describe(
    views.VoiceView,
    "post",
    "ask",
    tag="Turns",
    summary="Ask a spoken question, hear the answer",
    description="Sound, unless JSON is preferred by `Accept` or `format`." + ON_ITS_WAY,
    parameters=[
        OpenApiParameter(
            "format",
            str,
            enum=["wav", "json", "l16", "events"],
            description="What to answer in; goes before `Accept`.",
        ),
        OpenApiParameter("stream", bool, description="As in the form."),
        OpenApiParameter("cache", str, enum=["on", "off"], description="As in the form."),
        OpenApiParameter(
            "Cache-Control",
            str,
            OpenApiParameter.HEADER,
            description="`no-store` is as good as `cache=off`.",
        ),
        *OF_A_TURN,
        header("Content-Disposition", "A name for the file, with WAV.", 200),
        NO_BUFFERING,
        header("Location", "The job that was made of it.", 202),
    ],
    request=form(Question),
    answers={
        (200, *WAV): OpenApiResponse(BINARY, "The turn was taken."),
        (200, "application/json"): OpenApiResponse(bodies.Turn, "The turn was taken."),
        (200, "audio/L16"): OpenApiResponse(BINARY, "The turn was taken."),
        (200, "text/event-stream"): Events(
            "`heard`, then `reply` and `speech` as they are made, then `done`; or `error`, where "
            "they cannot be made any more.",
            {
                "heard": bodies.Transcript,
                "reply": bodies.ReplyDelta,
                "speech": bodies.SpokenSentence,
                "done": bodies.Turn,
                "error": bodies.Problem,
            },
        ),
        (202, "application/json"): OpenApiResponse(
            bodies.Job, "It is too long for a turn, and will be written down."
        ),
    },
    errors=[
        *UPLOADS,
        *ENGINES,
        *(TooManyJobs, DiskFull),
        errors.InputError,
        errors.NoSpeech,
        *(ConversationNotFound, ConversationBusy),
        errors.TextTooLong,
        errors.UnknownVoice,
        errors.UnsupportedLanguage,
        errors.UnsupportedTask,
        drf.NotAcceptable,
    ],
    forms=(Question, Wishes),
)

describe(
    views.SpeechView,
    "get",
    "speech",
    tag="Turns",
    summary="Kept speech, by the address a turn gave",
    parameters=[
        OpenApiParameter(
            "keys",
            str,
            OpenApiParameter.PATH,
            pattern=f"^{KEYS}$",
            description="Of one sentence or of several, joined by `+`.",
        ),
        *KEPT,
    ],
    answers=kept_sound(),
    errors=[exceptions.SpeechNotFound, exceptions.RangeNotSatisfiable],
)
