"""Jobs as the admin shows them, and what may go wrong while they are done."""

from __future__ import annotations

import logging
import wave
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError
from django.test import Client

from jobs import files, tasks
from jobs.models import Job, Segment, Status
from tests.unit.test_cache_admin import browser, text_of

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/admin/jobs/job/"


def made(**values: Any) -> Job:
    """A job whose recording is a second of silence."""
    job = Job.objects.create(request_id="request", locale="en", upload_bytes=2_000, **values)
    with files.writing(job.pk, "upload", size_bytes=1) as file, wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(16_000)
        sound.writeframes(bytes(32_000))
    return job


def again(job: Job) -> Job:
    return Job.objects.get(pk=job.pk)


# --- the admin -------------------------------------------------------------------------------


@pytest.fixture
def admin(admin_user: User) -> Client:
    return browser(admin_user)


def test_how_far_they_are_is_shown_and_what_was_heard_is_not(admin: Client) -> None:
    half = made(status=Status.RUNNING, duration=600, done_s=300.4, tenant="alice")
    Segment.objects.create(job=half, place=0, start=0, end=1, text="Le mot est sésame.")
    made()
    for path in ("", f"{half.pk}/change/"):
        page = text_of(admin.get(LIST + path))
        assert "300 of 600 s" in page
        assert "alice" in page
        assert "sésame" not in page
    assert "sésame" not in text_of(admin.get(f"{LIST}{half.pk}/delete/"))
    assert "2.0 KB" in text_of(admin.get(LIST))
    assert admin.get(f"{LIST}add/").status_code == 403


def test_when_they_expire_is_told_as_other_times_are(admin: Client) -> None:
    done = made(status=Status.DONE, finished_at=datetime(2026, 5, 1, 10, 30, tzinfo=UTC))
    page = text_of(admin.get(f"{LIST}{done.pk}/change/"))
    assert "May 2, 2026, 10:30 a.m." in page
    assert "+00:00" not in page


def test_they_are_cancelled_there(admin: Client) -> None:
    running, waiting, done = made(status=Status.RUNNING), made(), made(status=Status.DONE)
    chosen = [str(job.pk) for job in (running, waiting, done)]
    form = {"action": "cancel", "_selected_action": chosen}
    assert "2 jobs are cancelled." in text_of(admin.post(LIST, form, follow=True))
    assert [again(job).status for job in (running, waiting, done)] == [
        *(Status.CANCELLED, Status.CANCELLED, Status.DONE)
    ]
    assert {job for _file, job in files.stored()} == {done.pk}


# --- what may go wrong -----------------------------------------------------------------------


def test_a_job_that_cannot_be_kept_leaves_no_recording() -> None:
    twice = Job.objects.create(request_id="request", locale="en")
    with pytest.raises(IntegrityError):
        tasks.begin([b"recording"], Job(pk=twice.pk, request_id="request"))
    assert list(files.stored()) == []


def test_a_job_that_another_process_does_is_left_to_it() -> None:
    job = made()
    with files.lock(job.pk):
        assert tasks.resume() == 1
    assert again(job).status == Status.WAITING


def test_what_nobody_foresaw_is_an_error_with_a_name(caplog: pytest.LogCaptureFixture) -> None:
    job = made()
    files.path(job.pk, "pcm").mkdir()
    assert tasks.resume() == 1
    failed = again(job)
    assert (failed.status, failed.code) == (Status.FAILED, "internal_error")
    assert failed.detail == "Something went wrong on our side."
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.exc_info is not None
