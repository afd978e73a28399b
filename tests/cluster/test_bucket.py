"""Sound in a bucket, over S3's own protocol."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks
from django.test import Client
from pytest_django import Settings

from cache import files
from cache.models import CachedSpeech
from files import atomic, store
from history import files as sounds
from history import retention
from history.models import Conversation
from jobs import files as recordings
from jobs import retention as jobs_retention
from jobs import tasks, work
from jobs.models import Job
from pipeline.tts.base import Speech
from tests.api.conftest import tone
from tests.cluster import s3
from tests.conftest import ROOT
from tests.unit.cached import cached, fill, say, spoken
from tests.unit.remembered import converse, days_ago
from tests.unit.test_cache_prune import ORPHAN, prune
from tests.unit.test_history_retention import expire_history

pytestmark = pytest.mark.django_db(transaction=True)

KEY = "ab" * 32


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with s3.serving() as url:
        yield url


def storage(url: str, bucket: str = s3.BUCKET) -> dict[str, Any]:
    """As the settings make it of ``VOICEBOT_SPEECH_STORE``."""
    from botocore.config import Config

    options = {"bucket_name": bucket, "location": "home", "endpoint_url": url}
    once = Config(connect_timeout=1, read_timeout=5, retries={"total_max_attempts": 1})
    return {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {**options, "region_name": "us-east-1", "client_config": once},
    }


@pytest.fixture(autouse=True)
def names(url: str, settings: Settings) -> Any:
    """What tells the names of all objects there are; at first there are none."""
    settings.STORAGES = {**settings.STORAGES, store.ALIAS: storage(url)}
    client = s3.client(url)

    def listed() -> list[str]:
        found = client.list_objects_v2(Bucket=s3.BUCKET).get("Contents", [])
        return [item["Key"] for item in found]

    for name in listed():
        client.delete_object(Bucket=s3.BUCKET, Key=name)
    return listed


@pytest.fixture
def old(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is there has been for long."""
    monkeypatch.setattr(atomic, "STALE_S", -60)


def put(url: str, name: str, data: bytes) -> None:
    s3.client(url).put_object(Bucket=s3.BUCKET, Key=name, Body=data)


# --- objects in the place of files ---------------------------------------------------------------


def test_it_is_there_under_the_name_of_the_file(names: Any, data_dir: Path) -> None:
    files.write(KEY, b"one")
    files.write(KEY, b"two")
    assert names() == [f"home/speech/ab/{KEY}.wav"]
    assert files.read(KEY, atomic.digest(b"two")) == b"two"
    assert not (data_dir / "speech").exists()
    [kept] = files.stored()
    assert (kept.stem, kept.stat().st_size) == (KEY, 3)
    assert abs(kept.stat().st_mtime - time.time()) < 60
    assert store.place(files.path(KEY)).stat() == kept.stat()
    files.delete(KEY)
    files.delete(KEY)
    assert names() == []


def test_what_is_damaged_or_gone_is_not_served(url: str, caplog: pytest.LogCaptureFixture) -> None:
    assert files.read(KEY, atomic.digest(b"speech")) is None
    assert caplog.text == ""
    files.write(KEY, b"speech")
    put(url, f"home/speech/ab/{KEY}.wav", b"speecH")
    assert files.read(KEY, atomic.digest(b"speech")) is None
    assert "damaged" in caplog.text


def test_strangers_are_left_alone(url: str) -> None:
    for name in ("ab/notes.wav", "secret.wav", f"ab/cd/{KEY}.wav"):
        put(url, f"home/speech/{name}", b"RIFF")
    put(url, f"other/speech/ab/{KEY}.wav", b"RIFF")
    assert list(files.stored()) == []


# --- speech ----------------------------------------------------------------------------------


def test_a_sentence_is_spoken_once(url: str, names: Any) -> None:
    tts = cached()
    first, second = say(tts, "Bonjour."), say(tts, "Bonjour.")
    assert (first.cache, second.cache) == ("miss", "hit")
    assert (first.audio.samples == second.audio.samples).all()
    put(url, f"home/speech/{first.key[:2]}/{first.key}.wav", b"RIFF")  # type: ignore[index]
    assert say(tts, "Bonjour.").cache == "miss"
    assert spoken(tts) == ["Bonjour."] * 2
    CachedSpeech.objects.all().delete()
    assert names() == []


@pytest.mark.parametrize("what", ["no bucket", "no answer"])
def test_a_store_that_fails_costs_a_synthesis(
    url: str, settings: Settings, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    with socket.socket() as taken:  # nobody listens
        taken.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{taken.getsockname()[1]}"
        where = storage(url, "elsewhere") if what == "no bucket" else storage(nobody)
        settings.STORAGES = {**settings.STORAGES, store.ALIAS: where}
        speech: Speech = say(cached(), "Bonjour.")
    assert speech.audio.duration > 0
    assert "Speech is not cached: the store" in caplog.text
    assert not CachedSpeech.objects.exists()


def test_it_is_heard_again_over_http_in_parts(client: Client) -> None:
    [row] = fill("Bonjour.")
    whole = client.get(f"/api/speech/{row.key}.wav")
    part = client.get(f"/api/speech/{row.key}.wav", headers={"range": "bytes=44-99"})
    assert (whole.status_code, part.status_code) == (200, 206)
    assert part.content == whole.content[44:100]
    assert part["Content-Range"] == f"bytes 44-99/{len(whole.content)}"


def test_pruning(old: None, url: str, names: Any) -> None:
    lost, first, second = fill("Un.", "Deux.", "Trois.")
    files.delete(lost.key)
    files.write(ORPHAN, b"orphan")
    told = prune("--dry-run")
    assert told["Sentences without their file, removed"].startswith("1 ")
    assert told["Files without a sentence, removed"].startswith("1 (6")
    assert len(names()) == 3
    assert prune("--max-bytes", str(second.size_bytes))["Sentences left"].startswith("1 ")
    assert [row.key for row in CachedSpeech.objects.all()] == [second.key]
    assert names() == [f"home/speech/{second.key[:2]}/{second.key}.wav"]
    assert first.key not in str(names())


# --- history ---------------------------------------------------------------------------------


@pytest.fixture
def kept(settings: Settings) -> None:
    settings.VOICEBOT_KEEP_UTTERANCES_DAYS = 2
    settings.VOICEBOT_KEEP_SPEECH_DAYS = 4


def test_sounds_of_turns_go_in_their_time(kept: None, names: Any) -> None:
    with days_ago(3):
        row = converse(Conversation.objects.create())
        utterance = sounds.read(row.pk, "utterance")
    assert utterance is not None
    assert len(utterance) == row.utterance_bytes
    assert len([name for name in names() if "/history/" in name]) == 2
    assert expire_history()["Utterances removed"] == "1"
    assert sounds.read(row.pk, "utterance") is None
    assert sounds.read(row.pk, "speech") is not None
    row.delete()
    assert names() == []


def test_sounds_of_nobody(kept: None, names: Any, old: None) -> None:
    row = converse(Conversation.objects.create())
    stray = uuid.uuid4()
    sounds.write(stray, "speech", b"RIFF")
    [found] = retention.orphans()
    assert found == store.place(sounds.path(stray, "speech"))
    expire_history()
    assert retention.orphans() == []
    assert sounds.read(row.pk, "speech") is not None


# --- jobs ------------------------------------------------------------------------------------


def test_a_job_goes_on_where_its_machine_is_lost(
    names: Any, monkeypatch: pytest.MonkeyPatch, data_dir: Path
) -> None:
    """Between two machines there is nothing but the bucket and the rows."""

    def lost(*_arguments: object) -> None:
        raise work.Interrupted

    monkeypatch.setattr(work, "do", lost)
    job = Job(upload_bytes=1)
    tasks.begin([tone(2.0)], job)
    monkeypatch.undo()
    assert names() == [f"home/jobs/{job.pk.hex}.upload"]
    for kind in recordings.KINDS:
        recordings.path(job.pk, kind).unlink(missing_ok=True)
    assert tasks.resume() == 1  # with tests, it is done at once
    job.refresh_from_db()
    assert (job.status, job.duration) == ("done", 2.0)
    assert names() == []
    assert list(recordings.stored()) == []


def test_recordings_of_no_job_are_found(old: None) -> None:
    stray = uuid.uuid4()
    with recordings.writing(stray, "upload", size_bytes=3) as file:
        file.write(b"abc")
    recordings.share(stray)
    assert len(jobs_retention.orphans()) == 2
    for place in jobs_retention.orphans():
        place.unlink(missing_ok=True)
    assert jobs_retention.orphans() == []


# --- the start -------------------------------------------------------------------------------


def problems(**kwargs: Any) -> list[str]:
    return [str(message.id) for message in run_checks(tags=["cache"], **kwargs)]


def test_a_store_that_works_is_no_problem(names: Any) -> None:
    assert problems(databases=["default"]) == []
    assert names() == []


def test_one_that_does_not_stops_the_start(url: str, settings: Settings) -> None:
    elsewhere = storage(url, "elsewhere")
    settings.STORAGES = {**settings.STORAGES, store.ALIAS: elsewhere}
    assert problems(databases=["default"]) == ["cache.W001"]
    assert problems() == []  # it is not asked where the database may not be


@pytest.mark.parametrize("endpoint", ["http://192.0.2.7:9000", None])
def test_speech_stays_in_the_house(settings: Settings, endpoint: str | None) -> None:
    options = {"bucket_name": s3.BUCKET, **({"endpoint_url": endpoint} if endpoint else {})}
    outside = {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": options}
    settings.STORAGES = {**settings.STORAGES, store.ALIAS: outside}
    assert problems(databases=["default"]) == ["cache.E001"]
    if endpoint:
        settings.VOICEBOT_OWN_HOSTS = ["192.0.2.7"]
        assert problems() == []


def test_the_settings_make_it_of_one_variable(url: str, tmp_path: Path) -> None:
    code = "from voicebot import settings as s; import json; o = s.STORAGES['speech']['OPTIONS'];"
    code += "o['client_config'] = o['client_config'].retries; print(json.dumps(o))"
    environment = {**os.environ, "VOICEBOT_ENV_FILE": os.devnull}
    environment |= {"VOICEBOT_DATA_DIR": str(tmp_path), "VOICEBOT_SPEECH_STORE": s3.address(url)}
    told = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, env=environment)
    options = json.loads(told)
    assert options.pop("client_config")["mode"] == "standard"
    assert options == {k: v for k, v in storage(url)["OPTIONS"].items() if k in options}
    assert len(options) == 4


def test_errors_are_those_of_files(url: str, settings: Settings) -> None:
    with pytest.raises(FileNotFoundError):
        store.place(files.path(KEY)).read_bytes()
    elsewhere = storage(url, "elsewhere")
    settings.STORAGES = {**settings.STORAGES, store.ALIAS: elsewhere}
    with pytest.raises(OSError, match="the store"):
        files.write(KEY, b"speech")
