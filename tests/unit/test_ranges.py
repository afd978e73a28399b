"""Requests for a part of something, as in RFC 9110, section 14."""

import pytest
from django.http import HttpResponse
from django.test import RequestFactory

from files.ranges import ranged_response

CONTENT = b"0123456789"


def answer(method: str = "GET", **headers: str) -> HttpResponse:
    request = RequestFactory().generic(method, "/", headers=headers)
    return ranged_response(request, CONTENT, content_type="audio/wav", etag="abc")


@pytest.mark.parametrize(
    ("asked", "content", "told"),
    [
        ("bytes=0-1", b"01", "bytes 0-1/10"),  # what Safari asks first
        ("bytes=0-", CONTENT, "bytes 0-9/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=7-99", b"789", "bytes 7-9/10"),
        ("bytes=9-9", b"9", "bytes 9-9/10"),
        ("bytes=-3", b"789", "bytes 7-9/10"),
        ("bytes=-99", CONTENT, "bytes 0-9/10"),
        ("Bytes = 2-3", b"23", "bytes 2-3/10"),
    ],
)
def test_one_range(asked: str, content: bytes, told: str) -> None:
    response = answer(range=asked)
    assert response.status_code == 206
    assert response.content == content
    assert response["Content-Range"] == told
    assert response["Content-Length"] == str(len(content))
    assert response["Content-Type"] == "audio/wav"


@pytest.mark.parametrize("asked", ["bytes=10-", "bytes=10-12", "bytes=-0"])
def test_a_range_that_is_not_there(asked: str) -> None:
    response = answer(range=asked)
    assert response.status_code == 416
    assert response.content == b""
    assert response["Content-Range"] == "bytes */10"


@pytest.mark.parametrize(
    "asked",
    ["", "bytes=", "bytes=-", "bytes=3-2", "bytes=0-1,3-4", "lines=0-1", f"bytes={'9' * 5000}-"],
)
def test_what_is_not_one_range_gets_everything(asked: str) -> None:
    response = answer(range=asked)
    assert response.status_code == 200
    assert response.content == CONTENT
    assert "Content-Range" not in response
    assert response["Accept-Ranges"] == "bytes"
    assert response["ETag"] == '"abc"'


def test_ranges_are_for_get() -> None:
    assert answer("HEAD", range="bytes=0-1").status_code == 200


@pytest.mark.parametrize(("tag", "status"), [('"abc"', 206), ('"old"', 200), ('W/"abc"', 200)])
def test_a_part_of_what_has_changed_is_of_no_use(tag: str, status: int) -> None:
    assert answer(range="bytes=0-1", if_range=tag).status_code == status
