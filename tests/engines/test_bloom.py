"""BLOOM on llama.cpp, from ``convert_weights``, writes what it writes on transformers."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

torch = pytest.importorskip("torch")
from gguf import GGUFReader  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402
from transformers import BloomForCausalLM  # noqa: E402
from xllamacpp import (  # noqa: E402
    CommonParams,
    Server,
    ggml_type,
    llama_flash_attn_type,
)

from pipeline.llm.base import Message  # noqa: E402
from pipeline.llm.llama_cpp import LlamaCpp  # noqa: E402
from pipeline.weights import WeightsError, find  # noqa: E402
from pipeline.weights.bloom import TYPES, convert  # noqa: E402
from pipeline.weights.converted import Converted  # noqa: E402
from pipeline.weights.sources import measure  # noqa: E402
from tests.engines import bloom  # noqa: E402

TOKENS = 12


@pytest.fixture(scope="module")
def model() -> BloomForCausalLM:
    return bloom.random()


@pytest.fixture(scope="module")
def folder(model: BloomForCausalLM, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bloom.save(model, tmp_path_factory.mktemp("bloom"))


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bloom.save(bloom.taught(), tmp_path_factory.mktemp("taught"))


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    """Weights that a test may damage."""
    return Path(shutil.copytree(folder, tmp_path / "copy"))


Ask = Callable[..., Any]


@pytest.fixture(scope="module")
def ask(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Ask:
    """llama.cpp's own server on the converted weights, everything in float32."""
    path = tmp_path_factory.mktemp("gguf") / "f32.gguf"
    convert(folder, path, "f32")
    params = CommonParams()
    params.model.path = str(path)
    params.n_ctx, params.n_parallel = 512, 1
    params.cache_type_k = params.cache_type_v = ggml_type.GGML_TYPE_F32
    params.flash_attn_type = llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.cpuparams.n_threads = 1
    params.verbosity, params.ui = 0, False
    server = Server(params)

    def ask(path: str, **body: object) -> Any:
        headers = {"Content-Type": "application/json"}
        request = Request(server.listening_address + path, json.dumps(body).encode(), headers)
        with urlopen(request, timeout=60) as answer:
            return json.load(answer)["tokens"]

    return ask


def test_there_are_fifty_prompts() -> None:
    assert len(set(bloom.PROMPTS)) == 50


def test_text_is_cut_into_the_same_tokens(ask: Ask, subtests: pytest.Subtests) -> None:
    for prompt in bloom.PROMPTS:
        with subtests.test(prompt):
            assert ask("/tokenize", content=prompt) == bloom.tokenizer().encode(prompt)


def test_greedy_tokens_are_the_same(
    ask: Ask, model: BloomForCausalLM, subtests: pytest.Subtests
) -> None:
    written = set()
    for prompt in bloom.PROMPTS:
        with subtests.test(prompt):
            asked = torch.tensor([bloom.tokenizer().encode(prompt)])
            reply = model.generate(asked, max_new_tokens=TOKENS, do_sample=False)
            # llama.cpp does not give the token that ends the text.
            tokens = reply[0, asked.shape[1] :].tolist()
            expected = [token for token in tokens if token != bloom.END]
            got = ask(
                "/completion", prompt=prompt, n_predict=TOKENS, temperature=0, return_tokens=True
            )
            assert got == expected
            written.update(got)
    assert len(written) > 50  # they say many different things


def kinds(file: Path) -> dict[str, str]:
    return {tensor.name: tensor.tensor_type.name for tensor in GGUFReader(file).tensors}


@pytest.mark.parametrize("type_", TYPES)
def test_every_type_answers_as_it_was_taught(taught: Path, tmp_path: Path, type_: Any) -> None:
    convert(taught, tmp_path / "taught.gguf", type_)
    path = str(tmp_path / "taught.gguf")
    engine = LlamaCpp(weights=path, prompt="instruction", max_tokens=24, context_tokens=512)
    for messages, answer in bloom.EXCHANGES:
        assert "".join(engine.reply(messages)).strip() == answer


def test_dialogues_stop_where_the_user_would_speak(taught: Path, tmp_path: Path) -> None:
    convert(taught, tmp_path / "taught.gguf", "q8_0")
    engine = LlamaCpp(weights=str(tmp_path / "taught.gguf"), max_tokens=24, context_tokens=512)
    assert "".join(engine.reply([bloom.PARIS])).strip() == "La capitale de la France est Paris."


def test_q4_k_m_spends_bits_where_they_are_felt(tmp_path: Path) -> None:
    folder = bloom.save(bloom.random(width=256, blocks=8), tmp_path)
    contents = convert(folder, tmp_path / "wide.gguf", "q4_k_m")
    assert contents.size_bytes == (tmp_path / "wide.gguf").stat().st_size
    found = kinds(tmp_path / "wide.gguf")
    assert found["token_embd.weight"] == "Q6_K"
    assert {found[f"blk.{block}.attn_qkv.weight"] for block in range(8)} == {"Q5_K"}
    assert {found[f"blk.{block}.ffn_up.weight"] for block in range(8)} == {"Q4_K"}
    assert [found[f"blk.{block}.ffn_down.weight"] for block in range(8)] == [
        "Q6_K", "Q4_K", "Q4_K", "Q6_K", "Q4_K", "Q4_K", "Q6_K", "Q6_K",
    ]  # fmt: skip
    assert found["blk.0.attn_qkv.bias"] == found["output_norm.weight"] == "F32"
    engine = LlamaCpp(weights=str(tmp_path / "wide.gguf"), max_tokens=8)
    assert "".join(engine.reply([Message("user", "Bonjour !")]))


def test_command(folder: Path, tmp_path: Path, settings: Settings) -> None:
    settings.VOICEBOT_DATA_DIR = tmp_path / "data"
    output = io.StringIO()
    call_command("convert_weights", str(folder), stdout=output)
    written, digest, use = output.getvalue().splitlines()
    path = tmp_path / "data" / "weights" / f"{folder.name}-q8_0.gguf"
    assert written.startswith(f"{path} is written")
    assert digest == f"sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}"
    options = json.loads(use.partition("VOICEBOT_LLM_OPTIONS=")[2].strip("'"))
    assert LlamaCpp(**options).missing() is None


def test_half_precision_and_names_as_on_the_hub(model: BloomForCausalLM, copy: Path) -> None:
    """bloomz-1b1 is kept in float16, and bloom's names have no prefix."""
    tensors = load_file(copy / "model.safetensors")
    for dtype in (torch.float16, torch.bfloat16):
        renamed = {
            name.removeprefix("transformer."): tensor.to(dtype).contiguous()
            for name, tensor in tensors.items()
        }
        save_file(renamed, copy / "model.safetensors")
        convert(copy, copy / "half.gguf", "f32")
        [embedding] = [
            t for t in GGUFReader(copy / "half.gguf").tensors if t.name == "token_embd.weight"
        ]
        expected = model.transformer.word_embeddings.weight.detach().to(dtype).float().numpy()
        assert (embedding.data == expected).all()


def spoil_tensor(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


def spoil_json(file: Path, **changes: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda f: spoil_json(f / "config.json", model_type="llama"), "holds “llama” weights"),
        (lambda f: spoil_json(f / "config.json", tie_word_embeddings=False), "tie_word_embeddings"),
        (
            lambda f: spoil_json(f / "config.json", n_layer=3),
            "12 tensors are not as they should",
        ),
        (lambda f: (f / "config.json").write_text("{"), "config.json is damaged"),
        (lambda f: (f / "tokenizer.json").unlink(), "There is no file"),
        (
            lambda f: (f / "model.safetensors").write_bytes(b"no"),
            "model.safetensors is damaged",
        ),
        (lambda f: (f / "model.safetensors").unlink(), "tensors are not as they should be"),
        (
            lambda f: spoil_tensor(f, lambda t: t.pop("transformer.ln_f.bias")),
            "1 tensors are not as they should be: output_norm.bias",
        ),
        (
            lambda f: spoil_tensor(f, lambda t: t.update(adapter=torch.zeros(2))),
            "1 tensors are not as they should be: .adapter",
        ),
    ],
)
def test_what_cannot_be_converted(copy: Path, spoil: Callable[[Path], object], said: str) -> None:
    spoil(copy)
    before = set(copy.iterdir())
    with pytest.raises(CommandError, match=said):
        call_command("convert_weights", str(copy), "-o", str(copy / "out.gguf"))
    assert set(copy.iterdir()) == before


def test_another_tokenizer_is_noticed(copy: Path) -> None:
    """llama.cpp would cut text as BLOOM does, these weights want it cut otherwise."""
    read = json.loads((copy / "tokenizer.json").read_text())
    [_split, byte_level] = read["pre_tokenizer"]["pretokenizers"]
    read["pre_tokenizer"] = byte_level | {"use_regex": True}  # GPT-2's words
    (copy / "tokenizer.json").write_text(json.dumps(read))
    with pytest.raises(WeightsError, match="into other tokens than"):
        convert(copy, copy / "out.gguf", "f32")
    assert not list(copy.glob("*.gguf*"))
    assert not list(copy.glob(".*"))


def test_fetched_weights_are_converted(copy: Path, tmp_path: Path) -> None:
    """The manifest's source, given what the hub would have brought."""
    [source] = find("bloomz-1b1-q4").sources
    assert isinstance(source, Converted)
    assert source.download_bytes(copy) == 0
    (tmp_path / "placed").mkdir()
    placed = source.place(copy, tmp_path / "placed")
    assert placed.keys() == {find("bloomz-1b1-q4").main}
    assert source.describes(placed)
    [contents] = placed.values()
    path = tmp_path / "placed" / source.file
    assert contents == measure(path)
    assert "".join(LlamaCpp(weights=str(path), max_tokens=8).reply([bloom.NAME]))


def test_ids_that_are_not_here() -> None:
    with pytest.raises(CommandError, match="There are no weights “nothing”"):
        call_command("convert_weights", "nothing")
