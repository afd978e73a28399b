"""Bodies that are JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser, JSONParser


class JsonBody(BaseParser):
    """JSON as large as an upload may be, in which recordings are base64.

    A ``JSONParser`` would be given no more than forms may have besides their files.
    """

    media_type = JSONParser.media_type

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        try:
            return JSONParser().parse(stream, media_type, parser_context)
        except RecursionError as exc:
            raise ParseError from exc
