"""Every request has an id, by which a user's complaint is found in the log."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from api import headers
from pipeline import logs

HEADER = "X-Request-Id"
META = "HTTP_X_REQUEST_ID"

GetResponse = Callable[[HttpRequest], HttpResponse]


def request_id(get_response: GetResponse) -> GetResponse:
    """Give every response an ``X-Request-Id``; the request's own is replaced when unfit."""

    def middleware(request: HttpRequest) -> HttpResponse:
        name = request.META[META] = headers.request_id(request.META.get(META))
        logs.request_id.set(name)  # not taken back: a stream is written when this has returned
        response = get_response(request)
        response[HEADER] = name
        return response

    return middleware
