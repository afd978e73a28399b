"""``prune_speech`` removes what it says, and says what it removes."""

import fcntl
import re
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db.models import F
from django.template.defaultfilters import filesizeformat
from django.utils import translation
from pytest_django import Settings

from cache import files
from cache.models import CachedSpeech
from tests.unit.cached import fill, make_old

pytestmark = pytest.mark.django_db(transaction=True)

ORPHAN = "0f" * 32


def prune(*options: str) -> dict[str, str]:
    """What was told: the line's name → its figures."""
    out = StringIO()
    with translation.override("en"):
        call_command("prune_speech", *options, stdout=out)
        return dict(re.findall(r"^(.+): (.+)$", out.getvalue().replace("\xa0", " "), re.MULTILINE))


def figures(count: int, size_bytes: int) -> str:
    with translation.override("en"):
        return f"{count} ({filesizeformat(size_bytes)})".replace("\xa0", " ")


def texts() -> list[str]:
    return sorted(CachedSpeech.objects.values_list("text", flat=True))


def kept_keys() -> set[str]:
    return {file.stem for file in files.stored()}


def test_a_tidy_cache_is_left_alone() -> None:
    rows = fill("Un.", "Deux.")
    assert prune() == {
        "Sentences removed": "0 (0 bytes)",
        "Sentences without their file, removed": "0 (0 bytes)",
        "Files without a sentence, removed": "0 (0 bytes)",
        "Unfinished files, removed": "0 (0 bytes)",
        "Sentences left": figures(2, sum(row.size_bytes for row in rows)),
    }
    assert kept_keys() == {row.key for row in rows}


def test_an_empty_cache() -> None:
    assert prune()["Sentences left"] == "0 (0 bytes)"


def test_down_to_a_size() -> None:
    rows = fill("Un a.", "Un b.", "Un c.")
    size = rows[0].size_bytes
    told = prune("--max-bytes", str(2 * size))
    assert told["Sentences removed"] == figures(1, size)
    assert told["Sentences left"] == figures(2, 2 * size)
    assert texts() == ["Un b.", "Un c."]
    assert kept_keys() == {row.key for row in rows[1:]}


def test_down_to_the_limit_of_the_settings(settings: Settings) -> None:
    rows = fill("Un a.", "Un b.")
    settings.VOICEBOT_CACHE_MAX_BYTES = rows[0].size_bytes
    prune()
    assert texts() == ["Un b."]


def test_by_age() -> None:
    fill("Un.", "Deux.", "Trois.")
    CachedSpeech.objects.exclude(text="Trois.").update(
        last_used_at=F("last_used_at") - timedelta(days=8)
    )
    CachedSpeech.objects.filter(text="Deux.").update(pinned=True)
    prune("--older-than", "9")
    assert texts() == ["Deux.", "Trois.", "Un."]
    assert prune("--older-than", "7")["Sentences removed"].startswith("1 ")
    assert texts() == ["Deux.", "Trois."]


def test_what_is_pinned_goes_only_with_all() -> None:
    fill("Un.", "Deux.")
    CachedSpeech.objects.filter(text="Un.").update(pinned=True)
    prune("--max-bytes", "0")
    assert texts() == ["Un."]
    assert prune("--all")["Sentences removed"].startswith("1 ")
    assert texts() == []
    assert kept_keys() == set()


def test_rows_without_a_file() -> None:
    first, second = fill("Un.", "Deux.")
    files.path(first.key).unlink()
    told = prune()
    assert told["Sentences without their file, removed"].startswith("1 ")
    assert told["Sentences removed"].startswith("0 ")
    assert told["Sentences left"] == figures(1, second.size_bytes)
    assert texts() == ["Deux."]


def test_files_without_a_row() -> None:
    [row] = fill("Un.")
    files.write(ORPHAN, b"orphan")
    make_old(files.path(row.key))
    assert prune()["Files without a sentence, removed"].startswith("0 ")  # its row may be coming
    make_old(files.path(ORPHAN))
    assert prune()["Files without a sentence, removed"] == "1 (6 bytes)"
    assert kept_keys() == {row.key}


def test_unfinished_files() -> None:
    fill("Un.")
    unfinished = files.root() / ".tmp" / "unfinished"
    unfinished.write_bytes(b"RIFF")
    with unfinished.open("rb") as writing:
        fcntl.flock(writing, fcntl.LOCK_EX)
        assert prune()["Unfinished files, removed"].startswith("0 ")
    assert prune()["Unfinished files, removed"] == "1 (4 bytes)"
    assert not unfinished.exists()


@pytest.mark.parametrize("how", [["--all"], ["--max-bytes", "0"], ["--older-than", "0"]])
def test_a_dry_run_tells_the_same_and_removes_nothing(how: list[str]) -> None:
    lost, *rows = fill("Un.", "Deux.", "Trois.")
    unfinished = files.root() / ".tmp" / "unfinished"
    unfinished.write_bytes(b"RIFF")
    files.write(ORPHAN, b"orphan")
    make_old(files.path(ORPHAN))
    make_old(unfinished)
    files.path(lost.key).unlink()

    told = prune(*how, "--dry-run")
    assert told.pop("This was a dry run") == "nothing was removed."
    assert kept_keys() == {ORPHAN, *(row.key for row in rows)}
    assert unfinished.exists()
    assert len(texts()) == 3

    assert prune(*how) == told
    assert told["Sentences removed"] == figures(2, sum(row.size_bytes for row in rows))
    assert kept_keys() == set()
    assert not unfinished.exists()
    assert texts() == []


@pytest.mark.parametrize("number", ["-1", "many", "1.5"])
def test_numbers_are_whole(number: str) -> None:
    with pytest.raises(CommandError, match="not a whole number"), translation.override("en"):
        call_command("prune_speech", f"--max-bytes={number}")
