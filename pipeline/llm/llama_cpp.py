"""Any GGUF on llama.cpp, in process (https://github.com/xorbitsai/xllamacpp).

Weights that bring a chat template are talked to through it; others get the same messages as a
text to go on with (see ``pipeline.llm.dialogue``). Either way the beginning of the prompt
(instructions, examples) is the same every time, and llama.cpp keeps what it computed for it.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.translation import gettext as _

from pipeline.ahead import pushed
from pipeline.base import Deadline
from pipeline.errors import EngineError, TextTooLong
from pipeline.llm import dialogue
from pipeline.llm.base import AS_EVER, Deltas, LanguageModel, Message, Sampling, Usage
from pipeline.llm.gguf import metadata
from pipeline.weighted import Weighted

if TYPE_CHECKING:
    from xllamacpp import Server

REPEAT_PENALTY = 1.05
"""Holds repetition down, which greedy decoding of small weights is prone to. (DRY, which does it
better, first looks at every word of the vocabulary: 0.1 s of each request with gemma's.)"""

ADDED_TOKENS: Final = 8
"""More than the tokens that stand for nothing in a text: its beginning, a blank before it."""

COUNTING_S: Final = 10.0

SPINS: Final = 1_000
"""How often a thread of llama.cpp looks for work before it sleeps. OpenMP's own 300,000 keep a core
from the speech that is made meanwhile; without any, each token takes half as long again."""

Request = Mapping[str, object]


class LlamaCpp(Weighted, LanguageModel):
    """Greedy, so that the same question gets the same reply."""

    packages = {"xllamacpp": "xllamacpp"}

    def __init__(
        self,
        *,
        weights: str = "gemma-3-270m-q4",
        prompt: Literal["auto"] | dialogue.Form = "auto",
        context_tokens: int = 4096,
        max_tokens: int = 160,
        slots: int = 1,
        wait_s: float = 30.0,
        timeout_s: float = 120.0,
    ) -> None:
        """``context_tokens`` is for one slot; ``max_tokens`` bounds one reply.

        ``prompt``: the form of the text; "auto" is the weights' chat template, "dialogue" without.
        """
        super().__init__(weights=weights, slots=slots, wait_s=wait_s, timeout_s=timeout_s)
        self._context_tokens = context_tokens
        self._max_tokens = max_tokens
        self._prompt = prompt
        self._form: dialogue.Form | None = None  # None: the chat template
        self._server: Server
        self._key: str

    def _load(self) -> None:
        os.environ.setdefault("GOMP_SPINCOUNT", str(SPINS))  # read when the library is loaded
        from xllamacpp import CommonParams, Server, llama_flash_attn_type

        path = self.path
        if self._prompt != "auto":
            self._form = self._prompt
        elif "tokenizer.chat_template" not in metadata(path):
            self._form = "dialogue"
        params = CommonParams()
        params.model.path = str(path)
        params.n_ctx = self._context_tokens * self.slots
        params.n_parallel = self.slots
        params.cpuparams.n_threads = settings.VOICEBOT_THREADS
        params.cpuparams_batch.n_threads = settings.VOICEBOT_THREADS
        # gemma forgets what is outside its sliding window; kept whole, a prompt that begins the
        # same way is not computed again.
        params.swa_full = True
        # On a processor it makes BLOOM's tokens take half as long again after a prompt of 1,000.
        params.flash_attn_type = llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        params.verbosity = 0
        # The library cannot be kept from listening on a loopback port: nobody else has the key.
        self._key = secrets.token_urlsafe(32)
        params.api_keys = [self._key]
        params.ui = False
        self._server = Server(params)

    def _warm_up(self) -> None:
        """Computes the beginning that every prompt of the default language shares."""
        from pipeline import prompts

        asked = prompts.messages("…", settings.VOICEBOT_LANGUAGE)
        with pushed(self._completing(asked, AS_EVER)) as chunks:
            next(chunks, None)

    def _reply(self, messages: Sequence[Message], sampling: Sampling, deadline: Deadline) -> Deltas:
        reason, tokens = None, None
        with pushed(self._completing(messages, sampling)) as chunks:
            for chunk in chunks:
                if error := chunk.get("error"):
                    raise self._error(error, messages)
                tokens = chunk.get("usage") or tokens  # the last chunk's
                for choice in chunk["choices"]:
                    reason = choice["finish_reason"] or reason
                    yield choice["text"] if self._form else choice["delta"].get("content") or ""
        if tokens is None:
            return None
        cut = reason == "length"
        return Usage(tokens["prompt_tokens"], tokens["completion_tokens"], cut=cut)

    def _completing(
        self, messages: Sequence[Message], wanted: Sampling
    ) -> Callable[[Callable[[dict[str, Any]], bool]], None]:
        """What runs the generation and pushes llama.cpp's chunks until nobody reads them."""
        sampling: Request = {
            "stream": True,
            "cache_prompt": True,
            "temperature": wanted.temperature,
            "top_p": wanted.top_p,
            "repeat_penalty": REPEAT_PENALTY,
            "n_predict": min(self._max_tokens, wanted.max_tokens or self._max_tokens),
        }

        def work(push: Callable[[dict[str, Any]], bool]) -> None:
            def on_chunk(chunk: dict[str, Any]) -> bool:
                return not push(chunk)  # llama.cpp stops at True

            if self._form:
                text = dialogue.write(messages, self._form)
                request = {**sampling, "prompt": text, "stop": [dialogue.END, *wanted.stop]}
                self._server.handle_completions(request, on_chunk)
            else:
                asked = [{"role": m.role, "content": m.text} for m in messages]
                counted = {"include_usage": True}
                request = {
                    **sampling,
                    "messages": asked,
                    "stop": list(wanted.stop),
                    "stream_options": counted,
                }
                self._server.handle_chat_completions(request, on_chunk)

        return work

    def _fits(self, messages: Sequence[Message]) -> bool:
        text = self._written(messages)
        room = self._context_tokens - self._max_tokens
        if len(text.encode()) + ADDED_TOKENS <= room:  # no token is less than a byte
            return True
        return self._tokens(text) <= room

    def _tokens(self, text: str) -> int:
        """How many ``text`` has, when it begins a prompt."""
        return len(self._ask("/tokenize", {"content": text, "add_special": True})["tokens"])

    def _written(self, messages: Sequence[Message]) -> str:
        """The prompt."""
        if self._form:
            return dialogue.write(messages, self._form)
        asked = [{"role": m.role, "content": m.text} for m in messages]
        return str(self._ask("/apply-template", {"messages": asked})["prompt"])

    def _ask(self, path: str, request: Request) -> Any:
        """What the library tells by way of its port alone.

        https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md
        """
        address = urlsplit(self._server.listening_address)
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        connection = HTTPConnection(str(address.hostname), address.port, timeout=COUNTING_S)
        with closing(connection):
            connection.request("POST", path, json.dumps(request), headers)
            response = connection.getresponse()
            if response.status != 200:
                raise RuntimeError(f"llama.cpp answers {response.status} to {path}")
            return json.load(response)

    def _error(self, error: Mapping[str, Any], messages: Sequence[Message]) -> Exception:
        if error.get("type") == "exceed_context_size_error":
            chars = sum(len(message.text) for message in messages)
            return TextTooLong(chars, chars * self._context_tokens // error["n_prompt_tokens"])
        failure = EngineError(_("%(engine)s failed.") % {"engine": self.name})
        failure.__cause__ = RuntimeError(str(error.get("message")))
        return failure
