"""Long recordings, on fake engines."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import threading
import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import srt
import webvtt
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from access.models import ApiKey
from history.models import Turn
from jobs import files, retention, tasks
from jobs.models import Job, Segment, Status
from jobs.worker import worker
from pipeline.audio import Audio
from pipeline.base import Deadline
from pipeline.engines import engines
from pipeline.errors import EngineError
from pipeline.stt import fake
from pipeline.stt.base import Transcript, Wanted
from pipeline.stt.pieces import LONGEST_S
from tests.api.conftest import tone
from tests.api.http import send
from tests.unit.test_history_retention import SECRET, traces

# Files go when their rows are committed.
pytestmark = pytest.mark.django_db(transaction=True)

SAYS = "Quelle heure est-il ?"
LONG_S = 60.0  # three pieces


class Post:
    def __init__(self, client: Client) -> None:
        self._client = client

    def __call__(
        self,
        audio: bytes,
        *,
        url: str = "/api/jobs/",
        headers: dict[str, str] | None = None,
        **form: str,
    ) -> HttpResponse:
        file = SimpleUploadedFile("meeting.wav", audio, "audio/wav")
        return self._client.post(url, {"audio": file, **form}, headers=headers)  # type: ignore[return-value]


@pytest.fixture
def post(client: Client) -> Post:
    return Post(client)


@pytest.fixture
def long() -> bytes:
    return tone(LONG_S)


def told(response: Any) -> Any:
    return json.loads(response.content)


# --- a job is done ---------------------------------------------------------------------------


def test_a_long_recording_is_written_down_piece_by_piece(
    post: Post, client: Client, long: bytes, stt: fake.Fake
) -> None:
    answer = post(long, language="fr", prompt="Une réunion.")
    assert answer.status_code == 202
    begun = told(answer)
    assert answer["Location"] == begun["url"]

    job = told(client.get(begun["url"]))
    assert (job["status"], job["progress"], job["error"]) == ("done", 1.0, None)
    assert job["duration"] == job["heard"] == LONG_S
    assert job["expires_at"] > job["finished_at"] >= job["started_at"] >= job["created_at"]
    assert len(stt.heard) == 3
    assert max(audio.duration for audio in stt.heard) <= LONGEST_S
    assert sum(audio.duration for audio in stt.heard) == pytest.approx(LONG_S)
    assert {wanted.prompt for wanted in stt.wanted} == {"Une réunion."}

    result = told(client.get(job["result_url"]))
    assert result["text"] == " ".join([SAYS] * 3)
    assert (result["language"], result["duration"]) == ("fr", LONG_S)
    starts = [segment["start"] for segment in result["segments"]]
    assert starts == sorted(starts)
    assert 50 < result["segments"][-1]["end"] <= LONG_S


def test_the_result_as_subtitles(post: Post, client: Client, long: bytes) -> None:
    url = told(post(long))["result_url"]
    as_srt = client.get(url, headers={"Accept": "application/x-subrip"})
    assert as_srt["Content-Type"] == "application/x-subrip; charset=utf-8"
    cues = list(srt.parse(as_srt.content.decode()))
    assert next(cue.content for cue in cues).startswith("Quelle")
    as_vtt = client.get(f"{url}?format=vtt")
    assert as_vtt["Content-Type"] == "text/vtt; charset=utf-8"
    assert len(webvtt.from_string(as_vtt.content.decode())) == len(cues) >= 3
    assert client.get(url, headers={"Accept": "image/png"}).status_code == 406


def test_what_is_too_long_for_a_turn_becomes_a_job(
    post: Post, client: Client, settings: Settings
) -> None:
    settings.VOICEBOT_MAX_UTTERANCE_S = 5
    answer = post(tone(6), url="/api/voice/", headers={"Accept": "audio/wav"})
    assert answer.status_code == 202
    assert told(client.get(answer["Location"]))["status"] == "done"
    turn = Turn.objects.get()
    assert (turn.status, turn.code) == (202, "audio_too_long")

    refused = post(tone(6), url="/api/voice/", job="false")
    assert (refused.status_code, told(refused)["code"]) == (413, "audio_too_long")
    settings.VOICEBOT_MAX_JOB_S = 5
    assert post(tone(6), url="/api/voice/").status_code == 413
    assert Job.objects.count() == 1


def test_the_language_that_was_detected_goes_for_all_of_it(
    post: Post, client: Client, long: bytes, stt: fake.Fake
) -> None:
    job = told(client.get(told(post(long, language="auto"))["url"]))
    assert [wanted.language for wanted in stt.wanted] == [None, "fr", "fr"]
    assert job["language"] == "fr"


def test_nothing_of_the_recording_is_left(post: Post, long: bytes) -> None:
    post(long)
    assert list(files.stored()) == []


# --- whose it is -----------------------------------------------------------------------------


def test_jobs_of_others_are_not_there(
    post: Post, client: Client, settings: Settings, long: bytes
) -> None:
    settings.VOICEBOT_KEYS = "always"
    mine, other = (ApiKey.objects.make(name) for name in ("mine", "other"))
    job = told(post(long, headers={"X-API-Key": mine.text}))
    for path in ("", "result", "events"):
        url = f"/api/jobs/{job['id']}/{path}"
        assert client.get(url).status_code == 401
        refused = client.get(url, headers={"X-API-Key": other.text})
        assert (refused.status_code, told(refused)["code"]) == (404, "job_not_found")
    gone = client.delete(f"/api/jobs/{job['id']}/", headers={"X-API-Key": other.text})
    assert gone.status_code == 404
    listed = [
        [j["id"] for j in client.get("/api/jobs/", headers={"X-API-Key": key.text}).json()]
        for key in (mine, other)
    ]
    assert listed == [[job["id"]], []]


# --- what goes wrong -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("audio", "code"),
    [
        (b"no audio at all", "audio_unreadable"),
        (tone(1.0)[:-100], "audio_unreadable"),
        (tone(3.0, peak=0.0), "no_speech"),
        (tone(7.0), "audio_too_long"),
    ],
)
def test_a_job_that_fails_says_why(
    post: Post, client: Client, settings: Settings, audio: bytes, code: str
) -> None:
    settings.VOICEBOT_MAX_JOB_S = 6
    job = told(client.get(told(post(audio, headers={"Accept-Language": "fr"}))["url"]))
    assert (job["status"], job["error"]["code"]) == ("failed", code)
    assert job["error"]["detail"]
    refused = client.get(job["result_url"])
    assert (refused.status_code, refused.json()["code"]) == (409, "job_without_result")
    assert job["error"]["detail"] in refused.json()["detail"]
    assert list(files.stored()) == []


def test_an_engine_that_fails_once_is_asked_again(
    post: Post,
    client: Client,
    stt: fake.Fake,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("jobs.work.BETWEEN_S", 0.0)
    stt.script.enqueue(EngineError("private"))
    assert told(client.get(told(post(tone(3.0)))["url"]))["status"] == "done"
    stt.script.enqueue(*[EngineError("It broke.") for _ in range(3)])
    job = told(client.get(told(post(tone(3.0)))["url"]))
    assert job["error"] == {"detail": "It broke.", "code": "engine_failed"}


def test_a_full_disk(post: Post, monkeypatch: pytest.MonkeyPatch, data_dir: Path) -> None:
    usage = shutil.disk_usage(data_dir)._replace(free=files.LEFT_BYTES)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    refused = post(tone(3.0))
    assert (refused.status_code, told(refused)["code"]) == (507, "disk_full")
    assert not Job.objects.exists()
    assert list(files.stored()) == []


def test_only_so_much_may_wait(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "MAX_UNFINISHED", 1)
    Job.objects.create()
    refused = post(tone(1.0))
    assert (refused.status_code, told(refused)["code"]) == (429, "too_many_jobs")
    assert list(files.stored()) == []


def test_uploads_have_a_limit_of_their_own(post: Post, settings: Settings) -> None:
    settings.VOICEBOT_MAX_UPLOAD_BYTES = 20_000
    assert post(tone(3.0)).status_code == 202
    settings.VOICEBOT_MAX_JOB_BYTES = 20_000
    refused = post(tone(3.0))
    assert (refused.status_code, told(refused)["code"]) == (413, "upload_too_large")
    assert "20000" in told(refused)["detail"]


def test_the_result_of_what_is_not_finished(client: Client) -> None:
    job = Job.objects.create()
    asked = client.get(f"/api/jobs/{job.pk}/")
    assert (asked.json()["status"], asked["Retry-After"]) == ("waiting", "5")
    refused = client.get(f"/api/jobs/{job.pk}/result")
    assert (refused.status_code, refused.json()["code"]) == (409, "job_unfinished")
    assert refused["Retry-After"] == "5"
    Job.objects.finish(Status.CANCELLED)
    assert client.get(f"/api/jobs/{job.pk}/result").json()["code"] == "job_without_result"


def test_what_is_not_there(client: Client) -> None:
    for url in (f"/api/jobs/{uuid.uuid4()}/", f"/api/jobs/{uuid.uuid4()}/result"):
        assert client.get(url).json()["code"] == "job_not_found"
    assert client.get("/api/jobs/none/").json()["code"] == "not_found"


# --- in the background -----------------------------------------------------------------------


class Gated(fake.Fake):
    """Waits for a test before it hears each piece."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = threading.Semaphore(0)
        self.go_on = threading.Semaphore(0)

    def _transcribe(self, audio: Audio, wanted: Wanted, deadline: Deadline) -> Transcript:
        self.begun.release()
        assert self.go_on.acquire(timeout=60)
        return super()._transcribe(audio, wanted, deadline)


@pytest.fixture
def gated(settings: Settings, transactional_db: None) -> Iterator[Gated]:
    settings.TASKS = {"default": {"BACKEND": "jobs.worker.InProcess"}}
    settings.ENGINES = {**settings.ENGINES, "stt": {"BACKEND": f"{__name__}.Gated"}}
    engine = engines.stt
    assert isinstance(engine, Gated)
    yield engine
    worker.leaving.set()
    for _piece in range(10):
        engine.go_on.release()
    worker.close()  # the next begins another thread
    worker.leaving.clear()


def test_deleting_a_job_ends_it(gated: Gated, post: Post, client: Client, long: bytes) -> None:
    job = told(post(long))
    assert gated.begun.acquire(timeout=60)
    running = client.get(job["url"]).json()
    assert (running["status"], running["duration"]) == ("running", LONG_S)
    assert client.delete(job["url"]).status_code == 204
    assert client.get(job["url"]).status_code == 404
    gated.go_on.release()
    worker.join()
    assert len(gated.heard) == 1
    assert not Segment.objects.exists()
    assert list(files.stored()) == []


def test_a_job_goes_on_where_the_last_process_ended(
    gated: Gated, post: Post, client: Client, long: bytes
) -> None:
    job = told(post(long))
    assert gated.begun.acquire(timeout=60)
    gated.go_on.release()
    assert gated.begun.acquire(timeout=60)  # the second piece
    worker.leaving.set()  # as when the process ends
    gated.go_on.release()
    worker.join()
    left = client.get(job["url"]).json()
    assert left["status"] == "running"
    assert 0.5 < left["progress"] < 1.0
    heard = len(gated.heard)

    worker.close()
    worker.leaving.clear()
    assert tasks.resume() == 1
    gated.go_on.release()
    worker.join()
    assert client.get(job["url"]).json()["status"] == "done"
    assert len(gated.heard) == heard + 1
    assert client.get(job["result_url"]).json()["text"] == " ".join([SAYS] * 3)


def test_a_job_that_ends_its_process_again_and_again_is_given_up(client: Client) -> None:
    job = Job.objects.create(status=Status.RUNNING, attempts=3, locale="en")
    with files.writing(job.pk, "upload", size_bytes=3) as file:
        file.write(b"abc")
    tasks.resume()
    failed = client.get(f"/api/jobs/{job.pk}/").json()
    assert (failed["status"], failed["error"]["code"]) == ("failed", "internal_error")


def test_a_job_whose_recording_is_on_another_machine_is_left_to_it() -> None:
    job = Job.objects.create(locale="en")
    assert tasks.resume() == 0
    tasks.transcribe.enqueue(str(job.pk))
    assert Job.objects.get().status == Status.WAITING


def test_turns_go_first(gated: Gated, post: Post, client: Client) -> None:
    with engines.llm._at_work():  # as a turn has it
        job = told(post(tone(3.0)))
        assert not gated.begun.acquire(timeout=1.5)
    assert gated.begun.acquire(timeout=60)
    gated.go_on.release()
    worker.join()
    assert client.get(job["url"]).json()["status"] == "done"


def test_a_job_is_followed_by_events(
    gated: Gated, asgi_server: tuple[str, int], client: Client, post: Post, long: bytes
) -> None:
    for _piece in range(3):
        gated.go_on.release()
    job = told(post(long))
    path = f"/api/jobs/{job['id']}/events"
    response, body = send(asgi_server, "GET", path)
    assert response.headers["Content-Type"] == "text/event-stream"
    events = [dict(line.split(": ", 1) for line in e.splitlines()) for e in parts(body)]
    assert {e["event"] for e in events} == {"progress", "segment", "done"}
    assert [e["event"] for e in events][-1] == "done"
    segments = [e for e in events if e["event"] == "segment"]
    assert [int(e["id"]) for e in segments] == list(range(len(segments)))
    progress = [json.loads(e["data"])["progress"] for e in events if e["event"] == "progress"]
    assert progress == sorted(progress)

    _response, body = send(asgi_server, "GET", path, headers={"Last-Event-ID": "1"})
    again = [dict(line.split(": ", 1) for line in e.splitlines()) for e in parts(body)]
    assert again == [*segments[2:], events[-1]]


def test_who_follows_a_job_that_is_deleted_is_told(
    gated: Gated, asgi_server: tuple[str, int], client: Client, post: Post, long: bytes
) -> None:
    job = told(post(long))
    assert gated.begun.acquire(timeout=60)
    with closing(http.client.HTTPConnection(*asgi_server, timeout=60)) as connection:
        connection.request("GET", f"/api/jobs/{job['id']}/events")
        response = connection.getresponse()
        body = response.readline()
        Job.objects.all().delete()
        body += response.read()
    assert parts(body)[-1].startswith("event: cancelled")


def parts(body: bytes) -> list[str]:
    return body.decode().strip().split("\n\n")


# --- how long it is kept ---------------------------------------------------------------------


def test_jobs_expire(post: Post, client: Client, settings: Settings, long: bytes) -> None:
    job = told(post(long))
    assert retention.expire() == 0
    settings.VOICEBOT_KEEP_JOBS_DAYS = 0
    assert retention.expire() == 1
    assert client.get(job["url"]).status_code == 404
    assert not Segment.objects.exists()


def test_what_expires_is_gone_from_the_disk_too(
    post: Post, settings: Settings, stt: fake.Fake, data_dir: Path
) -> None:
    stt.script.enqueue(SECRET)
    post(tone(3.0))
    given_up = Job.objects.create(created_at=timezone.now() - timedelta(days=8))
    for kind in files.KINDS:
        with files.writing(given_up.pk, kind, size_bytes=3) as file:
            file.write(b"abc")
    settings.VOICEBOT_KEEP_JOBS_DAYS = 0
    call_command("expire_history", "--dry-run")
    assert (Job.objects.count(), len(list(files.stored()))) == (2, 2)
    call_command("expire_history")
    assert not Job.objects.exists()
    assert list(files.stored()) == []
    assert traces(data_dir, SECRET) == []


def test_recordings_of_no_job_are_found(long: bytes) -> None:
    lost, kept = uuid.uuid4(), Job.objects.create()
    for job in (lost, kept.pk):
        with files.writing(job, "upload", size_bytes=3) as file:
            file.write(b"abc")
        os.utime(files.path(job, "upload"), (0, 0))
    assert retention.orphans() == [files.path(lost, "upload")]


# --- in the admin ----------------------------------------------------------------------------


def test_the_admin_tells_how_far_jobs_are_and_nothing_that_was_heard(
    post: Post, admin_client: Client, stt: fake.Fake
) -> None:
    stt.script.enqueue(SECRET)
    job = told(post(tone(3.0)))["id"]
    page = admin_client.get("/admin/jobs/job/", headers={"Accept-Language": "en"}).text
    assert job[:8] in page
    assert "3 of 3 s" in page
    one = admin_client.get(f"/admin/jobs/job/{job}/change/")
    assert one.status_code == 200
    assert SECRET not in page + one.text
    assert admin_client.get("/admin/jobs/job/add/").status_code == 403


@pytest.mark.parametrize("action", ["cancel", "delete_selected"])
def test_the_admin_ends_jobs(
    gated: Gated, post: Post, admin_client: Client, long: bytes, action: str
) -> None:
    job = told(post(long))["id"]
    assert gated.begun.acquire(timeout=60)
    form = {"action": action, "_selected_action": [job], "post": "yes"}
    assert admin_client.post("/admin/jobs/job/", form).status_code == 302
    gated.go_on.release()
    worker.join()
    assert len(gated.heard) == 1
    assert list(files.stored()) == []
    left = list(Job.objects.values_list("status", flat=True))
    assert left == ([Status.CANCELLED] if action == "cancel" else [])
