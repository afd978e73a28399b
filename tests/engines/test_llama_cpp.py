"""LlamaCpp writes with weights of either kind: those that chat and those that only go on."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

import pytest

from pipeline import prompts
from pipeline.engines import Engines
from pipeline.errors import EngineError, TextTooLong
from pipeline.llm.base import LanguageModel, Message, Sampling
from pipeline.llm.dialogue import SPEAKERS, Form, write
from pipeline.llm.gguf import STRING, metadata
from pipeline.llm.llama_cpp import LlamaCpp
from tests.engines.contract import LanguageModelContract
from tests.settings import WEIGHTS

BASE = WEIGHTS / "gemma-3-270m-q4" / "gemma-3-270m-Q4_K_M.gguf"
TEMPLATE = (
    "{% for message in messages %}"
    "{{ 'Utilisateur' if message.role == 'user' else 'Assistant' }} : {{ message.content }}\n"
    "{% endfor %}Assistant :"
)


def add_template(base: Path, chatty: Path) -> None:
    """Copy the weights of ``base`` to ``chatty``, with a chat template."""
    head, rest = (contents := base.read_bytes())[:24], memoryview(contents)[24:]
    magic, version, tensors, keys = struct.unpack("<4sIQQ", head)
    key = b"tokenizer.chat_template"
    lengths_bytes = 8 + len(key) + 4 + 8
    # Tensors stay where GGUF wants them: at a multiple of 32 bytes.
    template = TEMPLATE.encode() + b" " * (-(lengths_bytes + len(TEMPLATE.encode())) % 32)
    with chatty.open("wb") as file:
        file.write(struct.pack("<4sIQQ", magic, version, tensors, keys + 1))
        file.write(struct.pack("<Q", len(key)) + key)
        file.write(struct.pack("<IQ", STRING, len(template)) + template)
        file.write(rest)


@pytest.mark.weights
class TestLlamaCpp(LanguageModelContract):
    @pytest.fixture
    def engine(self, embedded: Engines) -> LanguageModel:
        return embedded.llm

    def test_writes_one_line(self, engine: LanguageModel) -> None:
        """Base weights would go on with the user's next question."""
        reply = "".join(engine.reply(self.question)).strip()
        assert reply
        assert "\n" not in reply
        assert "Utilisateur" not in reply

    def test_knows_what_the_examples_teach(self, engine: LanguageModel) -> None:
        assert "Paris" in "".join(engine.reply(self.question))

    def test_says_how_much_fits_its_context(self, engine: LanguageModel) -> None:
        asked = [Message("user", "Raconte une histoire. " * 1_200)]
        with pytest.raises(TextTooLong) as caught:
            list(engine.reply(asked))
        assert caught.value.length == len(asked[0].text)
        assert 5_000 < caught.value.limit < caught.value.length


@pytest.mark.weights
@pytest.mark.parametrize("name", ["plain", "chatty"])
def test_tokens_are_counted_as_a_reply_counts_them(
    name: str, embedded: Engines, request: pytest.FixtureRequest
) -> None:
    engine = embedded.llm if name == "plain" else request.getfixturevalue(name)
    assert isinstance(engine, LlamaCpp)
    question = LanguageModelContract.question
    _text, usage = LanguageModelContract().written(engine, Sampling(max_tokens=1), question)
    assert usage is not None
    assert engine._tokens(engine._written(question)) == usage.prompt_tokens
    longer = [Message("user", "Bonjour. " * 1_000), *question]  # 9,000 bytes, some 2,000 tokens
    assert engine.fits(longer)
    assert len(engine._written(longer)) > engine._context_tokens


@pytest.fixture(scope="module")
def chatty(embedded: Engines, tmp_path_factory: pytest.TempPathFactory) -> LlamaCpp:
    """An engine whose weights are a file of the user's own, with a chat template."""
    path = tmp_path_factory.mktemp("weights") / "chatty.gguf"
    add_template(BASE, path)
    return LlamaCpp(weights=str(path), max_tokens=8)


@pytest.mark.weights
class TestLlamaCppWithChatTemplate(LanguageModelContract):
    @pytest.fixture
    def engine(self, chatty: LlamaCpp) -> LlamaCpp:
        return chatty

    def test_these_weights_chat(self, engine: LlamaCpp) -> None:
        assert "tokenizer.chat_template" in metadata(engine.path)

    def test_are_known_by_their_own_contents(self, engine: LlamaCpp) -> None:
        digest = hashlib.sha256(engine.path.read_bytes()).hexdigest()
        assert engine.identity["sha256"] == digest

    def test_max_tokens_bounds_the_reply(self, engine: LlamaCpp) -> None:
        assert 1 <= len(list(engine.reply(self.question))) <= 8


def test_weights_that_are_damaged(tmp_path: Path) -> None:
    path = tmp_path / "damaged.gguf"
    path.write_bytes(b"GGUF" + bytes(20))
    engine = LlamaCpp(weights=str(path))
    assert engine.missing() is None
    with pytest.raises(EngineError, match=r"^LlamaCpp "):
        engine.load()
    assert not engine.loaded


@pytest.mark.parametrize(
    ("form", "asks", "answers"),
    [("dialogue", "Utilisateur", "Assistant"), ("instruction", "Question", "Réponse")],
)
def test_one_line_a_message_each_with_its_end(form: Form, asks: str, answers: str) -> None:
    history = [Message("user", "Qui\nest  là ?"), Message("assistant", "Moi.\n")]
    asked = [Message("system", "Une conversation."), *history, Message("user", "Bien")]
    assert write(asked, form) == (
        f"Une conversation.\n\n{asks} : Qui est là ?\n{answers} : Moi.\n{asks} : Bien.\n{answers} :"
    )


@pytest.mark.parametrize("form", SPEAKERS)
@pytest.mark.parametrize("language", [*prompts.PROMPTS, "nl"])
def test_texts_of_a_language_begin_the_same(language: str, form: Form) -> None:
    """So that llama.cpp computes their beginning once."""
    first, second = (write(prompts.messages(text, language), form) for text in ("Un ?", "Deux ?"))
    beginning, _separator, _end = first.rpartition("Un ?")
    assert second.startswith(beginning)
    assert len(beginning) > 100
