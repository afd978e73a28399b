"""What the contracts do for every engine: where replies stop, and what is a word."""

from __future__ import annotations

import pytest

from pipeline.llm.base import Stops
from pipeline.stt.base import Word, joined


@pytest.mark.parametrize("pieces", [1, 2, 3, 100])
@pytest.mark.parametrize(
    ("text", "stops", "before", "reached"),
    [
        ("Oui. FIN Non.", ["FIN"], "Oui. ", True),
        ("Oui. FI Non.", ["FIN"], "Oui. FI Non.", False),
        ("Oui. FI", ["FIN"], "Oui. FI", False),
        ("abcabd", ["abd", "xyz"], "abc", True),
        ("aaab", ["aab"], "a", True),
        ("un\ndeux", ["\n", "deux"], "un", True),
        ("Oui.", [""], "Oui.", False),
        ("Oui.", [], "Oui.", False),
        ("", ["FIN"], "", False),
    ],
)
def test_a_text_ends_before_the_first_stop_wherever_it_was_cut(
    text: str, stops: list[str], before: str, reached: bool, pieces: int
) -> None:
    end = Stops(stops)
    given = [end.feed(text[start : start + pieces]) for start in range(0, len(text), pieces)]
    assert "".join(given) + end.flush() == before
    assert end.reached is reached
    assert not reached or end.feed("more") == ""


def test_what_cannot_be_a_stop_is_not_held_back() -> None:
    end = Stops(["FIN"])
    assert [end.feed(delta) for delta in ("Bon", "jour F", "IX", " F")] == [
        "Bon",
        "jour ",
        "FIX",
        " ",
    ]


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        ([" Quelle", " heure", " est", "-il", " ?"], ["Quelle", "heure", "est-il ?"]),
        ([" L", "'Italie", ","], ["L'Italie,"]),
        ([" «", " Bonjour", " »", " dit", "-elle", "."], ["« Bonjour »", "dit-elle."]),
        ([" Oui", " («", "si", "»)"], ["Oui («", "si»)"]),
        ([" (", "oui", ")", " «"], ["(oui) «"]),
        ([" 12", ",5", " euros"], ["12,5", "euros"]),
        ([" -", " Oui"], ["- Oui"]),
        (["你好", "，", "世界", "。"], ["你好，", "世界。"]),
        (["Bonjour", "tout", "le", "monde"], ["Bonjour", "tout", "le", "monde"]),
        ([" …"], []),
        ([], []),
    ],
)
def test_marks_belong_to_words(pieces: list[str], words: list[str]) -> None:
    said = [Word(float(place), place + 1.0, piece) for place, piece in enumerate(pieces)]
    assert [word.text for word in joined(said)] == words


def test_a_mark_takes_no_time_and_the_rest_of_a_word_does() -> None:
    pieces = [Word(0, 1, " est"), Word(1, 2, "-il"), Word(2, 9, " ?"), Word(9, 10, " Midi")]
    assert list(joined(pieces)) == [Word(0, 2, "est-il ?"), Word(9, 10, "Midi")]
