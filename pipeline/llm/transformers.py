"""Any causal language model of Hugging Face transformers, on PyTorch.

Weights are read from a folder as the hub lays it out: safetensors only, no code of theirs is run,
and nothing is looked for elsewhere once it is here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Final, Literal

from django.conf import settings

from pipeline.ahead import pushed
from pipeline.base import Deadline
from pipeline.errors import TextTooLong
from pipeline.llm import dialogue
from pipeline.llm.base import AS_EVER, Deltas, LanguageModel, Message, Sampling, Stops, Usage
from pipeline.weighted import Weighted

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase

REPETITION_PENALTY: Final = 1.05
REPEATED_TOKENS: Final = 4
"""As many tokens in a row are not written twice in one reply, so no loop lasts. What was asked,
and what was said before, may be said again: the prompt does not count."""


@dataclass(slots=True)
class Past:
    """Tokens that were computed, and what attention keeps of them."""

    tokens: list[int] = field(default_factory=list)
    cache: DynamicCache | None = None


class Transformers(Weighted, LanguageModel):
    """Greedy, so that the same question gets the same reply.

    A prompt's beginning that an earlier one shares is not computed again: on a CPU the
    instructions and examples take longer than the reply.
    """

    main = "model.safetensors"
    packages = {"torch": "torch", "transformers": "transformers"}

    def __init__(
        self,
        *,
        weights: str = "bloomz-1b1",
        prompt: Literal["auto"] | dialogue.Form = "auto",
        device: Literal["auto", "cpu", "cuda"] = "auto",
        dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto",
        context_tokens: int = 2048,
        max_tokens: int = 160,
        slots: int = 1,
        wait_s: float = 30.0,
        timeout_s: float = 120.0,
    ) -> None:
        """``max_tokens`` bounds one reply, ``context_tokens`` a prompt and its reply.

        ``prompt``: the form of the text; "auto" is the weights' chat template, "dialogue" without.
        ``dtype``: "auto" is float32 on CPU, bfloat16 on GPU.
        """
        super().__init__(weights=weights, slots=slots, wait_s=wait_s, timeout_s=timeout_s)
        self._prompt = prompt
        self._form: dialogue.Form | None = None  # None: the chat template
        self._device = device
        self._dtype = dtype
        self._context_tokens = context_tokens
        self._max_tokens = max_tokens
        # One for each slot; who is at work has taken one out.
        self._pasts = deque(Past() for _slot in range(slots))
        self._model: PreTrainedModel
        self._tokenizer: PreTrainedTokenizerBase

    def _load(self) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig
        from transformers.utils import logging

        logging.disable_progress_bar()
        # Of the whole process: PyTorch has one pool, and no engine asks for another size.
        torch.set_num_threads(settings.VOICEBOT_THREADS)
        if self._device == "auto":
            self._device = "cuda" if torch.cuda.is_available() else "cpu"
        if self._dtype == "auto":
            self._dtype = "bfloat16" if self._device == "cuda" else "float32"
        folder = self.path.parent
        safely = {"local_files_only": True, "trust_remote_code": False}
        self._tokenizer = AutoTokenizer.from_pretrained(folder, **safely)
        self._model = AutoModelForCausalLM.from_pretrained(
            folder, dtype=self._dtype, use_safetensors=True, **safely
        )
        self._model.to(self._device).eval()
        ends = self._model.generation_config.eos_token_id
        # Replaces the weights' own, which may ask for sampling.
        self._model.generation_config = GenerationConfig(
            do_sample=False, eos_token_id=ends, pad_token_id=self._tokenizer.pad_token_id
        )
        if self._prompt != "auto":
            self._form = self._prompt
        elif not self._tokenizer.chat_template:
            self._form = "dialogue"

    def _warm_up(self) -> None:
        """Computes the beginning that every prompt of the default language shares."""
        from pipeline import prompts

        asked = prompts.messages("…", settings.VOICEBOT_LANGUAGE)
        with pushed(self._generating(asked, AS_EVER)) as pieces:
            next(pieces, None)

    def _reply(self, messages: Sequence[Message], sampling: Sampling, deadline: Deadline) -> Deltas:
        with pushed(self._generating(messages, sampling)) as pieces:
            for piece in pieces:
                if isinstance(piece, Usage):
                    return piece
                yield piece
        return None

    def _generating(
        self, messages: Sequence[Message], sampling: Sampling
    ) -> Callable[[Callable[[str | Usage], bool]], None]:
        """What generates and pushes the text of each token until nobody reads any more, and in
        the end what it took."""
        asked = self._tokens(messages)
        room = self._context_tokens - self._max_tokens
        if len(asked) > room:
            chars = sum(len(message.text) for message in messages)
            raise TextTooLong(chars, chars * room // len(asked))

        most = min(self._max_tokens, sampling.max_tokens or self._max_tokens)
        stops = Stops([dialogue.END, *sampling.stop] if self._form else sampling.stop)

        def work(push: Callable[[str | Usage], bool]) -> None:
            import torch

            past = self._pasts.popleft()
            try:
                cache = self._recalled(past, asked)
                tokens = self._model.generate(
                    torch.tensor([asked], device=self._model.device),
                    max_new_tokens=most,
                    past_key_values=cache,
                    logits_processor=[_held_down(len(asked))],
                    stopping_criteria=[self._listening(push, stops)],
                    **_randomly(sampling),
                )
                # The last token was chosen, not computed.
                past.tokens, past.cache = tokens[0, :-1].tolist(), cache
            finally:
                self._pasts.append(past)
            push(stops.flush())
            written = tokens.shape[1] - len(asked)
            push(Usage(len(asked), written, cut=written == most and not stops.reached))

        return work

    def _fits(self, messages: Sequence[Message]) -> bool:
        return len(self._tokens(messages)) <= self._context_tokens - self._max_tokens

    def _tokens(self, messages: Sequence[Message]) -> list[int]:
        if self._form:
            tokens: list[int] = self._tokenizer.encode(dialogue.write(messages, self._form))
            return tokens
        chat = [{"role": m.role, "content": m.text} for m in messages]
        templated: list[int] = self._tokenizer.apply_chat_template(
            chat, add_generation_prompt=True, return_dict=False
        )
        return templated

    def _recalled(self, past: Past, asked: Sequence[int]) -> DynamicCache:
        """A cache of the tokens that ``asked`` begins with, as far as ``past`` has them.

        ``past`` is emptied: should the work fail, nobody knows what the cache holds.
        """
        from transformers import DynamicCache

        tokens, cache = past.tokens, past.cache
        past.tokens, past.cache = [], None
        # A sliding window forgets, and cannot be wound back.
        if cache is None or any(layer.is_sliding for layer in cache.layers):
            return DynamicCache(config=self._model.config)
        # One token at least is left to compute.
        pairs = zip(tokens, asked[:-1], strict=False)
        shared = sum(1 for _same in takewhile(lambda pair: pair[0] == pair[1], pairs))
        cache.crop(shared - len(tokens))
        return cache

    def _listening(
        self, push: Callable[[str | Usage], bool], stops: Stops
    ) -> Callable[..., Tensor]:
        """Called after each token: hands its text on, and says whether that was the last."""
        import torch
        from tokenizers.decoders import DecodeStream

        # Text comes when it is whole: a character may take several tokens.
        stream = DecodeStream(skip_special_tokens=True)

        def over(tokens: Tensor, _scores: object, **_options: Any) -> Tensor:
            text = stream.step(self._tokenizer.backend_tokenizer, int(tokens[0, -1])) or ""
            # Even nothing is pushed: that is how it is known, at each token, whether to go on.
            heard = push(stops.feed(text))
            return torch.tensor([not heard or stops.reached], device=tokens.device)

        return over


def _randomly(sampling: Sampling) -> dict[str, Any]:
    """Options of ``generate``; none for the likeliest token, which is its default here."""
    if not sampling.temperature:
        return {}
    likely = {"temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0}
    return {"do_sample": True, **likely}


def _held_down(prompt_tokens: int) -> Callable[[Tensor, Tensor], Tensor]:
    """Scores of the next token, those that would repeat the reply lowered."""
    from transformers import (
        LogitsProcessorList,
        NoRepeatNGramLogitsProcessor,
        RepetitionPenaltyLogitsProcessor,
    )

    processors = LogitsProcessorList(
        [
            RepetitionPenaltyLogitsProcessor(REPETITION_PENALTY),
            NoRepeatNGramLogitsProcessor(REPEATED_TOKENS),
        ]
    )

    def held_down(tokens: Tensor, scores: Tensor) -> Tensor:
        lowered: Tensor = processors(tokens[:, prompt_tokens:], scores)
        return lowered

    return held_down
