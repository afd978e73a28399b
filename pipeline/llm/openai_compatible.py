"""A language model behind OpenAI's API: ``POST /v1/chat/completions``, streamed.

vLLM, llama.cpp's server, Ollama, LocalAI … See ``pipeline.remote``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.utils.translation import gettext as _

from pipeline import prompts
from pipeline.base import Deadline
from pipeline.errors import EngineError
from pipeline.llm.base import Deltas, LanguageModel, Message, Sampling, Usage
from pipeline.remote import Remote

if TYPE_CHECKING:
    from httpx2 import Response

CHARS_PER_TOKEN = 3
"""Fewer than vocabularies of several languages reach with French."""

DATA, DONE = "data:", "[DONE]"


class OpenAICompatible(Remote, LanguageModel):
    """Greedy, so that the same question gets the same reply as far as the server allows.

    Closing a reply closes the connection, by which servers know to stop.
    """

    def __init__(
        self,
        *,
        base_url: str,
        model: str,
        key: str = "",
        context_tokens: int = 4096,
        max_tokens: int = 160,
        extra: Mapping[str, Any] | None = None,
        slots: int = 1,
        wait_s: float = 30.0,
        timeout_s: float = 120.0,
    ) -> None:
        """``max_tokens`` bounds one reply; ``extra`` is merged into the body of every request.

        ``context_tokens``: what the server reads of a conversation, the reply included.
        """
        super().__init__(
            base_url=base_url,
            model=model,
            key=key,
            slots=slots,
            wait_s=wait_s,
            timeout_s=timeout_s,
        )
        self._context_tokens = context_tokens
        self._body_options: dict[str, Any] = {
            "model": model,
            "stream": True,
            "stream_options": {"include_usage": True},
            "temperature": 0,
            "max_tokens": max_tokens,
            **(extra or {}),
        }

    @property
    def identity(self) -> Mapping[str, str]:
        options = json.dumps(self._body_options, sort_keys=True, ensure_ascii=False)
        return {**super().identity, "options": options}

    def _warm_up(self) -> None:
        """The server reads its weights, where it does so on demand, and keeps the prompt."""
        for _delta in self.reply(prompts.messages("…", settings.VOICEBOT_LANGUAGE)):
            break

    def _fits(self, messages: Sequence[Message]) -> bool:
        """As far as can be told from here: none but the server can count its tokens."""
        room = self._context_tokens - int(self._body_options["max_tokens"])
        return sum(len(message.text) for message in messages) <= room * CHARS_PER_TOKEN

    def _reply(self, messages: Sequence[Message], sampling: Sampling, deadline: Deadline) -> Deltas:
        asked = [{"role": message.role, "content": message.text} for message in messages]
        body = {**self._body_options, **self._differing(sampling), "messages": asked}
        reason: str | None = None
        tokens: Any = None
        with self._asking("chat/completions", deadline, json=body) as response:
            for event in self._events(response, deadline):
                if error := event.get("error"):
                    text = _("%(engine)s failed.") % {"engine": self.name}
                    raise EngineError(text) from self.said(error)
                # The last event counts tokens, where a server does, and may hold no choice.
                tokens = event.get("usage") or tokens
                for choice in event.get("choices", [])[:1]:
                    reason = choice.get("finish_reason") or reason
                    yield choice["delta"].get("content") or ""
        try:
            prompt, reply = int(tokens["prompt_tokens"]), int(tokens["completion_tokens"])
        except (KeyError, TypeError, ValueError):
            return None  # it does not say
        return Usage(prompt, reply, cut=reason == "length")

    def _differing(self, sampling: Sampling) -> dict[str, Any]:
        """What ``sampling`` changes in the body of a request."""
        body: dict[str, Any] = {}
        if sampling.max_tokens is not None:
            body["max_tokens"] = min(self._body_options["max_tokens"], sampling.max_tokens)
        if sampling.temperature:
            body |= {"temperature": sampling.temperature, "top_p": sampling.top_p}
        if sampling.stop:
            body["stop"] = list(sampling.stop)
        return body

    def _events(self, response: Response, deadline: Deadline) -> Iterator[dict[str, Any]]:
        """The server-sent events, each of them one JSON object on one line.

        :raises EngineError: they are not, or end without ``[DONE]``.
        """
        for line in response.iter_lines():
            deadline.check()
            if not line.startswith(DATA):
                continue
            data = line.removeprefix(DATA).strip()
            if data == DONE:
                return
            yield self.read_object(data)
        raise self.not_understood()
