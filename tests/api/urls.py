"""The service's addresses, and some that fail in every way there is."""

from __future__ import annotations

from typing import Any, NoReturn

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.http import Http404, HttpRequest
from django.http.request import UnreadablePostError
from django.urls import path
from rest_framework.exceptions import Throttled
from rest_framework.request import Request

from api.views import ApiView
from voicebot.urls import handler400, handler403, handler404, handler500, urlpatterns

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]

FAILURES: dict[str, Exception] = {
    "missing": Http404(),
    "forbidden": PermissionDenied(),
    "suspicious": SuspiciousOperation("private"),
    "heavy": RequestDataTooBig(),
    "unreadable": UnreadablePostError(),
    "throttled": Throttled(wait=7),
    "broken": ValueError("private"),
}


class FailingView(ApiView):
    def get(self, request: Request, name: str) -> NoReturn:
        raise FAILURES[name]


def failing(request: HttpRequest, name: str) -> NoReturn:
    raise FAILURES[name]


failures: list[Any] = [
    path("api/view/<name>", FailingView.as_view()),
    path("api/outside/<name>", failing),
    path("v1/view/<name>", FailingView.as_view()),
    path("v1/outside/<name>", failing),
    path("elsewhere/<name>", failing),
]
urlpatterns = [*failures, *urlpatterns]
