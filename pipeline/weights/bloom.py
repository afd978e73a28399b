"""Writes BLOOM weights, as Hugging Face keeps them, as GGUF, which llama.cpp reads.

Three things differ between the two. BLOOM keeps query, key and value of each head together; GGUF
wants those of all heads one after another. The output layer is the embedding, so it is not
written twice. And the vocabulary is a little larger than the tokenizer's, so that it divides well
among processors: the rest are tokens that nothing uses.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from django.utils.translation import gettext as _
from numpy.typing import NDArray

from pipeline.weights.sources import Contents, WeightsError, measure

if TYPE_CHECKING:
    from gguf import GGMLQuantizationType as Kind
    from gguf import GGUFWriter

Type = Literal["f32", "f16", "q8_0", "q4_k_m"]
TYPES: tuple[Type, ...] = get_args(Type)

PARTS = {
    "word_embeddings": "token_embd",
    "word_embeddings_layernorm": "token_embd_norm",
    "ln_f": "output_norm",
    "input_layernorm": "attn_norm",
    "self_attention.query_key_value": "attn_qkv",
    "self_attention.dense": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.dense_h_to_4h": "ffn_up",
    "mlp.dense_4h_to_h": "ffn_down",
}

CONTEXT_TOKENS = 2048  # what every BLOOM was trained on; not all state it
K_BLOCK = 256  # weights in a block of a K-quant


@dataclass(frozen=True)
class Tensor:
    """A tensor of the checkpoint, and what becomes of it."""

    file: Path
    source: str
    name: str
    shape: tuple[int, ...]
    kind: Kind

    @property
    def size_bytes(self) -> int:
        from gguf.quants import quant_shape_to_byte_shape

        if self.kind.name in ("F32", "F16"):
            return prod(self.shape) * (4 if self.kind.name == "F32" else 2)
        return prod(quant_shape_to_byte_shape(self.shape, self.kind))


class Bloom:
    """A folder with ``config.json``, ``tokenizer.json`` and safetensors."""

    def __init__(self, folder: Path) -> None:
        """:raises WeightsError: it is not BLOOM, or not one llama.cpp can run."""
        self.folder = folder
        self._config = _json(folder / "config.json")
        architecture = self._config.get("model_type")
        if architecture != "bloom":
            text = _("%(folder)s holds “%(found)s” weights; only BLOOM's can be converted.")
            raise WeightsError(text % {"folder": folder, "found": architecture})
        for option, run in (
            ("apply_residual_connection_post_layernorm", False),
            ("tie_word_embeddings", True),
        ):
            if self._config.get(option, run) != run:
                text = _("%(folder)s is a BLOOM with %(option)s changed: llama.cpp runs none such.")
                raise WeightsError(text % {"folder": folder, "option": option})
        self._tokenizer = _json(folder / "tokenizer.json")

    def _number(self, *names: str) -> int:
        """BLOOM's configurations call the same things by several names."""
        for name in names:
            if name in self._config:
                return int(self._config[name])
        text = _("%(file)s does not state %(name)s.")
        raise WeightsError(text % {"file": self.folder / "config.json", "name": names[0]})

    @cached_property
    def heads(self) -> int:
        return self._number("n_head", "num_attention_heads")

    @cached_property
    def blocks(self) -> int:
        return self._number("n_layer", "num_hidden_layers")

    @cached_property
    def width(self) -> int:
        return self._number("hidden_size", "n_embed")

    def tensors(self, type_: Type) -> list[Tensor]:
        """Every tensor of the checkpoint.

        :raises WeightsError: one is missing, unknown, or of the wrong shape.
        """
        from safetensors import SafetensorError, safe_open

        found: dict[str, Tensor] = {}
        for file in sorted(self.folder.glob("*.safetensors")):
            try:
                with safe_open(file, framework="pt") as tensors:
                    for source in tensors.keys():  # noqa: SIM118 - not a mapping
                        name = _renamed(source)
                        if name is None:
                            continue
                        shape = tuple(tensors.get_slice(source).get_shape())
                        kind = self._kind(name, shape, type_)
                        found[name] = Tensor(file, source, name, shape, kind)
            except SafetensorError as exc:
                text = _("%(file)s is damaged: %(reason)s.")
                raise WeightsError(text % {"file": file, "reason": exc}) from exc
        expected = self._shapes
        got = {name: tensor.shape for name, tensor in found.items()}
        if wrong := sorted(dict(expected.items() ^ got.items())):
            text = _("%(folder)s: %(count)d tensors are not as they should be: %(first)s …")
            values = {"count": len(wrong), "first": ", ".join(wrong[:3])}
            raise WeightsError(text % {"folder": self.folder, **values})
        return [found[name] for name in expected]

    @property
    def _shapes(self) -> dict[str, tuple[int, ...]]:
        width = self.width
        shapes: dict[str, tuple[int, ...]] = {
            "token_embd.weight": (self._number("vocab_size"), width)
        }
        norms = ["token_embd_norm", "output_norm"]
        for block in range(self.blocks):
            beginning = f"blk.{block}."
            norms += [f"{beginning}attn_norm", f"{beginning}ffn_norm"]
            for part, rows, columns in (
                ("attn_qkv", 3 * width, width),
                ("attn_output", width, width),
                ("ffn_up", 4 * width, width),
                ("ffn_down", width, 4 * width),
            ):
                shapes[f"{beginning}{part}.weight"] = (rows, columns)
                shapes[f"{beginning}{part}.bias"] = (rows,)
        for norm in norms:
            shapes |= {f"{norm}.weight": (width,), f"{norm}.bias": (width,)}
        return shapes

    def _kind(self, name: str, shape: tuple[int, ...], type_: Type) -> Kind:
        """The number format of a tensor, as llama.cpp's own quantiser chooses it."""
        from gguf import GGMLQuantizationType as Kind

        if len(shape) == 1 or type_ == "f32":
            return Kind.F32
        if type_ == "f16":
            return Kind.F16
        if type_ == "q8_0" or shape[1] % K_BLOCK:
            return Kind.Q8_0
        # Q4_K_M: four bits, more where it is felt most. The embedding is also the output layer.
        if name == "token_embd.weight":
            return Kind.Q6_K
        if "attn_qkv" in name:
            return Kind.Q5_K
        if "ffn_down" in name and self._more_bits(int(name.split(".")[1])):
            return Kind.Q6_K
        return Kind.Q4_K

    def _more_bits(self, block: int) -> bool:
        """The first and last eighth of the blocks, and each third between."""
        eighth = self.blocks // 8
        return block < eighth or block >= 7 * self.blocks // 8 or (block - eighth) % 3 == 2

    def describe(self, writer: GGUFWriter, type_: Type) -> None:
        """Write all that is not tensors: sizes and the tokenizer."""
        from gguf import GGML_QUANT_VERSION, LlamaFileType

        writer.add_name(self.folder.resolve().name)
        writer.add_context_length(int(self._config.get("seq_length", CONTEXT_TOKENS)))
        writer.add_embedding_length(self.width)
        writer.add_feed_forward_length(4 * self.width)
        writer.add_block_count(self.blocks)
        writer.add_head_count(self.heads)
        writer.add_head_count_kv(self.heads)
        writer.add_layer_norm_eps(float(self._config.get("layer_norm_epsilon", 1e-5)))
        names = {"f32": "ALL_F32", "f16": "MOSTLY_F16", "q8_0": "MOSTLY_Q8_0"}
        writer.add_file_type(LlamaFileType[names.get(type_, "MOSTLY_Q4_K_M")])
        writer.add_quantization_version(GGML_QUANT_VERSION)
        self._describe_tokenizer(writer)

    def _describe_tokenizer(self, writer: GGUFWriter) -> None:
        from gguf import TokenType

        model = self._tokenizer["model"]
        count = self._number("vocab_size")
        tokens = [f"[PAD{index}]" for index in range(count)]
        types = [TokenType.UNUSED] * count
        for token, index in model["vocab"].items():
            tokens[index], types[index] = token, TokenType.NORMAL
        for added in self._tokenizer.get("added_tokens", ()):
            special = TokenType.CONTROL if added["special"] else TokenType.USER_DEFINED
            tokens[added["id"]], types[added["id"]] = added["content"], special
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("bloom")
        writer.add_token_list(tokens)
        writer.add_token_types(types)
        writer.add_token_merges(
            [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
        )
        for name, add in (
            ("unk", writer.add_unk_token_id),
            ("bos", writer.add_bos_token_id),
            ("eos", writer.add_eos_token_id),
            ("pad", writer.add_pad_token_id),
        ):
            if (index := self._config.get(f"{name}_token_id")) is not None:
                add(index)
        writer.add_add_bos_token(False)

    def read(self, tensor: Tensor) -> NDArray[np.float32]:
        from safetensors import safe_open

        with safe_open(tensor.file, framework="pt") as tensors:
            values: NDArray[np.float32] = tensors.get_tensor(tensor.source).float().numpy()
        if "attn_qkv" in tensor.name:
            # (heads, 3, width of a head, …) → (3, heads, width of a head, …)
            apart = values.reshape(self.heads, 3, self.width // self.heads, -1)
            values = apart.swapaxes(0, 1).reshape(values.shape)
        return values


def convert(
    folder: Path, target: Path, type_: Type, advanced: Callable[[int], object] = lambda _bytes: None
) -> Contents:
    """Write the BLOOM weights in ``folder`` as ``target``, whole and checked or not at all.

    ``advanced`` is told of every byte written; ``size_bytes`` says how many there will be.

    :raises WeightsError: they are no BLOOM weights, the disk has no room, or llama.cpp does not
        read the file as it should.
    """
    from gguf import GGUFWriter

    from pipeline.weights import proof
    from pipeline.weights.quantize import quantized

    bloom = Bloom(folder)
    tensors = bloom.tensors(type_)
    with _whole(target, sum(tensor.size_bytes for tensor in tensors)) as made:
        writer = GGUFWriter(made, "bloom")
        bloom.describe(writer, type_)
        for tensor in tensors:
            dtype = np.dtype(np.float32)
            writer.add_tensor_info(
                tensor.name, tensor.shape, dtype, tensor.size_bytes, raw_dtype=tensor.kind
            )
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for tensor in tensors:
            writer.write_tensor_data(quantized(bloom.read(tensor), tensor.kind))
            advanced(tensor.size_bytes)
        writer.close()
        proof.tensors(made, {tensor.name: (tensor.shape, tensor.kind) for tensor in tensors})
        proof.words(made, folder / "tokenizer.json")
        return measure(made)


def size_bytes(folder: Path, type_: Type) -> int:
    """What the tensors will take.

    :raises WeightsError: see ``convert``.
    """
    return sum(tensor.size_bytes for tensor in Bloom(folder).tensors(type_))


@contextmanager
def _whole(target: Path, needed_bytes: int) -> Iterator[Path]:
    """A file to write in the place of ``target``; it takes that name at the end if all is well."""
    target.parent.mkdir(parents=True, exist_ok=True)
    free_bytes = shutil.disk_usage(target.parent).free
    if free_bytes < needed_bytes:
        text = _("%(file)s needs %(needed)d MB in %(folder)s, where %(free)d MB are free.")
        values = {"needed": needed_bytes // 10**6 + 1, "free": free_bytes // 10**6}
        raise WeightsError(text % {"file": target.name, "folder": target.parent, **values})
    made = target.with_name(f".{target.name}.tmp")
    try:
        yield made
        made.replace(target)
    finally:
        made.unlink(missing_ok=True)


def _json(file: Path) -> dict[str, Any]:
    try:
        read: dict[str, Any] = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        raise WeightsError(_("There is no file %(path)s.") % {"path": file}) from None
    except ValueError as exc:
        text = _("%(file)s is damaged: %(reason)s.")
        raise WeightsError(text % {"file": file, "reason": exc}) from exc
    return read


def _renamed(source: str) -> str | None:
    """GGUF's name of a tensor; None of the output layer, which is the embedding again."""
    name, _dot, leaf = source.removeprefix("transformer.").rpartition(".")
    if name == "lm_head":
        return None
    block = ""
    if name.startswith("h."):
        _h, index, name = name.split(".", 2)
        block = f"blk.{index}."
    # An unknown one keeps its name, and is found not to belong.
    return f"{block}{PARTS.get(name, name)}.{leaf}"
