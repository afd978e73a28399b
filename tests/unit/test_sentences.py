"""Text cut into sentences: the same however it streams in, as early as is safe, nothing lost."""

from __future__ import annotations

import random
from itertools import pairwise

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
    return ["".join(draw.choices(atoms, k=draw.randint(1, 14))) for _ in range(150)]


def _stream(text: str, sizes: list[int], *, eager: bool = False) -> list[str]:
    splitter, sentences, start = SentenceSplitter(eager=eager), [], 0
    for size in sizes:
        sentences += splitter.feed(text[start : start + size])
        start += size
    return [*sentences, *splitter.feed(text[start:]), *splitter.flush()]


@pytest.mark.parametrize("eager", [False, True])
def test_streaming_changes_nothing(eager: bool) -> None:
    draw = random.Random(1)
    for text in _random_texts():
        whole = _stream(text, [], eager=eager)
        assert _stream(text, [1] * len(text), eager=eager) == whole
        for _ in range(2):
            sizes = draw.choices(range(9), k=len(text) // 3)
            assert _stream(text, sizes, eager=eager) == whole


@pytest.mark.parametrize("eager", [False, True])
def test_loses_nothing_and_bounds_each_sentence(eager: bool) -> None:
    for text in _random_texts():
        sentences = _stream(text, [], eager=eager)
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


# --- The first clause --------------------------------------------------------------------------


BREATHS = {"est", "et", "in", "is", "ou", "où", "pour", "que", "qui", "dans", "sur", "with"}


def eagerly(text: str) -> list[str]:
    return _stream(text, [1] * len(text), eager=True)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("La capitale est Rome, bien sûr.", ["La capitale est Rome,", "bien sûr."]),
        ("La réponse est : Rome.", ["La réponse est :", "Rome."]),
        ("La réponse est\u00a0: « Rome ».", ["La réponse est\u00a0:", "« Rome »."]),
        ("Il fait beau ici ; il pleut là.", ["Il fait beau ici ;", "il pleut là."]),
        ("Il fait beau ici – enfin, je crois.", ["Il fait beau ici –", "enfin, je crois."]),
        ("Prenez le train de 14 h 30, puis un taxi.",
         ["Prenez le train de 14 h 30,", "puis un taxi."]),
        ("今日はとても良い天気ですね、散歩に行きましょう。",
         ["今日はとても良い天気ですね、", "散歩に行きましょう。"]),
        ("Il pleut. Nous rentrons donc, bien mouillés.",
         ["Il pleut.", "Nous rentrons donc,", "bien mouillés."]),
    ],
)  # fmt: skip
def test_begins_with_a_clause(text: str, pieces: list[str]) -> None:
    assert eagerly(text) == pieces


@pytest.mark.parametrize(
    "sentence",
    [
        "Oui, bien sûr.",  # too short a clause
        "Bonjour, monsieur, merci.",
        "Évidemment, mademoiselle !",  # a word is not much to begin with
        "Le nombre pi vaut environ 3,14 radians.",
        "Le train de Paris part à 14:30, 15 : 30 demain.",
        "La guerre a duré de 1914 – 1918 environ.",
        "Comptez 10 000, 20 000, 30 000.",
        "Le prix affiché vaut 1 234 567,89 euros ici.",
        "Voyez donc [Rome, ville éternelle](https://exemple.fr/rome) demain.",
        "Il fait vraiment très beau,",  # nothing follows
    ],
)
def test_does_not_begin_with_less_than_a_clause(sentence: str) -> None:
    assert eagerly(sentence) == [sentence]


@pytest.mark.parametrize("sentence", WHOLE)
def test_clauses_end_at_a_mark_or_a_breath_and_nowhere_else(sentence: str) -> None:
    clauses = eagerly(sentence)
    assert " ".join(clauses) == sentence
    for clause, following in pairwise(clauses):
        assert clause.endswith((",", ";", ":", "–", "—")) or following.split()[0] in BREATHS


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Le mot est un terme qui désigne une chose dans la langue.",
         ["Le mot est un terme", "qui désigne une chose dans la langue."]),
        ("La capitale de la France est une ville que traverse la Seine.",
         ["La capitale de la France", "est une ville que traverse la Seine."]),
        ("The capital of Italy is a very large city with many people.",
         ["The capital of Italy", "is a very large city with many people."]),
    ],
)  # fmt: skip
def test_takes_a_breath_in_a_long_sentence(text: str, pieces: list[str]) -> None:
    assert eagerly(text) == pieces
    assert split(text) == [text]


@pytest.mark.parametrize(
    "sentence",
    [
        "La capitale de l'Italie est Rome.",  # soon over
        "Le plus grand fleuve du monde coule lentement là-bas.",  # no word to take a breath at
        "M. Dupont et sa fille sont partis hier soir pour Marseille.",  # a mark: is it the end?
    ],
)
def test_takes_no_breath(sentence: str) -> None:
    assert eagerly(sentence) == [sentence]


def test_the_first_clause_leaves_at_once() -> None:
    splitter = SentenceSplitter(eager=True)
    assert splitter.feed("La capitale est Rome, ") == []
    assert splitter.feed("b") == ["La capitale est Rome,"]


def test_clauses_that_leave_early_grow_until_they_are_sentences() -> None:
    clause = "il marche dans la rue"
    text = f"{', '.join([clause] * 9)}. {', '.join([clause] * 4)}."
    pieces = eagerly(text)
    assert " ".join(pieces) == text
    first, *others = [len(piece) for piece in pieces]
    assert first == len(f"{clause},")
    assert others[0] >= 2 * first
    assert others[1] >= 2 * others[0]
    assert pieces[-1] == f"{', '.join([clause] * 4)}."


def test_flush_makes_an_eager_splitter_as_new() -> None:
    splitter = SentenceSplitter(eager=True)
    for _turn in range(2):
        assert splitter.feed("La capitale est Rome, bien sûr. ") + splitter.flush() == [
            "La capitale est Rome,",
            "bien sûr.",
        ]
