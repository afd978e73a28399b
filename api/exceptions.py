"""The one place that turns errors into HTTP.

Every error is JSON, ``{"detail": …, "code": …}``, whatever the client accepts: ``detail`` is a
sentence for people, ``code`` is for machines and never changes. Under ``/v1/`` the same is told in
the words of OpenAI's API: see ``api.openai.errors``.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from json import JSONDecodeError
from typing import Any, TypeVar

from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponseBase, JsonResponse
from django.http.request import UnreadablePostError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views import defaults
from prometheus_client import Counter
from rest_framework import exceptions as drf
from rest_framework.request import Request
from rest_framework.settings import api_settings

from api.middleware import META
from api.openai.errors import in_openais_shape, is_openais
from files import atomic
from history.errors import ConversationBusy, ConversationNotFound, NotKept, TurnNotFound
from jobs import errors as jobs
from pipeline import errors

logger = logging.getLogger(__name__)

T = TypeVar("T")

ERRORS = Counter("voicebot_errors", "Errors that were answered", ["code"])

STATUSES: Mapping[type[errors.PipelineError], int] = {
    errors.PipelineError: 500,
    errors.ClientGone: 499,  # as in nginx's log: nobody was there to be sent it
    errors.InputError: 400,
    errors.AudioDecodeError: 415,
    errors.AudioTooLong: 413,
    errors.TextTooLong: 413,
    errors.NoSpeech: 422,
    errors.EngineError: 502,
    errors.EngineUnavailable: 503,
    errors.EngineBusy: 503,
    errors.EngineTimeout: 504,
    ConversationNotFound: 404,
    TurnNotFound: 404,
    ConversationBusy: 409,
    NotKept: 409,
    jobs.JobNotFound: 404,
    jobs.JobUnfinished: 409,
    jobs.JobWithoutResult: 409,
    jobs.TooManyJobs: 429,
    jobs.DiskFull: 507,
}
"""An error without an entry has its base class's: UnknownVoice is an InputError, hence 400."""


class BadRequest(drf.APIException):
    status_code = 400
    default_code = "bad_request"
    default_detail = gettext_lazy("The request cannot be understood.")


class InternalError(drf.APIException):
    status_code = 500
    default_code = "internal_error"
    default_detail = gettext_lazy("Something went wrong on our side.")


class DatabaseUnavailable(drf.APIException):
    """Locked, full, read-only or out of reach."""

    status_code = 503
    default_code = "database_unavailable"
    default_detail = gettext_lazy("The database does not answer. Try again in a moment.")
    wait = 5  # seconds


class UploadIncomplete(drf.APIException):
    status_code = 400
    default_code = "upload_incomplete"
    default_detail = gettext_lazy("The upload was cut short. Send it again.")


class UploadTooSlow(drf.APIException):
    status_code = 408
    default_code = "upload_too_slow"
    default_detail = gettext_lazy("The upload came too slowly. Send it again.")


class UploadTooLarge(drf.APIException):
    status_code = 413
    default_code = "upload_too_large"

    def __init__(self, limit_bytes: int | None = None) -> None:
        """``limit_bytes`` None is that of a question."""
        self.limit_bytes = limit_bytes or int(settings.VOICEBOT_MAX_UPLOAD_BYTES)
        super().__init__(
            _("The upload is too large: at most %(limit)d bytes are accepted.")
            % {"limit": self.limit_bytes}
        )


class KeyNeeded(drf.NotAuthenticated):
    default_code = "key_needed"
    default_detail = gettext_lazy(
        "An API key is needed here: send it in the header “Authorization: Bearer …”."
    )


class KeyRefused(drf.AuthenticationFailed):
    default_code = "key_refused"


class ScopeMissing(drf.PermissionDenied):
    default_code = "scope_missing"

    def __init__(self, scope: str) -> None:
        super().__init__(
            _("The key does not open this: it lacks the scope “%(scope)s”.") % {"scope": scope}
        )


class SpeechNotFound(drf.APIException):
    status_code = 404
    default_code = "speech_not_found"
    default_detail = gettext_lazy("This speech is not kept any more.")


class UtteranceNotFound(drf.APIException):
    status_code = 404
    default_code = "utterance_not_found"
    default_detail = gettext_lazy("This utterance is not kept.")


class RangeNotSatisfiable(drf.APIException):
    status_code = 416
    default_code = "range_not_satisfiable"
    default_detail = gettext_lazy("The range lies beyond the end of the speech.")


OURS: Mapping[type[Exception], type[drf.APIException]] = {
    Http404: drf.NotFound,
    PermissionDenied: drf.PermissionDenied,
    RequestDataTooBig: UploadTooLarge,
    SuspiciousOperation: BadRequest,
    UnreadablePostError: UploadIncomplete,
    OperationalError: DatabaseUnavailable,
}
"""What Django raises, as what we answer."""


class Problem(JsonResponse):
    """The answer to an error."""

    def __init__(self, error: drf.APIException | errors.PipelineError, path: str = "") -> None:
        """``path``: the address that was asked; it decides the shape."""
        wait_s = getattr(error, "wait", None)
        param = None  # the field that is wrong
        if isinstance(error, errors.PipelineError):
            status = _of_class(STATUSES, error)
            body: dict[str, Any] = {"detail": error.message, "code": error.code}
            wait_s = getattr(error, "retry_after_s", None)
        else:
            status = error.status_code
            body, param = _explained(error)
        self.code: str = body["code"]
        ERRORS.labels(self.code).inc()
        if is_openais(path):
            body = in_openais_shape(status, body["detail"], self.code, param)
        super().__init__(body, status=status, json_dumps_params={"ensure_ascii": False})
        self["Cache-Control"] = "no-store"
        if challenge := getattr(error, "auth_header", None):
            self["WWW-Authenticate"] = challenge
        if wait_s is not None:
            self["Retry-After"] = str(wait_s)


def _of_class(table: Mapping[type[Any], T], error: Exception) -> T:
    """The entry of the error's class, or of the nearest base class that has one."""
    return next(table[cls] for cls in type(error).__mro__ if cls in table)


def _explained(error: drf.APIException) -> tuple[dict[str, Any], str | None]:
    """The body, and the path of the field that is wrong: ``messages[1].content``."""
    detail: Any = error.detail  # a string, or the strings of each wrong field
    if not isinstance(detail, dict):
        return {"detail": str(detail), "code": detail.code}, None
    field = next(iter(detail))
    param, first = _first_wrong(detail[field], field)
    if field == api_settings.NON_FIELD_ERRORS_KEY:
        return {"detail": str(first), "code": f"body_{first.code}"}, None
    code = "missing" if first.code == "required" else first.code
    return {"detail": str(first), "code": f"{field}_{code}", "fields": detail}, param


def _first_wrong(detail: Any, path: str) -> tuple[str, drf.ErrorDetail]:
    """The path of the first field that is wrong, at any depth, and what is wrong with it."""
    if isinstance(detail, drf.ErrorDetail):
        return path, detail
    if isinstance(detail, dict):
        inner = zip(map(_step, detail), detail.values(), strict=True)
    elif isinstance(detail[0], drf.ErrorDetail):
        return path, detail[0]
    else:  # of a list; those that are right have nothing in their place
        inner = zip(map(_step, range(len(detail))), detail, strict=True)
    step, wrong = next((step, wrong) for step, wrong in inner if wrong)
    return _first_wrong(wrong, path + step)


def _step(at: int | str) -> str:
    if at == api_settings.NON_FIELD_ERRORS_KEY:  # it is the whole that is wrong
        return ""
    return f"[{at}]" if isinstance(at, int) else f".{at}"


def _unparsed(cause: BaseException | None) -> drf.ParseError:
    """In the language of the client, which DRF does not speak here."""
    if isinstance(cause, JSONDecodeError):
        text = _("The body is not JSON: see line %(line)d, column %(column)d.")
        return drf.ParseError(text % {"line": cause.lineno, "column": cause.colno})
    return drf.ParseError(_("The body is not what its Content-Type says, or was cut short."))


def _misdirected(
    error: drf.MethodNotAllowed | drf.UnsupportedMediaType, context: Mapping[str, Any]
) -> drf.APIException:
    """With what the address takes in its place."""
    view, request = context["view"], context["request"]
    if isinstance(error, drf.MethodNotAllowed):
        methods = ", ".join(view.allowed_methods)
        text = _("This address takes %(methods)s, not %(sent)s.")
        told = text % {"methods": methods, "sent": request.method}
        return drf.MethodNotAllowed(request.method, told)
    names = {
        "multipart/form-data": _("a form (multipart/form-data)"),
        "application/json": _("JSON (application/json)"),
    }
    wanted = ", ".join(
        names.get(parser.media_type, parser.media_type) for parser in view.parser_classes
    )
    text = _("Send %(wanted)s: %(sent)s is not read here.")
    told = text % {"wanted": wanted, "sent": request.content_type.partition(";")[0]}
    return drf.UnsupportedMediaType(request.content_type, told)


def exception_handler(exc: Exception, context: Mapping[str, Any]) -> Problem | None:
    """What DRF answers to an error of a view; None, a bug, is left to Django and ``server_error``.

    Errors of engines are logged with their causes, which the client never sees.
    """
    if isinstance(exc, OperationalError):
        logger.error("Request %s: %s", context["request"].META[META], exc, exc_info=exc)
    if isinstance(exc, drf.ParseError):
        exc = _unparsed(exc.__context__)
    if isinstance(exc, drf.MethodNotAllowed | drf.UnsupportedMediaType):
        exc = _misdirected(exc, context)
    if isinstance(exc, tuple(OURS)):
        exc = _of_class(OURS, exc)()
    elif isinstance(exc, OSError) and exc.errno in atomic.UNWRITABLE:
        logger.error("Request %s: %s", context["request"].META[META], exc)
        exc = jobs.DiskFull()
    if isinstance(exc, errors.EngineError) and not isinstance(exc, errors.EngineBusy):
        logger.error("turn %s: %s", context["request"].META[META], exc.code, exc_info=exc)
    if isinstance(exc, drf.APIException | errors.PipelineError):
        return Problem(exc, context["request"].path_info)
    return None


def failure(exc: Exception, request: Request) -> Problem:
    """What to tell of an error that an answer met after its beginning, which is logged."""
    problem = exception_handler(exc, {"request": request})
    if problem is None:
        logger.error("Request %s failed.", request.META[META], exc_info=exc)
        problem = Problem(InternalError(), request.path_info)
    return problem


# Outside the views, too, whoever asked the API is answered in JSON: see voicebot.urls.


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    if asks_api(request):
        return Problem(BadRequest(), request.path_info)
    return defaults.bad_request(request, exception)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    if asks_api(request):
        return Problem(drf.PermissionDenied(), request.path_info)
    return defaults.permission_denied(request, exception)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    if asks_api(request):
        return Problem(drf.NotFound(), request.path_info)
    return defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponseBase:
    """Django has logged the error already, without the id that the client was told."""
    logger.error("Request %s failed.", request.META[META])
    if asks_api(request):
        return Problem(InternalError(), request.path_info)
    return defaults.server_error(request)


def asks_api(request: HttpRequest) -> bool:
    """Whether it is for a program, not for a page."""
    return request.path_info.startswith("/api/") or is_openais(request.path_info)
