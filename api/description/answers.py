"""What may belong to any answer: errors, headers, streams of events."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework import exceptions as drf
from rest_framework.serializers import (
    Field,
    FileField,
    ListField,
    ListSerializer,
    Serializer,
)

from api.description.bodies import Body, Problem
from api.exceptions import (
    STATUSES,
    BadRequest,
    DatabaseUnavailable,
    InternalError,
    UploadIncomplete,
    UploadTooLarge,
    UploadTooSlow,
)
from jobs.errors import DiskFull
from pipeline.errors import (
    AudioDecodeError,
    AudioTooLong,
    EngineBusy,
    EngineError,
    EngineTimeout,
    EngineUnavailable,
    PipelineError,
)

Error = type[PipelineError] | type[drf.APIException]

ALWAYS: tuple[Error, ...] = (BadRequest, InternalError, DatabaseUnavailable)
ENGINES: tuple[Error, ...] = (EngineError, EngineUnavailable, EngineBusy, EngineTimeout)
BODIES: tuple[Error, ...] = (
    *(drf.ParseError, drf.UnsupportedMediaType),
    *(UploadTooLarge, UploadIncomplete, UploadTooSlow),
)
UPLOADS: tuple[Error, ...] = (
    *BODIES,
    *(AudioDecodeError, AudioTooLong),
    *(EngineUnavailable, EngineBusy),  # of what reads them
    DiskFull,
)

BINARY = {"type": "string", "format": "binary"}
TEXT = {"type": "string"}


def status(error: Error) -> int:
    if issubclass(error, PipelineError):
        return next(STATUSES[cls] for cls in error.__mro__ if cls in STATUSES)
    return error.status_code


def code(error: Error) -> str:
    return error.code if issubclass(error, PipelineError) else error.default_code


def form_codes(*forms: type[Serializer[Any]]) -> Iterator[str]:
    """Those of whatever can be wrong with the fields of ``forms``, or of objects in JSON."""
    for form in forms:
        fields = form().fields
        in_json = not any(isinstance(field, FileField) for field in fields.values())
        if in_json:
            yield from ("body_invalid", "body_null")  # it is no object
        for name, field in fields.items():
            for error in _wrong(field):
                if in_json or error != "null":
                    yield f"{name}_{'missing' if error == 'required' else error}"


def _wrong(field: Any) -> Iterator[str]:
    """What can be, with ``field`` or with anything in it."""
    yield from (error for error in field.error_messages if _possible(error, field))
    yield from (v.code for v in getattr(field, "validators", []) if hasattr(v, "code"))
    if isinstance(field, Serializer):
        for inner in field.fields.values():
            yield from _wrong(inner)
    elif isinstance(field, ListField | ListSerializer):
        yield from _wrong(field.child)


def _possible(error: str, field: Field[Any, Any, Any, Any]) -> bool:
    match error:
        case "required":
            return field.required
        case "null":
            return not field.allow_null
        case "blank":
            return not getattr(field, "allow_blank", False)
        case "empty" if not isinstance(field, FileField):
            return not getattr(field, "allow_empty", True)
        case "max_length" | "min_length" | "max_value" | "min_value":
            return getattr(field, error, None) is not None
    return True


def refusals(
    shape: type[Body],
    *errors: Error,
    forms: tuple[type[Serializer[Any]], ...] = (),
    codes: Iterable[str] = (),
) -> dict[int, Any]:
    """Status → the answer to those of ``errors`` that have it, with their codes. ``codes``: more
    that a form may have; ``shape``: ``Problem``, or that of OpenAI's API."""
    told: dict[int, set[str]] = defaultdict(set)
    for error in (*ALWAYS, *errors):
        told[status(error)].add(code(error))
    told[400].update(form_codes(*forms), codes)
    return {number: _refusal(shape, told[number]) for number in sorted(told)}


def _refusal(shape: type[Body], codes: set[str]) -> OpenApiResponse:
    told = ", ".join(f"`{code}`" for code in sorted(codes))
    return OpenApiResponse(Coded(shape, sorted(codes)), description=told)


class Coded:
    """A ``shape`` of errors, with one of ``codes``."""

    def __init__(self, shape: type[Body], codes: list[str]) -> None:
        self.shape = shape
        coded: dict[str, Any] = {"properties": {"code": {"enum": codes}}}
        self.schema = coded if shape is Problem else {"properties": {"error": coded}}


class Events:
    """Server-sent events: name → what the data of each holds, as JSON; the empty name is none."""

    def __init__(self, description: str, events: Mapping[str, type[Body]]) -> None:
        self.description = description
        self.events = events


class Schema(AutoSchema):
    """Knows the answers that REST framework has no serializers for."""

    def _get_response_for_code(
        self,
        serializer: Any,
        status_code: str,
        media_types: Any = None,
        direction: Any = "response",
    ) -> dict[str, Any]:
        described = serializer
        if isinstance(serializer, OpenApiResponse) and isinstance(serializer.response, Coded):
            coded = serializer.response
            schema: dict[str, Any] = {"allOf": [self._ref(coded.shape), coded.schema]}
            described = OpenApiResponse(schema, serializer.description)
            media_types = ["application/json"]
        elif isinstance(serializer, Events):
            schema = {
                "description": f"Of each event: {serializer.description}",
                "oneOf": [self._event(name, body) for name, body in serializer.events.items()],
            }
            described = OpenApiResponse(schema)
        answer: dict[str, Any] = super()._get_response_for_code(  # type: ignore[no-untyped-call]
            described, status_code, media_types, direction
        )
        return answer

    def _map_serializer_field(
        self, field: Any, direction: Any, bypass_extensions: bool = False
    ) -> dict[str, Any]:
        schema: dict[str, Any] = super()._map_serializer_field(  # type: ignore[no-untyped-call]
            field, direction, bypass_extensions
        )
        schema.pop("x-spec-enum-id", None)  # for a hook that would give each enum a name
        return schema

    def _event(self, name: str, body: type[Body]) -> dict[str, Any]:
        """As those that parse a stream of them have it."""
        data = {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": self._ref(body),
        }
        if not name:
            return {"type": "object", "required": ["data"], "properties": {"data": data}}
        return {
            "type": "object",
            "required": ["event", "data"],
            "properties": {"event": {"const": name}, "data": data},
        }

    def _ref(self, body: type[Body]) -> dict[str, Any]:
        ref: dict[str, Any] = self.resolve_serializer(body(), "response").ref
        return ref


def header(name: str, description: str, *statuses: int) -> OpenApiParameter:
    """Of the answer; without ``statuses``, of any."""
    return OpenApiParameter(
        name,
        str,
        OpenApiParameter.HEADER,
        description=description,
        response=list(statuses) or True,
    )


NO_BUFFERING = header("X-Accel-Buffering", "`no`, where it is streamed.", 200)

OF_A_TURN = [
    header("X-Transcript", "What was heard, as percent-encoded UTF-8.", 200),
    header("X-Reply", "The reply, likewise; not where it is streamed.", 200),
    header("X-Cache", "Per stage: `hit`, `miss` or `off`; not where it is streamed.", 200),
    header("X-Outbound", "Per stage: whether what it works on leaves the machine.", 200),
    header("X-Speech-Engine", "Who spoke; not where it is streamed.", 200),
    header(
        "Server-Timing",
        "Milliseconds per stage, and of waiting for others; not where it is streamed.",
        200,
    ),
    header("Content-Language", "The language of the question.", 200),
]
"""Headers that tell of a turn."""


REQUEST_ID = [
    OpenApiParameter(
        "X-Request-Id",
        str,
        OpenApiParameter.HEADER,
        description="Yours, by which the log names the request: letters, digits, `.`, `_`, `-`.",
        allow_blank=False,
    ),
    header("X-Request-Id", "The id of the request in the log; yours, if you sent one."),
]
CHALLENGE = header("WWW-Authenticate", "`Bearer`: how a key is sent.", 401)
RETRY_AFTER = header("Retry-After", "Seconds after which it is worth asking again.", 409, 429, 503)

KEPT = [
    OpenApiParameter(
        "Range",
        {"type": "string", "pattern": r"^bytes=\d*-\d*$"},
        OpenApiParameter.HEADER,
        description="Of bytes.",
    ),
    OpenApiParameter("If-None-Match", str, OpenApiParameter.HEADER, description="An `ETag`."),
    header("ETag", "Changes when the sound does.", 200, 206, 304),
    header("Accept-Ranges", "`bytes`.", 200, 206),
    header("Content-Range", "What of how much.", 206, 416),
]
"""What one may ask of sound that is kept, and is told of it."""


def kept_sound() -> dict[Any, OpenApiResponse]:
    return {
        (200, "audio/wav"): OpenApiResponse(BINARY, "All of it."),
        (206, "audio/wav"): OpenApiResponse(BINARY, "The range."),
        304: OpenApiResponse(description="It is as you know it."),
    }
