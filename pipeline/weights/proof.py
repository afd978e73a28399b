"""Whether a GGUF file that was just written is read as it should be."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

from django.conf import settings
from django.utils.translation import gettext as _

from pipeline.weights.sources import WeightsError

if TYPE_CHECKING:
    from gguf import GGMLQuantizationType as Kind

SAMPLES = (
    "Quelle est la capitale de l'Espagne ?",
    "À l'été, où était l'âne… Là-bas, près du « vieux chêne » ?!",
    "Le 14/07/1789, 3,14 et 1 000 000 € : 50 % (oui)",
    "😀 नमस्ते । 你好，世界。",
    "  deux  espaces\n\net\tdes lignes ",
)
"""Text in which tokenizers differ when they are not the same."""

TOKENS = 8
TIMEOUT_S = 600.0


def tensors(file: Path, expected: Mapping[str, tuple[tuple[int, ...], Kind]]) -> None:
    """:raises WeightsError: a tensor is missing, too many, or of another shape or kind."""
    from gguf import GGUFReader

    got = {
        # GGUF counts dimensions from the innermost.
        tensor.name: (tuple(int(size) for size in reversed(tensor.shape)), tensor.tensor_type)
        for tensor in GGUFReader(file).tensors
    }
    if got != dict(expected):
        text = _("%(file)s does not hold the %(count)d tensors it should.")
        raise WeightsError(text % {"file": file.name, "count": len(expected)})


def words(file: Path, tokenizer: Path) -> None:
    """Let llama.cpp load the file, cut text into tokens, and write a few.

    :raises WeightsError: it does not load, cuts text otherwise than ``tokenizer``
        (``tokenizer.json``) does, or writes nothing.
    """
    from tokenizers import Tokenizer
    from xllamacpp import CommonParams, Server

    reference = Tokenizer.from_file(str(tokenizer))
    params = CommonParams()
    params.model.path = str(file)
    params.n_ctx = 512
    params.n_parallel = 1
    params.cpuparams.n_threads = settings.VOICEBOT_THREADS
    params.verbosity = 0
    params.ui = False
    key = secrets.token_urlsafe(32)
    params.api_keys = [key]
    try:
        server = Server(params)
    except RuntimeError as exc:
        text = _("llama.cpp cannot load %(file)s: %(reason)s.")
        raise WeightsError(text % {"file": file.name, "reason": exc}) from exc

    def asked(path: str, **body: Any) -> list[int]:
        """What the server on the loopback address answers in tokens."""
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        request = Request(server.listening_address + path, json.dumps(body).encode(), headers)
        with urlopen(request, timeout=TIMEOUT_S) as answer:
            tokens: list[int] = json.load(answer)["tokens"]
        return tokens

    for sample in SAMPLES:
        if asked("/tokenize", content=sample) != reference.encode(sample).ids:
            text = _("llama.cpp cuts “%(sample)s” into other tokens than %(tokenizer)s does.")
            raise WeightsError(text % {"sample": sample, "tokenizer": tokenizer})
    # Whatever the first token is: weights that end at once are not wrong.
    written = asked(
        "/completion",
        prompt=SAMPLES[0],
        n_predict=TOKENS,
        temperature=0,
        return_tokens=True,
        ignore_eos=True,
    )
    if len(written) != TOKENS:
        text = _("llama.cpp loads %(file)s and writes nothing.")
        raise WeightsError(text % {"file": file.name})
