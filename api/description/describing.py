"""How an operation is described: what all of them have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from drf_spectacular.utils import (
    OpenApiParameter,
    OpenApiRequest,
    extend_schema,
    extend_schema_view,
)
from rest_framework import exceptions as drf
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from api import exceptions
from api.description.answers import CHALLENGE, REQUEST_ID, RETRY_AFTER, Error, refusals
from api.description.bodies import Body, Problem

KEYS_SENT: Final[list[dict[str, list[str]]]] = [{"bearer": []}, {"header": []}]
"""As the settings have them, in ``SPECTACULAR_SETTINGS``."""

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
    codes: Iterable[str] = (),
    shape: type[Body] = Problem,
) -> None:
    """Say what ``method`` of ``view`` does. ``name``: its id, as clients made from it call it.

    ``answers`` are those that are no errors, by status, or by status and media types; ``forms``
    are those whose fields may be wrong, in ways of their own that ``codes`` tell; ``shape`` is that
    of the body of errors.
    """
    keys, security = _keys(view)
    if view.throttle_classes:
        keys = [*keys, drf.Throttled]
    if any(parameter.location == OpenApiParameter.PATH for parameter in parameters):
        errors = [*errors, drf.NotFound]  # it has not the form of any
    refused = {
        (number, "application/json"): answer
        for number, answer in refusals(shape, *errors, *keys, forms=forms, codes=codes).items()
    }
    documented = extend_schema(
        operation_id=name,
        tags=[tag],
        summary=summary,
        description=description,
        parameters=[
            *parameters,
            *REQUEST_ID,
            *([CHALLENGE] if view.authentication_classes else []),
            *([RETRY_AFTER] if view.throttle_classes else []),
        ],
        request=request,
        responses={**answers, **refused},
        auth=security,  # type: ignore[arg-type] # it may be as it is written
    )
    extend_schema_view(**{method: documented})(view)
    _described.add((view, method.upper()))


def form(fields: type[Serializer[Any]], recording: str = "audio") -> dict[str, OpenApiRequest]:
    """A form with a ``recording`` in it."""
    sent = {"contentType": "audio/*, application/octet-stream"}
    return {"multipart/form-data": OpenApiRequest(fields, encoding={recording: sent})}


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
