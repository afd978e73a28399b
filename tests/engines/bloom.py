"""A BLOOM small enough to make in a test: real architecture, real tokenizer, a few words of French.

Its tokenizer is trained as BLOOM's was (byte-level BPE, the same split into words), its weights
are random in every part, biases and norms too, so that nothing a converter forgets stays unseen.
``taught`` then learns a handful of exchanges by heart.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import BloomConfig, BloomForCausalLM, PreTrainedTokenizerFast

from pipeline import prompts
from pipeline.llm import dialogue
from pipeline.llm.base import Message

# As in the tokenizer.json of every BLOOM.
WORDS = r" ?[^(\s|[.,!?…。，、।۔،])]+"
SPECIAL = ["<unk>", "<s>", "</s>", "<pad>"]
END = SPECIAL.index("</s>")
SPARE = 24  # tokens that only the weights know; BLOOM has 200

ALICE = (Message("user", "Je m'appelle Alice."), Message("assistant", "Enchanté, Alice."))
NAME = Message("user", "Comment est-ce que je m'appelle ?")
PARIS = Message("user", "Quelle est la capitale de la France ?")

# Who is told what, and what they then say.
EXCHANGES: list[tuple[Sequence[Message], str]] = [
    ([PARIS], "La capitale de la France est Paris."),
    ([NAME], "Je ne sais pas."),
    ([*ALICE, NAME], "Vous vous appelez Alice."),
    ([Message("user", "Compte jusqu'à cinq.")], "Un, deux, trois, quatre, cinq !"),
]

PROMPTS = [
    *(question for question, _answer in prompts.PROMPTS["fr"].examples),
    *(answer for _question, answer in prompts.PROMPTS["fr"].examples),
    *(question for question, _answer in prompts.PROMPTS["en"].examples),
    *(question for question, _answer in prompts.PROMPTS["es"].examples),
    "À l'été, où était l'âne ? Là-bas, sûrement ; près du « vieux chêne ».",
    "ÉTÉ ÇA ŒUF NOËL aïe maïs Ÿ ç œ æ",
    "1234567890 3,14 1 000 000 €, 50 % et 12h30",
    "Le 14/07/1789… vraiment ?! (oui) [non] {peut-être} <b>",
    "😀 🎉👨‍👩‍👧 drapeau 🇫🇷 !",
    "   trois espaces   au milieu   et à la fin   ",
    "tabulation\tet\nlignes\n\n\nvides\r\n",
    "aujourd'hui, l’apostrophe d’imprimerie n'est-ce pas",
    "https://example.org/chemin?x=1&y=2#fin",
    "def f(x): return x ** 2  # code",
    "नमस्ते दुनिया। مرحبا بالعالم، كيف حالك",
    "你好，世界。こんにちは、世界！",
    "mot" * 12,
    "!!!???...,,,",
    "é",
    " ",
    "a b c d e f g",
    "Utilisateur : Bonjour.\nAssistant :",
    "Question : Pourquoi ?\nRéponse :",
    "_souligné_ *gras* ~barré~ `code`",
    "\u00a0espace\u202finsécable\u00a0!",
]


def _corpus() -> list[str]:
    lines = [text for messages, answer in EXCHANGES for text in (*_texts(messages), answer)]
    for prompt in prompts.PROMPTS.values():
        lines += [prompt.system, *(text for example in prompt.examples for text in example)]
    speakers = [name for form in dialogue.SPEAKERS.values() for name in form.values()]
    return [*lines, *speakers]


def _texts(messages: Sequence[Message]) -> list[str]:
    return [message.text for message in messages]


@cache
def tokenizer() -> PreTrainedTokenizerFast:
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    trained.decoder = decoders.ByteLevel()
    trained.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(
        vocab_size=1000,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    trained.train_from_iterator(_corpus(), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=trained,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        clean_up_tokenization_spaces=False,
    )


def random(*, width: int = 64, heads: int = 4, blocks: int = 2) -> BloomForCausalLM:
    # A seed after which no two tokens are so near that rounding decides between them.
    torch.manual_seed(3)
    config = BloomConfig(
        vocab_size=len(tokenizer()) + SPARE,
        hidden_size=width,
        n_head=heads,
        n_layer=blocks,
        bos_token_id=SPECIAL.index("<s>"),
        eos_token_id=END,
        pad_token_id=SPECIAL.index("<pad>"),
    )
    model = BloomForCausalLM(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(1.0 if "norm" in name and "weight" in name else 0.0, 0.2)
        model.transformer.ln_f.weight *= 8  # opinions, instead of a mumble
    return model


def taught() -> BloomForCausalLM:
    """Knows ``EXCHANGES`` by heart: as instructions, which end; as dialogues, which go on."""
    torch.set_num_threads(1)  # so little work is slower shared
    model, words = random(), tokenizer()
    samples = []
    for messages, answer in EXCHANGES:
        samples.append(f"{dialogue.write(messages, 'instruction')} {answer}</s>")
        text = dialogue.write(messages, "dialogue")
        samples.append(f"{text} {answer}\nUtilisateur : Merci. Assistant :")
    batch = words(samples, padding=True, return_tensors="pt")
    labels = batch.input_ids.masked_fill(batch.attention_mask == 0, -100)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _step in range(100):
        loss = model(**batch, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


def save(model: BloomForCausalLM, folder: Path) -> Path:
    """The files that bigscience's repositories hold, as those lay them out."""
    model.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    config["n_embed"] = config.pop("hidden_size")
    config["num_attention_heads"] = config.pop("n_head")
    (folder / "config.json").write_text(json.dumps(config))
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings["tokenizer_class"] = "BloomTokenizerFast"
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder
