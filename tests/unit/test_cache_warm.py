"""``warm_speech`` keeps what a turn will ask for, and nothing twice."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import cast

import pytest
from django.core.management import CommandError, call_command
from django.utils import translation
from pytest_django import Settings

from cache import files
from cache.models import CachedSpeech
from cache.tts import CachedTextToSpeech
from pipeline import tenants, turn
from pipeline.engines import engines
from pipeline.stt.base import Transcript
from pipeline.tts.fake import Fake
from tests.unit.cached import say

pytestmark = pytest.mark.django_db(transaction=True)

LONG = "Bonjour, je suis votre assistant. Il est 8 h."
SENTENCES = ["Bonjour, je suis votre assistant.", "Il est huit heures."]


def fake() -> Fake:
    return cast("Fake", cast("CachedTextToSpeech", engines.tts).engine)


def written(folder: Path, *lines: str) -> Path:
    file = folder / "phrases.txt"
    file.write_text("\n".join(lines), "utf-8")
    return file


def warm(*arguments: object) -> dict[str, int]:
    """What was told: the line's name → its count."""
    out = io.StringIO()
    with translation.override("en"):
        call_command("warm_speech", *map(str, arguments), stdout=out)
    counts = re.findall(r"^(.+): (\d+)$", out.getvalue(), re.MULTILINE)
    return {name: int(count) for name, count in counts}


def refusal(*arguments: object) -> str:
    with translation.override("en"), pytest.raises(CommandError) as caught:
        warm(*arguments)
    return str(caught.value)


def told(made: int, known: int) -> dict[str, int]:
    return {"Sentences made": made, "Sentences known": known}


def test_what_is_warm_is_not_spoken_again(tmp_path: Path) -> None:
    file = written(tmp_path, "# greetings", "", "Bonjour.", "  Au revoir.  ", "Bonjour.")
    assert warm(file) == told(2, 0)
    assert fake().spoken == ["Bonjour.", "Au revoir."]
    assert say(engines.tts, "Bonjour.").cache == "hit"
    assert warm(file) == told(0, 2)
    assert fake().spoken == ["Bonjour.", "Au revoir."]
    # It was asked for once, by the line above that is no warming.
    assert [row.hits for row in CachedSpeech.objects.order_by("text")] == [0, 1]


@pytest.mark.parametrize("eager", [False, True])
def test_a_turn_that_says_it_synthesises_nothing(tmp_path: Path, *, eager: bool) -> None:
    warm(written(tmp_path, LONG))
    assert set(SENTENCES) <= set(fake().spoken)
    before = len(fake().spoken)
    asked = Transcript("Qui êtes-vous ?", "fr")
    taken = turn.take(turn.events(asked, engines, reply=LONG, eager=eager))
    assert {speech.cache for speech in taken.speeches} == {"hit"}
    assert len(fake().spoken) == before


def test_a_dry_run_speaks_nothing(tmp_path: Path) -> None:
    say(engines.tts, "Bonjour.")
    assert warm(written(tmp_path, "Bonjour.", "Au revoir."), "--dry-run") == told(1, 1)
    assert fake().spoken == ["Bonjour."]


def test_speech_whose_file_is_gone_is_made_again(tmp_path: Path) -> None:
    key = say(engines.tts, "Bonjour.").key
    assert key
    files.path(key).unlink()
    assert warm(written(tmp_path, "Bonjour.")) == told(1, 0)


def test_voice_language_speed_and_tenant(tmp_path: Path) -> None:
    file = written(tmp_path, "Hello.")
    warm(file, "--language", "en")
    assert say(engines.tts, "Hello.", voice="low").cache == "hit"
    warm(file, "--voice", "claire", "--speed", "1.5", "--tenant", "alice")
    with tenants.acting_for("alice"):
        assert say(engines.tts, "Hello.", voice="claire", speed=1.5).cache == "hit"
    assert say(engines.tts, "Hello.", voice="claire", speed=1.5).cache == "miss"


def test_phrases_from_the_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("Bonjour.\nAu revoir.\n"))
    assert warm("-") == told(2, 0)


def test_each_voice_of_a_fallback_is_warmed_by_its_own_engine(
    tmp_path: Path, settings: Settings
) -> None:
    entry = settings.ENGINES["tts"]
    fallback = {"BACKEND": "pipeline.tts.fallback.Fallback", "OPTIONS": {"engines": [entry, entry]}}
    settings.ENGINES = {**settings.ENGINES, "tts": fallback}
    file = written(tmp_path, "Bonjour.")
    assert warm(file) == told(1, 0)
    assert warm(file) == told(0, 1)


def test_what_cannot_be_warmed_is_said(tmp_path: Path, settings: Settings) -> None:
    file = written(tmp_path, "Bonjour.")
    assert "nobody" in refusal(file, "--voice", "nobody")
    assert str(tmp_path / "none.txt") in refusal(tmp_path / "none.txt")
    assert "nothing to say" in refusal(written(tmp_path, "# nothing", "…"))
    (tmp_path / "latin").write_bytes("été".encode("latin-1"))
    assert "UTF-8" in refusal(tmp_path / "latin")
    settings.VOICEBOT_CACHE_MAX_BYTES = 0
    assert "VOICEBOT_CACHE_MAX_BYTES" in refusal(file)


def test_speech_that_cannot_be_kept_fails_the_command(
    tmp_path: Path, data_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (data_dir / "speech").write_text("a file where the folder should be")
    assert "could not be kept: 1" in refusal(written(tmp_path, "Bonjour."))
    assert "Speech is not cached" in caplog.text


def test_an_engine_that_fails_is_said_in_a_sentence(tmp_path: Path) -> None:
    fake().script.enqueue(RuntimeError("no more tone"))
    message = refusal(written(tmp_path, "Bonjour."))
    assert message == "Fake failed. (engine_failed)"
