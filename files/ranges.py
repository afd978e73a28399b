"""Answers to requests for a part of something (RFC 9110, section 14): Safari plays nothing else."""

from __future__ import annotations

import re

from django.http import HttpRequest, HttpResponse

_ONE_RANGE = re.compile(r"\s*bytes\s*=\s*([0-9]{0,18})-([0-9]{0,18})\s*", re.IGNORECASE)


def ranged_response(
    request: HttpRequest, content: bytes, *, content_type: str, etag: str
) -> HttpResponse:
    """``content``, or the one range of it that ``request`` asks for.

    ``etag``, unquoted, changes when ``content`` does. What cannot be understood, several ranges
    included, is answered by all of ``content``, as the standard allows.
    """
    etag = f'"{etag}"'
    part = _asked_for(request, etag, len(content))
    if part is None:
        response = HttpResponse(content, content_type=content_type)
    elif not part:
        response = HttpResponse(status=416, content_type=content_type)
        response["Content-Range"] = f"bytes */{len(content)}"
    else:
        response = HttpResponse(
            content[part.start : part.stop], status=206, content_type=content_type
        )
        response["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{len(content)}"
    response["Content-Length"] = str(len(response.content))
    response["Accept-Ranges"] = "bytes"
    response["ETag"] = etag
    return response


def _asked_for(request: HttpRequest, etag: str, size_bytes: int) -> range | None:
    """The bytes asked for: none at all when there are none there; None means all of them."""
    if request.method != "GET" or request.headers.get("If-Range", etag) != etag:
        return None
    asked = _ONE_RANGE.fullmatch(request.headers.get("Range", ""))
    if asked is None:
        return None
    first, last = asked.groups()
    if first and last and int(last) < int(first):
        return None
    if first:
        return range(int(first), min(int(last) + 1 if last else size_bytes, size_bytes))
    if last:
        return range(max(size_bytes - int(last), 0), size_bytes)
    return None
