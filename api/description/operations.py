"""Every address: what it takes, and all that it may answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from drf_spectacular.utils import (
    OpenApiParameter,
    OpenApiRequest,
    OpenApiResponse,
    extend_schema,
    extend_schema_view,
)
from rest_framework import exceptions as drf
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from api import exceptions, health, metrics, views
from api.description import bodies
from api.description.answers import (
    BINARY,
    CHALLENGE,
    ENGINES,
    REQUEST_ID,
    RETRY_AFTER,
    TEXT,
    UPLOADS,
    Error,
    Events,
    header,
    refusals,
)
from api.serializers import KEYS, Question, Wishes
from history.errors import ConversationBusy, ConversationNotFound
from pipeline import errors

Endpoint = tuple[str, str, str, Callable[..., Any]]

_described: set[tuple[type[APIView], str]] = set()


def describe(
    view: type[APIView],
    method: str,
    name: str,
    *,
    tag: str,
    summary: str,
    description: str = "",
    parameters: Sequence[OpenApiParameter] = (),
    request: Any = None,
    answers: Mapping[Any, Any],
    errors: Iterable[Error] = (),
    forms: tuple[type[Serializer[Any]], ...] = (),
) -> None:
    """Say what ``method`` of ``view`` does. ``name``: its id, as clients made from it call it.

    ``answers`` are those that are no errors, by status, or by status and media types; ``forms``
    are those whose fields may be wrong.
    """
    keys, security = _keys(view)
    refused = {
        (number, "application/json"): answer
        for number, answer in refusals(*errors, *keys, forms=forms).items()
    }
    documented = extend_schema(
        operation_id=name,
        tags=[tag],
        summary=summary,
        description=description,
        parameters=[*parameters, *REQUEST_ID, *([CHALLENGE] if keys else [])],
        request=request,
        responses={**answers, **refused},
        auth=security,  # type: ignore[arg-type] # it may be as it is written
    )
    extend_schema_view(**{method: documented})(view)
    _described.add((view, method.upper()))


def _keys(view: type[APIView]) -> tuple[list[Error], list[dict[str, list[str]]]]:
    """What may be wrong with a key for ``view``, and how it is sent; from here, none is needed."""
    if not view.authentication_classes:
        return [], []
    if getattr(view, "open", False):
        return [exceptions.KeyRefused], [*KEYS_SENT, {}]
    refused: list[Error] = [exceptions.KeyRefused, exceptions.KeyNeeded]
    if getattr(view, "scope", ""):
        refused.append(exceptions.ScopeMissing)
    return refused, [*KEYS_SENT, {}]


def described(endpoints: list[Endpoint], **_kwargs: Any) -> list[Endpoint]:
    """Those of ``endpoints`` that were."""
    return [
        endpoint
        for endpoint in endpoints
        if (endpoint[3].cls, endpoint[2]) in _described  # type: ignore[attr-defined]
    ]


KEYS_SENT: list[dict[str, list[str]]] = [{"bearer": []}, {"header": []}]
"""As the settings have them, in ``SPECTACULAR_SETTINGS``."""

WAV = ("audio/wav", "audio/x-wav", "audio/wave")

ON_ITS_WAY = (
    " Streamed, the reply is heard while it is made: `audio/L16` is plain samples, in network byte "
    "order, at the rate that `Content-Type` tells; WAV is streamed where `stream` is true, and "
    "does not say how long it is; `text/event-stream` has all there is to know, as it happens."
)

describe(
    views.IndexView,
    "get",
    "index",
    tag="Service",
    summary="Where things are",
    answers={200: bodies.Addresses},
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
        header("X-Transcript", "What was heard, as percent-encoded UTF-8.", 200),
        header("X-Reply", "The reply, likewise; not where it is streamed.", 200),
        header("X-Cache", "Per stage: `hit`, `miss` or `off`; not where it is streamed.", 200),
        header("X-Outbound", "Per stage: whether what it works on leaves the machine.", 200),
        header("X-Speech-Engine", "Who spoke; not where it is streamed.", 200),
        header("Server-Timing", "Milliseconds per stage; not where it is streamed.", 200),
        header("Content-Language", "The language of the question.", 200),
        header("Content-Disposition", "A name for the file, with WAV.", 200),
        header("X-Accel-Buffering", "`no`, where it is streamed.", 200),
        RETRY_AFTER,
    ],
    request={
        "multipart/form-data": OpenApiRequest(
            Question, encoding={"audio": {"contentType": "audio/*, application/octet-stream"}}
        )
    },
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
    },
    errors=[
        *UPLOADS,
        *ENGINES,
        exceptions.UploadTooLarge,
        exceptions.UploadIncomplete,
        errors.InputError,
        errors.NoSpeech,
        *(ConversationNotFound, ConversationBusy),
        errors.TextTooLong,
        errors.UnknownVoice,
        errors.UnsupportedLanguage,
        errors.UnsupportedTask,
        drf.NotAcceptable,
        ConversationBusy,
        ConversationNotFound,
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
        OpenApiParameter(
            "Range",
            {"type": "string", "pattern": r"^bytes=\d*-\d*$"},
            OpenApiParameter.HEADER,
            description="Of bytes.",
        ),
        OpenApiParameter("If-None-Match", str, OpenApiParameter.HEADER, description="An `ETag`."),
        header("ETag", "Changes when the speech is corrected.", 200, 206, 304),
        header("Accept-Ranges", "`bytes`.", 200, 206),
        header("Content-Range", "What of how much.", 206, 416),
    ],
    answers={
        (200, "audio/wav"): OpenApiResponse(BINARY, "All of it, end to end."),
        (206, "audio/wav"): OpenApiResponse(BINARY, "The range."),
        304: OpenApiResponse(description="It is as you know it."),
    },
    errors=[exceptions.SpeechNotFound, drf.NotFound, exceptions.RangeNotSatisfiable],
)

describe(
    health.LiveView,
    "get",
    "live",
    tag="Service",
    summary="Whether the process answers",
    answers={200: bodies.Live},
)

describe(
    health.ReadyView,
    "get",
    "ready",
    tag="Service",
    summary="Whether a turn would be answered now",
    answers={
        200: OpenApiResponse(bodies.Ready, "It would."),
        503: OpenApiResponse(bodies.Ready, "It would not; what is missing is told."),
    },
)

describe(
    metrics.MetricsView,
    "get",
    "metrics",
    tag="Service",
    summary="What Prometheus scrapes",
    answers={
        (200, "text/plain", "application/openmetrics-text"): OpenApiResponse(
            TEXT, "See docs/observing.md."
        )
    },
)
