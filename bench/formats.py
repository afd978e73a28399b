"""The same weights in several number formats: how fast each writes, and whether it says the same.

``python -m bench.formats`` writes ``bench/results/formats.json``. gemma's weights are real ones.
They are published in Q4_K_M, whose values are written as f16, which keeps all but the last bits of
them, and as Q8_0, which rounds once more. What each replies to the questions, greedily, is compared
with f16. bloomz-1b1 has random weights, so only its speed tells anything.
"""

from __future__ import annotations

import bench.setup  # noqa: F401 - first: it sets Django up

# isort: split
import tempfile
import time
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from statistics import median
from typing import Any, Final

from django.core.management import call_command
from gguf import GGMLQuantizationType as Kind
from gguf import GGUFReader, GGUFWriter
from gguf.quants import dequantize

from bench import contenders, results
from bench.recordings import recordings
from pipeline import prompts
from pipeline.llm.llama_cpp import LlamaCpp
from pipeline.weights.quantize import quantized

REWRITTEN: Final = ("q8_0", "f16")  # besides q4_k_m, which is there
TOKENS: Final = 40

Figures = dict[str, Any]


def rewritten(source: Path, target: Path, kind: Kind) -> None:
    """``source`` with every matrix as ``kind``; vectors stay as they are."""
    read = GGUFReader(source)
    writer = GGUFWriter(target, read.fields["general.architecture"].contents())
    for name, field in read.fields.items():
        if not name.startswith("GGUF.") and name != "general.architecture":
            writer.add_key_value(name, field.contents(), field.types[0], field.types[-1])
    for tensor in read.tensors:
        values = dequantize(tensor.data, tensor.tensor_type)
        its_kind = kind if values.ndim > 1 else tensor.tensor_type
        writer.add_tensor(tensor.name, quantized(values, its_kind), raw_dtype=its_kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def written(weights: Path, prompt: str) -> tuple[Figures, list[list[str]]]:
    """Size and speed of ``weights``, and the tokens of their reply to each question."""
    llm = LlamaCpp(weights=str(weights), prompt=prompt, max_tokens=TOKENS)  # type: ignore[arg-type]
    llm.warm_up()
    replies, rates = [], []
    for question in recordings("questions"):
        deltas = llm.reply(prompts.messages(question.text, "fr"))
        tokens = [next(deltas, "")]
        started = time.perf_counter()
        tokens += deltas
        if len(tokens) > 1:
            rates.append((len(tokens) - 1) / (time.perf_counter() - started))
        replies.append(tokens)
    size_mb = weights.stat().st_size / 1e6
    return {"size_mb": size_mb, "tokens_s": median(rates)}, replies


def agreement(replies: list[list[str]], others: list[list[str]]) -> Figures:
    """How many replies are the same, and what share of the tokens is before they differ."""
    same = [
        len(list(takewhile(lambda pair: pair[0] == pair[1], zip(reply, other, strict=False))))
        for reply, other in zip(replies, others, strict=True)
    ]
    return {
        "same_replies": sum(map(list.__eq__, replies, others)),
        "same_tokens": sum(same) / sum(map(len, others)),
    }


def gemma(folder: Path) -> Iterator[tuple[str, Path]]:
    published = LlamaCpp().path
    yield "q4_k_m", published
    for name in REWRITTEN:
        path = folder / f"gemma-{name}.gguf"
        rewritten(published, path, Kind[name.upper()])
        yield name, path


def bloomz(folder: Path) -> Iterator[tuple[str, Path]]:
    contenders.prepare("standard")
    yield "q4_k_m", contenders.GGUF
    source = contenders.RANDOM / "bloomz-1b1"
    for name in REWRITTEN:
        path = folder / f"bloomz-{name}.gguf"
        call_command("convert_weights", source, type=name, output=path)
        yield name, path


def main() -> None:
    questions = len(recordings("questions"))
    figures: Figures = {
        "processor": results.processor(),
        "questions": questions,
        "tokens": TOKENS,
    }
    with tempfile.TemporaryDirectory() as made:
        found = {name: written(path, "dialogue") for name, path in gemma(Path(made))}
        figures["gemma-3-270m"] = {
            name: {**measured, **agreement(replies, found["f16"][1])}
            for name, (measured, replies) in found.items()
        }
        figures["bloomz-1b1"] = {
            name: written(path, "instruction")[0] for name, path in bloomz(Path(made))
        }
    results.write("formats", figures)


if __name__ == "__main__":
    main()
