"""Text cut into sentences: the same however it streams in, as early as is safe, nothing lost."""

from __future__ import annotations

import random

import pytest

from pipeline.sentences import MAX_SENTENCE_CHARS, SentenceSplitter, split

# Sentences that nothing may cut; each is followed by another below.
WHOLE = [
    "Bonjour !",
    "Comment ça va\u00a0?",
    "Le nombre pi vaut 3,14 ou 3.14 environ.",
    "Cela coûte 1 234 567,89 € en tout.",
    "Il est 14 h 30, ou 14h30, ou 14:30.",
    "M. Dupont et Mme. Durand ont vu le Dr. Martin.",
    "Des pommes, des poires, etc. et des prunes.",
    "Une ville, p. ex. Paris, c.-à-d. la capitale.",
    "Il vit à St. Malo, av. Foch, n° 5.",
    "Selon l'art. 5 du code, cf. Annexe.",
    "Né en 50 av. J.-C. à Rome.",
    "I like fruit, e.g. Apples, i.e. Fruit.",
    "Mr. Smith met J. R. R. Tolkien at 5 p.m. in Oxford.",
    "Ajoutez 2 c. à s. de sucre.",
    "Le président John F. Kennedy parle.",
    "Eh bien... je ne sais pas… peut-être.",
    "Va sur https://exemple.fr/a?b=c.d!e ou www.exemple.fr pour voir.",
    "Écris à jean.dupont@exemple.fr demain.",
    "Python 3.11.4 et la v2.0.1 sont là.",
    "« Viens ! » cria-t-il.",
    "« Tu viens\u202f? »",
    "(Il est parti.)",
    "Il a dit « oui. »",
    '"Bonjour."',
    "**Attention !**",
    "Quoi ?!",
    "Vraiment ???",
]


@pytest.mark.parametrize("sentence", WHOLE)
def test_is_one_sentence(sentence: str) -> None:
    assert split(sentence) == [sentence]
    assert split(f"{sentence} Elle part. Fin") == [sentence, "Elle part.", "Fin"]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("1. Premier point\n2. Deuxième.", ["1. Premier point", "2. Deuxième."]),
        ("# Titre\n\n- un\n- deux\r\nFin", ["# Titre", "- un", "- deux", "Fin"]),
        ("« Bonjour ! Tu viens ? » dit-il. Oui.",
         ["« Bonjour !", "Tu viens ? » dit-il.", "Oui."]),
        ("Des pommes, etc. Puis des poires.", ["Des pommes, etc.", "Puis des poires."]),
        ("C'est de l'art. Il aime.", ["C'est de l'art.", "Il aime."]),
        ("Né en 50 av. J.-C. Il mourut.", ["Né en 50 av. J.-C.", "Il mourut."]),
        ("Il est né en 1789. Elle aussi.", ["Il est né en 1789.", "Elle aussi."]),
        ("Eh bien… Je ne sais pas.", ["Eh bien…", "Je ne sais pas."]),
        ("今日は。元気ですか？「はい。」と言った。",
         ["今日は。", "元気ですか？", "「はい。」", "と言った。"]),
        ("यह है। वह था।", ["यह है।", "वह था।"]),
        ("Oui. ... ! --- Non.", ["Oui.", "--- Non."]),
        ("\n---\n***\n . … !?\n", []),
        ("", []),
    ],
)  # fmt: skip
def test_sentences_of_a_text(text: str, sentences: list[str]) -> None:
    assert split(text) == sentences


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Bonjour. ", ["Bonjour."]),
        ("Bonjour !\n", ["Bonjour !"]),
        ("Un titre\n", ["Un titre"]),
        ("はい。は", ["はい。"]),
        ("Bonjour.", []),  # what follows may be a digit, a domain, a closing mark
        ("« Bonjour ! ", []),  # … or a closing quote after a blank
        ("Des pommes, etc. ", []),  # … or the rest of the sentence
        ("Des pommes, etc. P", ["Des pommes, etc."]),
    ],
)
def test_leaves_as_early_as_is_safe(text: str, sentences: list[str]) -> None:
    assert SentenceSplitter().feed(text) == sentences


def _random_texts() -> list[str]:
    draw = random.Random(20261123)
    atoms = [
        *WHOLE, " ", " ", "\n", "  ", ". ", "! ", "? ", "… ", "...", "»", "« ", ") ", "(", "**",
        "etc. ", "M. ", "J.-C. ", "。", "」", "।", ", ", " : ", "; ", "mot ", "Mot ", "12 ", "3.",
        "x" * 90, "mot " * 40, "un, " * 30, "." * 50, " " * 60,
    ]  # fmt: skip
    return ["".join(draw.choices(atoms, k=draw.randint(1, 14))) for _ in range(400)]


def _stream(text: str, sizes: list[int]) -> list[str]:
    splitter, sentences, start = SentenceSplitter(), [], 0
    for size in sizes:
        sentences += splitter.feed(text[start : start + size])
        start += size
    return [*sentences, *splitter.feed(text[start:]), *splitter.flush()]


def test_streaming_changes_nothing() -> None:
    draw = random.Random(1)
    for text in _random_texts():
        whole = split(text)
        assert _stream(text, [1] * len(text)) == whole
        for _ in range(3):
            assert _stream(text, draw.choices(range(9), k=len(text) // 3)) == whole


def test_loses_nothing_and_bounds_each_sentence() -> None:
    for text in _random_texts():
        sentences = split(text)
        said = [char for sentence in sentences for char in sentence if char.isalnum()]
        assert said == [char for char in text if char.isalnum()]
        assert all(0 < len(sentence) <= MAX_SENTENCE_CHARS for sentence in sentences)
        assert all(sentence == sentence.strip() for sentence in sentences)


def test_a_long_sentence_is_cut_at_a_clause() -> None:
    clause = "il marche dans la rue, sous la pluie, sans parapluie"
    long = f"{clause} ; {clause} : {clause}, {clause}, {clause}."
    assert split(long) == [f"{clause} ; {clause} :", f"{clause}, {clause}, {clause}."]
    assert all(part.endswith(",") for part in split("un mot, " * 60 + "fin.")[:-1])


def test_a_long_sentence_with_no_clause_is_cut_between_words() -> None:
    sentences = split("le 14 h 30 " * 60)
    assert " ".join(sentences).split() == ("le 14 h 30 " * 60).split()
    assert all(sentence.endswith(("30", "h")) for sentence in sentences)


def test_flush_leaves_the_splitter_as_new() -> None:
    splitter = SentenceSplitter()
    assert splitter.feed("« Début") + splitter.flush() == ["« Début"]
    assert splitter.feed("Bonjour. ") == ["Bonjour."]
