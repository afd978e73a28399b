"""Errors in the shape that clients of OpenAI's API read.

https://platform.openai.com/docs/guides/error-codes
"""

from __future__ import annotations

from typing import Any, Final

PREFIX: Final = "/v1/"

TYPES: Final = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


def is_openais(path: str) -> bool:
    """Whether who asks ``path`` speaks OpenAI's API."""
    return path.startswith(PREFIX)


def in_openais_shape(status: int, message: str, code: str, param: str | None) -> dict[str, Any]:
    """``param``: the path of the field that is wrong, where one is."""
    usual = "server_error" if status >= 500 else "invalid_request_error"
    return {
        "error": {
            "message": message,
            "type": TYPES.get(status, usual),
            "param": param,
            "code": code,
        }
    }
