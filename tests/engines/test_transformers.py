"""Transformers, on a small BLOOM that knows a few exchanges by heart."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from pipeline import prompts  # noqa: E402
from pipeline.errors import EngineError, EngineTimeout, EngineUnavailable, TextTooLong  # noqa: E402
from pipeline.llm.base import Message  # noqa: E402
from pipeline.llm.dialogue import write  # noqa: E402
from pipeline.llm.transformers import REPEATED_TOKENS, Transformers  # noqa: E402
from tests.engines import bloom  # noqa: E402
from tests.engines.contract import LanguageModelContract  # noqa: E402

TEMPLATE = (
    "{% for m in messages %}{{ 'Question' if m.role == 'user' else 'Réponse' }} : "
    "{{ m.content }}\n{% endfor %}Réponse :"
)


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bloom.save(bloom.taught(), tmp_path_factory.mktemp("taught"))


@pytest.fixture(scope="module")
def shared(taught: Path) -> Transformers:
    return Transformers(weights=str(taught), prompt="instruction", max_tokens=24)


def said(engine: Transformers, *messages: Message) -> str:
    return "".join(engine.reply(messages)).strip()


class TestTransformers(LanguageModelContract):
    @pytest.fixture
    def engine(self, shared: Transformers) -> Transformers:
        return shared

    @pytest.mark.parametrize("exchange", range(len(bloom.EXCHANGES)))
    def test_ends_where_the_weights_do(self, engine: Transformers, exchange: int) -> None:
        """What was said before decides what is answered."""
        messages, answer = bloom.EXCHANGES[exchange]
        assert said(engine, *messages) == answer

    def test_asked_alike_after_anything_else(self, engine: Transformers) -> None:
        """What is kept of earlier prompts changes nothing."""
        for messages, answer in [*bloom.EXCHANGES, *reversed(bloom.EXCHANGES)]:
            said(engine, Message("user", "Tout autre chose ?"))
            assert said(engine, *messages) == answer

    def test_the_beginning_of_a_prompt_is_computed_once(self, engine: Transformers) -> None:
        def first_s(text: str) -> float:
            started = time.perf_counter()
            reply = engine.reply(prompts.messages(text, "fr", history))
            next(reply)
            reply.close()
            return time.perf_counter() - started

        story = Message("assistant", "Il était une fois. " * 9)
        history = [Message("user", "Raconte une histoire."), story] * 4
        said(engine, bloom.PARIS)
        new, known = first_s("Un ?"), min(first_s(f"{number} ?") for number in range(3))
        assert known < new

    def test_too_much_for_the_context(self, engine: Transformers) -> None:
        asked = Message("user", "Raconte une histoire. " * 500)
        with pytest.raises(TextTooLong) as caught:
            said(engine, asked)
        assert caught.value.length == len(asked.text)
        assert 2_000 < caught.value.limit < caught.value.length


@pytest.fixture(scope="module")
def talkative(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights that never end a text: they would write as much as they may."""
    model = bloom.random()
    folder = bloom.save(model, tmp_path_factory.mktemp("talkative"))
    (folder / "generation_config.json").unlink()
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"eos_token_id": None}))
    return folder


def test_dialogues_stop_where_the_user_would_speak(taught: Path) -> None:
    engine = Transformers(weights=str(taught), max_tokens=24)
    assert said(engine, bloom.PARIS) == "La capitale de la France est Paris."


def test_chat_template(taught: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(taught, tmp_path / "chat"))
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    engine = Transformers(weights=str(folder), max_tokens=24)
    for messages, answer in bloom.EXCHANGES:
        assert said(engine, *messages) == answer


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision(taught: Path, dtype: str) -> None:
    options: dict[str, object] = {"dtype": dtype, "prompt": "instruction", "max_tokens": 24}
    engine = Transformers(weights=str(taught), **options)  # type: ignore[arg-type]
    assert said(engine, bloom.PARIS) == "La capitale de la France est Paris."
    assert {parameter.dtype for parameter in engine._model.parameters()} == {getattr(torch, dtype)}


def test_closing_stops_the_work(talkative: Path) -> None:
    engine = Transformers(weights=str(talkative), max_tokens=1900)
    reply = engine.reply([Message("user", "Parle.")])
    next(reply)
    started = time.monotonic()
    reply.close()
    assert time.monotonic() - started < 30  # all of it would take a minute


def test_nothing_outlives_the_deadline(talkative: Path) -> None:
    engine = Transformers(weights=str(talkative), max_tokens=1900, timeout_s=0.3)
    engine.load()
    started = time.monotonic()
    with pytest.raises(EngineTimeout):
        list(engine.reply([Message("user", "Parle.")]))
    assert time.monotonic() - started < 30


def loops(pieces: Sequence[object]) -> bool:
    """Whether as many pieces in a row come twice as are not to."""
    ends = range(REPEATED_TOKENS, len(pieces) + 1)
    runs = [tuple(pieces[end - REPEATED_TOKENS : end]) for end in ends]
    return len(set(runs)) < len(runs)


def test_no_loop_lasts(talkative: Path) -> None:
    asked = [Message("user", "mot mot mot mot")]
    engine = Transformers(weights=str(talkative), max_tokens=120)
    assert not loops(list(engine.reply(asked)))
    tokens = torch.tensor([bloom.tokenizer().encode(write(asked, "dialogue"))])
    unhindered = bloom.random().generate(tokens, max_new_tokens=120, do_sample=False)
    assert loops(unhindered[0, tokens.shape[1] :].tolist())


def test_two_slots(taught: Path) -> None:
    from tests.engines.contract import at_once

    engine = Transformers(weights=str(taught), prompt="instruction", max_tokens=24, slots=2)
    calls = [
        lambda messages=messages: said(engine, *messages) for messages, _answer in bloom.EXCHANGES
    ]
    assert at_once(*calls) == [answer for _messages, answer in bloom.EXCHANGES]


def test_safetensors_only(taught: Path, tmp_path: Path) -> None:
    """A pickle can run code when it is read."""
    folder = Path(shutil.copytree(taught, tmp_path / "pickled"))
    torch.save(bloom.random().state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    engine = Transformers(weights=str(folder))
    assert "model.safetensors" in (engine.missing() or "")
    with pytest.raises(EngineUnavailable):
        engine.load()


def test_no_code_of_the_weights_is_run(taught: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(taught, tmp_path / "coded"))
    config = json.loads((folder / "config.json").read_text())
    del config["architectures"]
    auto = {"AutoConfig": "code.Config", "AutoModelForCausalLM": "code.Model"}
    (folder / "config.json").write_text(
        json.dumps(config | {"model_type": "mine", "auto_map": auto})
    )
    ran = tmp_path / "ran"
    (folder / "code.py").write_text(f"import pathlib; pathlib.Path({str(ran)!r}).touch()")
    with pytest.raises(EngineError):
        Transformers(weights=str(folder)).load()
    assert not ran.exists()


def test_weights_that_are_damaged(taught: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(taught, tmp_path / "damaged"))
    (folder / "model.safetensors").write_bytes(b"cut")
    with pytest.raises(EngineError, match=r"^Transformers "):
        Transformers(weights=str(folder)).load()
