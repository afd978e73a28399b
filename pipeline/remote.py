"""Engines behind a URL: OpenAI's API, which many servers speak.

vLLM, llama.cpp's server, Ollama, LocalAI, speaches and OpenAI itself are asked the same way: a base
URL that ends in ``/v1``, a key if they want one, the name of a model.

What an engine sends goes to that server and nowhere else: redirects are not followed, and for this
machine's own addresses no proxy is used. The key is in no message, identity or log line.
"""

from __future__ import annotations

import json
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _

from pipeline import hosts
from pipeline.base import Deadline, Engine
from pipeline.errors import EngineBusy, EngineError, EngineTimeout, EngineUnavailable

if TYPE_CHECKING:
    from httpx2 import Client, Response

CONNECT_S = 5.0
MAX_ANSWER_BYTES = 64_000_000
"""More than the speech of any sentence, or the transcript of any utterance."""
MAX_SAID_CHARS = 300  # of a server's explanation, kept for the log
MAX_RETRY_AFTER_S = 3_600
RETRY_AFTER_S = 5  # where a server that is busy does not say

TOO_MANY_REQUESTS, NOT_FOUND, UNAVAILABLE = 429, 404, 503
REFUSED = {401, 403}


class Remote(Engine):
    """Adds the options that say which server is asked, and how."""

    packages = {"httpx2": "httpx2"}

    def __init__(
        self,
        *,
        base_url: str,
        model: str,
        key: str = "",
        **options: Any,
    ) -> None:
        """:raises ValueError: the URL is not one that can be asked."""
        super().__init__(**options)
        self._base_url = base_url.rstrip("/")
        try:
            self._host = hosts.host_of(self._base_url)
        except ValueError as exc:
            raise ValueError(f"base_url: {exc}") from exc
        self._model = model
        self._key = key
        self._client: Client

    @property
    def outbound(self) -> bool:
        """By the name in the URL alone: what a name resolves to can change at any time."""
        return hosts.is_outside(self._host)

    @property
    def elsewhere(self) -> bool:
        return not hosts.is_loopback(self._host)

    @property
    def identity(self) -> Mapping[str, str]:
        return {**super().identity, "server": self._base_url, "model": self._model}

    def _load(self) -> None:
        import httpx2

        self._client = httpx2.Client(
            headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
            follow_redirects=False,
            trust_env=not hosts.is_loopback(self._host),
        )
        weakref.finalize(self, self._client.close)  # connections are kept between requests

    @contextmanager
    def _asking(self, path: str, deadline: Deadline, **request: Any) -> Iterator[Response]:
        """The server's answer to a POST, of which the head has been read; closed on leaving.

        ``path`` is relative to the base URL; ``request`` is as for ``httpx2.Client.stream``.

        :raises EngineError: the server cannot be reached in time, or refuses.
        """
        import httpx2

        timeout = httpx2.Timeout(deadline.remaining_s, connect=min(CONNECT_S, deadline.remaining_s))
        url = f"{self._base_url}/{path}"
        try:
            with self._client.stream("POST", url, timeout=timeout, **request) as response:
                if not response.is_success:
                    raise self._refusal(response, deadline)
                yield response
        except httpx2.ConnectTimeout as exc:
            raise self._unreachable() from exc
        except httpx2.TimeoutException as exc:
            raise EngineTimeout from exc
        except httpx2.ConnectError as exc:
            raise self._unreachable() from exc
        except httpx2.TransportError as exc:
            text = _("%(engine)s: %(server)s broke off its answer.")
            raise EngineError(text % self._named) from exc

    def _ask(self, path: str, deadline: Deadline, **request: Any) -> bytes:
        """The whole body of the answer.

        :raises EngineError: as ``_asking``.
        """
        with self._asking(path, deadline, **request) as response:
            return self._body(response, deadline)

    def _body(self, response: Response, deadline: Deadline) -> bytes:
        body = bytearray()
        for chunk in response.iter_bytes():
            deadline.check()
            body += chunk
            if len(body) > MAX_ANSWER_BYTES:
                raise self.not_understood()
        return bytes(body)

    def not_understood(self) -> EngineError:
        text = _("%(engine)s: %(server)s gave an answer that is not understood.")
        return EngineError(text % self._named)

    def read_object(self, data: str | bytes) -> dict[str, Any]:
        """The JSON object that ``data`` is.

        :raises EngineError: it is none.
        """
        try:
            value = json.loads(data)
        except ValueError as exc:
            raise self.not_understood() from exc
        if not isinstance(value, dict):
            raise self.not_understood()
        return value

    def said(self, error: object) -> RuntimeError:
        """What a server explains, as the cause of an error of ours: for the log."""
        if isinstance(error, dict):
            error = error.get("message") or error
        text = str(error)[:MAX_SAID_CHARS]
        return RuntimeError(text.replace(self._key, "…") if self._key else text)

    @cached_property
    def _named(self) -> Mapping[str, str]:
        return {"engine": self.name, "server": self._host, "model": self._model}

    def _unreachable(self) -> EngineUnavailable:
        text = _("%(engine)s: %(server)s cannot be reached.")
        return EngineUnavailable(text % self._named)

    def _refusal(self, response: Response, deadline: Deadline) -> EngineError:
        status = response.status_code
        explained = self._explanation(self._body(response, deadline))
        error: EngineError
        if status in REFUSED:
            text = _("%(engine)s: %(server)s refuses the key, or wants one.")
            error = EngineUnavailable(text % self._named)
        elif status == NOT_FOUND:
            text = _("%(engine)s: %(server)s knows no model “%(model)s”, or no such path.")
            error = EngineUnavailable(text % self._named)
        elif response.is_redirect:
            text = _("%(engine)s: %(server)s points elsewhere, which is not followed.")
            error = EngineUnavailable(text % self._named)
        elif status in {TOO_MANY_REQUESTS, UNAVAILABLE}:
            error = EngineBusy(_retry_after_s(response.headers.get("Retry-After", "")))
        else:
            text = _("%(engine)s: %(server)s failed (HTTP %(status)d).")
            error = EngineError(text % {**self._named, "status": status})
        error.__cause__ = self.said(f"HTTP {status}: {explained}")
        return error

    def _explanation(self, body: bytes) -> str:
        """The message of ``{"error": {"message": …}}``, else the body."""
        text = body.decode("utf-8", "replace")
        try:
            error = json.loads(text)["error"]
            return str(error["message"] if isinstance(error, dict) else error)
        except (ValueError, KeyError, TypeError):
            return text


def _retry_after_s(header: str) -> int:
    """A date, which hardly any server gives, counts as nothing said."""
    return min(max(1, int(header)), MAX_RETRY_AFTER_S) if header.isdigit() else RETRY_AFTER_S
