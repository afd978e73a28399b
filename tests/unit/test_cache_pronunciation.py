"""Words that voices say wrong, and how to say them."""

from __future__ import annotations

import logging
import time

import pytest
from django.core.exceptions import ValidationError
from django.db import DatabaseError
from pytest_django import Settings

from cache import tts as cache_tts
from cache.models import CachedSpeech, Pronunciation
from cache.pronunciation import from_csv, pronounced, to_csv
from pipeline.engines import engines
from tests.unit.cached import cached, say, spoken

pytestmark = pytest.mark.django_db(transaction=True)


def put(word: str, say: str, language: str = "fr", **options: bool) -> Pronunciation:
    entry = Pronunciation(word=word, say=say, language=language, **options)
    entry.full_clean()
    entry.save()
    return entry


# --- what is replaced ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "text", "said"),
    [
        ("Wi-Fi", "Le Wi-Fi est en panne.", "Le X est en panne."),
        ("Wi-Fi", "wi-fi, WI-FI : wifi", "X, X : wifi"),
        ("pain", "Le pain du copain, les pains.", "Le X du copain, les pains."),
        ("été", "L'e\u0301té a été beau.", "L'X a X beau."),
        ("aujourd'hui", "Aujourd’hui, pas aujourd'hui.", "X, pas X."),
        ("d’ici", "d'ici et d’ici", "X et X"),
        ("Saint Malo", "À Saint  Malo, Saint\nMalo.", "À X, X."),
        ("C++", "Le C++, ou C+.", "Le X, ou C+."),
        ("a.b", "a.b mais acb", "X mais acb"),
        ("n°", "n° 5", "X 5"),
    ],
)
def test_the_word_is_said_as_told(word: str, text: str, said: str) -> None:
    put(word, "X")
    assert pronounced(text, "fr") == said


def test_without_entries_the_text_is_left_alone() -> None:
    assert pronounced("e\u0301te\u0301", "fr") == "e\u0301te\u0301"


def test_inside_longer_words_and_by_case() -> None:
    put("pain", "X", whole_word=False)
    put("US", "les États-Unis", match_case=True)
    assert pronounced("Copain, Pain.", "fr") == "CoX, X."
    assert pronounced("US, us.", "fr") == "les États-Unis, us."


def test_languages() -> None:
    put("Metz", "messe", "fr")
    put("Metz", "mets", "en")
    put("GIF", "jif", "")
    assert pronounced("Metz GIF", "fr") == "messe jif"
    assert pronounced("Metz GIF", "en") == "mets jif"
    assert pronounced("Metz GIF", "de") == "Metz jif"


def test_the_entry_that_says_more_goes_first() -> None:
    put("New", "A", "")
    put("new", "B", "fr", match_case=True)
    put("New York", "C", "")
    assert pronounced("New York, new, New, NEW", "fr") == "C, B, A, A"


def test_what_one_entry_writes_is_not_read_by_another() -> None:
    put("un", "deux")
    put("deux", r"un \1")
    assert pronounced("un deux", "fr") == r"deux un \1"


def test_a_large_dictionary_costs_milliseconds() -> None:
    Pronunciation.objects.bulk_create(
        Pronunciation(word=f"mot{number}", say="x", language="fr") for number in range(2000)
    )
    text = "Une phrase ordinaire, sans rien de rare, mais d'une bonne longueur."
    pronounced(text, "fr")  # compiles
    started = time.process_time()
    assert pronounced(text, "fr") == text
    assert time.process_time() - started < 0.5  # it takes 0.02 here


# --- when it is spoken -----------------------------------------------------------------------


def test_a_changed_entry_changes_what_is_heard_at_once() -> None:
    tts = cached()
    plain = say(tts, "Le Wi-Fi marche.")
    entry = put("Wi-Fi", "ouifi")
    told = say(tts, "Le Wi-Fi marche.")
    assert (told.cache, told.text) == ("miss", "Le ouifi marche.")
    assert told.key != plain.key
    assert say(tts, "Le Wi-Fi marche.").cache == "hit"
    entry.say = "ouaille-faille"
    entry.save()
    assert say(tts, "Le Wi-Fi marche.").text == "Le ouaille-faille marche."
    entry.delete()
    again = say(tts, "Le Wi-Fi marche.")
    assert (again.cache, again.key) == ("hit", plain.key)
    assert spoken(tts) == [
        *("Le Wi-Fi marche.", "Le ouifi marche.", "Le ouaille-faille marche."),
    ]


def test_it_is_read_before_the_text_is_made_speakable() -> None:
    put("km/h", "kilomètres heure")
    put("MM.", "messieurs")
    assert say(cached(), "MM. roulent à 20 km/h.").text == (
        "messieurs roulent à vingt kilomètres heure."
    )


def test_it_holds_for_the_language_of_the_voice() -> None:
    put("Metz", "messe", "fr")
    assert say(cached(), "Metz", voice="low").text == "Metz"
    assert say(cached(), "Metz", voice="claire").text == "messe"


def test_it_holds_without_a_cache(settings: Settings) -> None:
    settings.VOICEBOT_CACHE_MAX_BYTES = 0
    put("Metz", "messe")
    assert say(cached(), "Metz").text == "messe"
    assert not CachedSpeech.objects.exists()


def test_it_holds_for_whoever_stands_in(settings: Settings) -> None:
    entry = {
        "BACKEND": "cache.tts.CachedTextToSpeech",
        "OPTIONS": {"engine": {"BACKEND": "pipeline.tts.fake.Fake"}},
    }
    fallback = {"BACKEND": "pipeline.tts.fallback.Fallback", "OPTIONS": {"engines": [entry, entry]}}
    settings.ENGINES = {**settings.ENGINES, "tts": fallback}
    put("Metz", "messe")
    assert say(engines.tts, "Metz").text == "messe"


def test_it_holds_for_corrections() -> None:
    tts = cached()
    row = CachedSpeech.objects.get(key=say(tts, "Une ville.").key)
    put("Metz", "messe")
    tts.correct(row, "La ville de Metz.", tts.choose_voice("grave"))
    assert spoken(tts)[-1] == "La ville de messe."


def test_a_dictionary_that_cannot_be_read_costs_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(text: str, language: str) -> str:
        raise DatabaseError("no such table")

    monkeypatch.setattr(cache_tts, "pronounced", fail)
    assert say(cached(), "Metz").text == "Metz"
    said = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert said == ["The dictionary of pronunciation cannot be read: no such table"]


# --- entries ---------------------------------------------------------------------------------


def test_what_cannot_be_said_is_refused() -> None:
    with pytest.raises(ValidationError, match="nothing to say aloud"):
        put("Metz", "🙂")
    put("Metz", "messe")
    with pytest.raises(ValidationError, match="There is an entry for this word"):
        put("Metz", "autre")
    assert str(put("  Saint \n Malo ", "x")) == "Saint Malo → x"


def test_a_table_there_and_back() -> None:
    put("Metz", "messe")
    put("US", "États-Unis, d'Amérique", "", match_case=True, whole_word=False)
    table = to_csv(Pronunciation.objects.all())
    assert table.splitlines()[0] == "word,say,language,whole_word,match_case"
    read = [entry for _line, entry in from_csv(table)]
    known = [(e.word, e.say, e.language, e.whole_word, e.match_case) for e in read]
    assert known == [
        ("Metz", "messe", "fr", True, False),
        ("US", "États-Unis, d'Amérique", "", False, True),
    ]


def test_a_table_of_a_french_spreadsheet() -> None:
    [(line, entry)] = from_csv("say;word;comment\r\nmesse;Metz;oui\r\n")
    assert (line, entry.word, entry.say, entry.whole_word) == (2, "Metz", "messe", True)


@pytest.mark.parametrize("table", ["", "Metz,messe\n", "word\nMetz\n"])
def test_what_is_no_table(table: str) -> None:
    with pytest.raises(ValueError, match="word, say"):
        list(from_csv(table))
