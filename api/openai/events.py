"""Server-sent events as OpenAI's clients read them: data alone."""

from __future__ import annotations

import json
from typing import Any, Final

from api.exceptions import Problem

MEDIA_TYPE: Final = "text/event-stream"
DONE: Final = b"data: [DONE]\n\n"


def sent(data: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def failed(problem: Problem) -> bytes:
    """What ends a stream early; clients raise it."""
    return sent(json.loads(problem.content))
