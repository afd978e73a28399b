"""How the service is at this moment: its engines, who waits for them, what lies on the disk and how
long it stays there.

Engines, and those who wait for them, are this process's, as in ``/metrics``.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import connection
from django.db.models import Count
from django.utils.translation import gettext as _
from prometheus_client import REGISTRY

from cache.models import CachedSpeech
from history.models import Turn
from jobs import files as jobs
from jobs.models import Job, Status
from pipeline.admission import admission
from pipeline.base import Engine
from pipeline.engines import ROLES, engines
from pipeline.errors import InvalidEngineError
from pipeline.weighted import Weighted
from pipeline.weights.manifest import root as weights

LOW_SHARE: Final = 0.1
"""Of the disk, less is worth a warning."""

# --- engines -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Told:
    """One engine."""

    role: str
    name: str
    weights: str
    loaded: bool
    hangs: bool  # none of its calls ends
    missing: str  # why it could not be loaded; empty where it could, or is
    outbound: bool
    memory_bytes: int | None  # that loading it took; None: not known, or not of this machine
    slots: int
    at_work: int  # calls that have one
    waiting: int  # calls that want one


def told() -> list[Told]:
    """By stage; those that stand in come behind whom they stand in for."""
    return [_told(role, engine) for role in ROLES for engine in _at_work(role)]


def _at_work(role: str) -> Sequence[Engine]:
    try:
        return engines[role].workers
    except InvalidEngineError:  # `manage.py check` tells why
        return []


def _told(role: str, engine: Engine) -> Told:
    return Told(
        role=role,
        name=engine.name,
        weights=Path(engine.weights).name if isinstance(engine, Weighted) else "",
        loaded=engine.loaded,
        hangs=engine.hangs,
        missing="" if engine.loaded else engine.missing() or "",
        outbound=engine.outbound,
        memory_bytes=engine.memory_bytes,
        slots=engine.slots,
        at_work=_gauge("voicebot_engine_slots_in_use", role, engine),
        waiting=_gauge("voicebot_engine_waiting", role, engine),
    )


def _gauge(name: str, role: str, engine: Engine) -> int:
    return int(REGISTRY.get_sample_value(name, {"role": role, "engine": engine.name}) or 0)


# --- who waits -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Queue:
    requests: int  # that are let in and not answered
    waiting: int  # for the processors, or for a slot of an engine
    jobs_running: int
    jobs_waiting: int


def queue(all_told: Sequence[Told]) -> Queue:
    counted = Job.objects.unfinished().order_by().values_list("status").annotate(Count("pk"))
    jobs_now = dict(counted)
    return Queue(
        requests=len(admission),
        waiting=admission.waiting + sum(one.waiting for one in all_told),
        jobs_running=jobs_now.get(Status.RUNNING, 0),
        jobs_waiting=jobs_now.get(Status.WAITING, 0),
    )


# --- the disk ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Part:
    """Of what voicebot has on the disk."""

    name: str
    title: str
    size_bytes: int
    limit_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Disk:
    parts: Sequence[Part]
    size_bytes: int  # of the disk, 0 where it cannot be told
    free_bytes: int

    @property
    def low(self) -> bool:
        return self.free_bytes < LOW_SHARE * self.size_bytes


def disk() -> Disk:
    """Sizes that rows tell are not looked up file by file."""
    try:
        whole = shutil.disk_usage(settings.VOICEBOT_DATA_DIR)
        size_bytes, free_bytes = whole.total, whole.free
    except OSError:
        size_bytes = free_bytes = 0
    limit_bytes = settings.VOICEBOT_CACHE_MAX_BYTES
    parts = [
        Part("weights", _("Weights"), _files_bytes(weights())),
        Part("speech", _("Speech cache"), CachedSpeech.objects.total_bytes(), limit_bytes),
        Part("sounds", _("Sounds of conversations"), Turn.objects.kept_bytes()),
        Part("jobs", _("Recordings of jobs"), _files_bytes(jobs.root())),
        Part("database", _("Database"), _database_bytes()),
    ]
    return Disk(parts, size_bytes, free_bytes)


def _files_bytes(folder: Path) -> int:
    """Of all the files in it; for folders of few."""
    total_bytes = 0
    for path, _folders, names in os.walk(folder):
        for name in names:
            try:
                total_bytes += Path(path, name).stat().st_size
            except OSError:  # it has just gone
                continue
    return total_bytes


def _database_bytes() -> int:
    if connection.vendor == "sqlite":
        file = Path(connection.settings_dict["NAME"])
        return sum(one.stat().st_size for one in file.parent.glob(f"{file.name}*"))  # its journal
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_database_size(current_database())")
        size_bytes: int = cursor.fetchone()[0]
        return size_bytes


# --- what is kept how long -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rule:
    what: str
    days: int  # 0: not kept
    variable: str  # that says so


def retention() -> list[Rule]:
    titles = {
        "VOICEBOT_KEEP_TEXTS_DAYS": _("Transcripts and replies of conversations"),
        "VOICEBOT_KEEP_UTTERANCES_DAYS": _("What users said in them, as sound"),
        "VOICEBOT_KEEP_SPEECH_DAYS": _("What was answered, as sound"),
        "VOICEBOT_KEEP_TURNS_DAYS": _("Times, engines and errors of turns"),
        "VOICEBOT_KEEP_JOBS_DAYS": _("Finished jobs and what was heard in them"),
    }
    return [Rule(what, getattr(settings, name), name) for name, what in titles.items()]
