"""Sound that is kept, as it is sent."""

from __future__ import annotations

from hashlib import sha256

from django.http import HttpResponseBase
from django.utils.cache import get_conditional_response
from rest_framework.request import Request

from api.exceptions import Problem, RangeNotSatisfiable
from files.ranges import ranged_response


def wav_response(request: Request, wav: bytes) -> HttpResponseBase:
    """All of ``wav``, or the range of it that is asked for."""
    response = ranged_response(
        request._request, wav, content_type="audio/wav", etag=sha256(wav).hexdigest()
    )
    if response.status_code == 416:
        refusal = Problem(RangeNotSatisfiable(), request.path_info)
        refusal["Content-Range"] = response["Content-Range"]
        return refusal
    # It says what somebody said or was told: no shared caches. And it may be corrected: asked for
    # by its ETag, it is not sent twice, nor is a former one played.
    response["Cache-Control"] = "private, no-cache"
    return get_conditional_response(request._request, response["ETag"], response=response) or (
        response
    )
