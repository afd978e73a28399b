"""Every request has an id, by which a user's complaint is found in the log, and one thread."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils.decorators import sync_only_middleware

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


@sync_only_middleware
def in_one_thread(get_response: GetResponse) -> GetResponse:
    """All that is before it, under ASGI: to be the last one.

    Middleware that could be asynchronous is run on the event loop as long as all behind it is, and
    most of it then comes back into the thread twice for each request: in all some twenty times that
    a request waits for its turn on a loop that others keep busy. Our views are not asynchronous.
    """
    return get_response
