"""Random weights of full size, where the real ones cannot be had.

``python -m bench.random_weights FOLDER [bloomz-1b1] [whisper-medium] [faster-whisper-medium]``
writes them into FOLDER. They take the time and the memory of the real ones, and say nonsense:
BLOOM's words are made of syllables, so that the nonsense can be spoken, and Whisper hears the same
question in whatever it is given, so that all runtimes decode as many tokens.
"""

from __future__ import annotations

import argparse
import json
import shutil
from itertools import islice, product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

BLOOM = {"vocab_size": 250_880, "hidden_size": 1536, "n_layer": 24, "n_head": 16}
WORDS = 250_680  # the tokenizer's; the rest of the vocabulary is never used
READ = 4_000  # of them are learnt
ROOT = Path(__file__).resolve().parent.parent
FRENCH = sorted(map(str, [*ROOT.glob("*.fr.md"), *ROOT.glob("docs/*.fr.md")]))
SPECIAL = ("<unk>", "<s>", "</s>", "<pad>")

QUESTION = " Quelle est la capitale de l'Italie ?"
WHISPER = {
    "n_mels": 80, "n_vocab": 51_865,
    "n_audio_ctx": 1500, "n_audio_state": 1024, "n_audio_head": 16, "n_audio_layer": 24,
    "n_text_ctx": 448, "n_text_state": 1024, "n_text_head": 16, "n_text_layer": 24,
}  # fmt: skip


def bloomz(folder: Path) -> None:
    """A folder as the hub's `bigscience/bloomz-1b1`, in float16 as there."""
    from transformers import BloomConfig, BloomForCausalLM

    model = BloomForCausalLM(BloomConfig(**BLOOM, bos_token_id=1, eos_token_id=2, pad_token_id=3))
    # Or the output, which is the embedding again, would be the last token for ever.
    torch.nn.init.constant_(model.transformer.word_embeddings_layernorm.weight, 0.05)
    model.half().save_pretrained(folder)
    (folder / "tokenizer.json").write_text(json.dumps(syllables()), "utf-8")
    settings = {"tokenizer_class": "BloomTokenizerFast", "eos_token": "</s>", "pad_token": "<pad>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def syllables() -> dict[str, Any]:
    """A `tokenizer.json` that writes syllables; split into words as BLOOM's.

    It reads French as BLOOM does, some three letters a token, as it learns from our own: how long a
    prompt is decides how long every token of the reply takes.
    """
    from tokenizers import Tokenizer
    from tokenizers.models import BPE
    from tokenizers.pre_tokenizers import ByteLevel
    from tokenizers.trainers import BpeTrainer

    learning = Tokenizer(BPE())
    learning.pre_tokenizer = ByteLevel(add_prefix_space=False)
    trainer = BpeTrainer(vocab_size=READ, show_progress=False)
    learning.train(FRENCH, trainer)
    merges = json.loads(learning.to_str())["model"]["merges"]
    words = [*SPECIAL, *sorted(ByteLevel.alphabet())]
    words += dict.fromkeys("".join(merge) for merge in merges)
    parts = [consonant + vowel for consonant in "bcdfglmnprstv" for vowel in "aeiou"]
    made = ("".join(word) for length in (2, 3) for word in product(parts, repeat=length))
    known = set(words)
    new = (word for word in (f"Ġ{syllable}" for syllable in made) if word not in known)
    words += islice(new, WORDS - len(words))
    split = {
        "type": "Split",
        "pattern": {"Regex": r" ?[^(\s|[.,!?…。，、।۔،])]+"},
        "behavior": "Isolated",
        "invert": False,
    }
    options = {"add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    byte_level = {"type": "ByteLevel", **options}
    added = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": index, "content": word, "special": True, **added}
            for index, word in enumerate(SPECIAL)
        ],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, byte_level]},
        "post_processor": byte_level,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "vocab": {word: index for index, word in enumerate(words)},
            "merges": merges,
        },
    }


def heard(embeddings: torch.Tensor) -> torch.Tensor:
    """Positions of the decoder that make it hear ``QUESTION``, whatever it is given.

    Each position is the embedding of the token that follows, which is then the likeliest.
    ``embeddings`` is of shape ``(vocabulary, width)``, the result ``(positions, width)``.
    """
    from tokenizers import Tokenizer

    from bench.setup import WEIGHTS

    # All multilingual Whispers but large-v3 share one tokenizer.
    tokenizer = Tokenizer.from_file(str(WEIGHTS / "whisper-base" / "tokenizer.json"))
    known = tokenizer.get_vocab()
    tokens = [known["<|fr|>"], known["<|transcribe|>"]]  # after <|startoftranscript|>
    tokens.append(known["<|notimestamps|>"] + 1)  # from 0.00 s: no word of the tokenizer
    tokens += tokenizer.encode(QUESTION, add_special_tokens=False).ids
    tokens += [known["<|endoftext|>"]] * (WHISPER["n_text_ctx"] - len(tokens))
    # So large that what 24 layers add, a hundred or so, does not matter.
    return torch.nn.functional.normalize(embeddings[tokens], dim=1) * 3000


def whisper(folder: Path) -> None:
    """`medium.pt`, as openai-whisper keeps it: float16."""
    from whisper.model import ModelDimensions, Whisper

    model = Whisper(ModelDimensions(**WHISPER))
    with torch.no_grad():
        model.decoder.positional_embedding.copy_(heard(model.decoder.token_embedding.weight))
    checkpoint = {"dims": WHISPER, "model_state_dict": model.half().state_dict()}
    torch.save(checkpoint, folder / "medium.pt")


def faster_whisper(folder: Path) -> None:
    """A folder as the hub's `Systran/faster-whisper-medium`: CTranslate2, float16."""
    from ctranslate2.converters import TransformersConverter
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    from bench.setup import WEIGHTS

    width, heads, layers = WHISPER["n_audio_state"], WHISPER["n_audio_head"], 24
    config = WhisperConfig(
        vocab_size=WHISPER["n_vocab"],
        d_model=width,
        encoder_layers=layers,
        decoder_layers=layers,
        encoder_attention_heads=heads,
        decoder_attention_heads=heads,
        encoder_ffn_dim=4 * width,
        decoder_ffn_dim=4 * width,
    )
    model = WhisperForConditionalGeneration(config)
    decoder = model.model.decoder
    with torch.no_grad():
        decoder.embed_positions.weight.copy_(heard(decoder.embed_tokens.weight))
    with TemporaryDirectory(dir=folder.parent) as source:
        model.save_pretrained(source)
        shutil.copy(WEIGHTS / "whisper-base" / "tokenizer.json", source)
        converter = TransformersConverter(source, copy_files=["tokenizer.json"])
        converter.convert(str(folder), quantization="float16", force=True)


KINDS = {"bloomz-1b1": bloomz, "whisper-medium": whisper, "faster-whisper-medium": faster_whisper}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("kinds", nargs="*", choices=KINDS, default=["bloomz-1b1"])
    arguments = parser.parse_args()
    torch.manual_seed(0)
    for kind in arguments.kinds:
        folder = arguments.folder / kind
        folder.mkdir(parents=True, exist_ok=True)
        KINDS[kind](folder)
        print(folder)


if __name__ == "__main__":
    main()
