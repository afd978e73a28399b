"""How long the pages of the admin take, with a hundred thousand rows of each kind.

``python -m bench.admin`` writes ``bench/results/admin.json``. A page is asked for by Django's own
client: everything but the network is in it. Nothing is remembered from one time to the next but
what the database has read.
"""

from __future__ import annotations

import bench.setup  # noqa: F401 - first: it sets Django up

# isort: split
import sys
import time
from collections.abc import Iterator
from statistics import median
from typing import Any, Final
from urllib.parse import quote

from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from bench import results
from bench.made import RARE, Maker
from cache.models import CachedSpeech
from history.models import Conversation, Turn
from pipeline.engines import engines
from voicebot import housekeeping

ROWS: Final = 100_000
ROUNDS: Final = 7
GOAL_MS: Final = 300


def pages() -> Iterator[tuple[str, str]]:
    """What it is → its address."""
    yield "first page", "/admin/"
    for days in (7, 30, 90):
        yield f"dashboard, {days} days", f"/admin/dashboard/?days={days}"
    yield from _speech()
    yield from _turns()
    yield from _conversations()
    for name in ("jobs_job", "access_apikey", "cache_pronunciation", "auth_user"):
        yield f"{name}: list", reverse(f"admin:{name}_changelist")


def _speech() -> Iterator[tuple[str, str]]:
    where = reverse("admin:cache_cachedspeech_changelist")
    one = CachedSpeech.objects.filter(hits__gt=3, corrected_text="").earliest("pk")
    for what, asked in {
        "list": "",
        "list, page 1000": "p=1000",
        "list, by hits": "o=-6",
        "list, by text": "o=1",
        "of a language": "language__exact=en",
        "of a voice": "voice__exact=af_heart",
        "of an engine": "engine__exact=Edge",
        "of a tenant": "tenant__exact=site",
        "pinned": "pinned__exact=1",
        "corrected": "corrected=1",
        "found by a usual word": "q=facture",
        "found by a rare word": f"q={RARE}",
        "found by none": "q=introuvable",
    }.items():
        yield f"speech: {what}", f"{where}?{asked}"
    yield "speech: one", reverse("admin:cache_cachedspeech_change", args=[one.pk])
    yield "speech: correct it", reverse("admin:cache_cachedspeech_correct", args=[one.pk])
    yield "speech: its log", reverse("admin:cache_cachedspeech_history", args=[one.pk])
    yield "speech: delete it", reverse("admin:cache_cachedspeech_delete", args=[one.pk])


def _turns() -> Iterator[tuple[str, str]]:
    where = reverse("admin:history_turn_changelist")
    complete = Turn.objects.complete().exclude(conversation=None).order_by("pk")
    one, other = complete[0], complete[1]
    day = one.created_at.date()
    for what, asked in {
        "list": "",
        "list, page 1000": "p=1000",
        "list, slowest first": "o=-5",
        "list, latest to be heard first": "o=-6",
        "of a language": "language__exact=en",
        "of an engine": "stt_engine__exact=FasterWhisper",
        "of a tenant": "tenant__exact=site",
        "failed": "error=any",
        "failed in one way": "error=engine_timeout",
        "slow": "slower=2",
        "very slow": "slower=10",
        "in a conversation": "kind=said",
        "alone": "kind=alone",
        "run again": "kind=again",
        "of a day": f"created_at__gte={day}T00:00:00Z&created_at__lt={day}T23:59:59Z",
        "slow, failed, of a language": "slower=2&error=none&language__exact=fr",
        "found by a usual word": "q=facture",
        "found by a rare word": f"q={RARE}",
        "found by its request": f"q={quote(one.request_id)}",
        "found by none": "q=introuvable",
    }.items():
        yield f"turns: {what}", f"{where}?{asked}"
    yield "turns: one", reverse("admin:history_turn_change", args=[one.pk])
    yield "turns: two compared", reverse("admin:history_turn_compare", args=[one.pk, other.pk])
    yield "turns: delete one", reverse("admin:history_turn_delete", args=[one.pk])


def _conversations() -> Iterator[tuple[str, str]]:
    where = reverse("admin:history_conversation_changelist")
    one = Conversation.objects.exclude(turns=None).earliest("pk")
    for what, asked in {
        "list": "",
        "list, page 1000": "p=1000",
        "of a tenant": "tenant__exact=site",
        "of a language": "language__exact=fr",
        "found by a usual word": "q=facture",
        "found by none": "q=introuvable",
    }.items():
        yield f"conversations: {what}", f"{where}?{asked}"
    yield "conversations: one", reverse("admin:history_conversation_change", args=[one.pk])
    yield "conversations: delete one", reverse("admin:history_conversation_delete", args=[one.pk])


def timed(client: Client, address: str) -> float:
    """In milliseconds."""
    started = time.perf_counter()
    response = client.get(address)
    took_ms = 1000 * (time.perf_counter() - started)
    assert response.status_code == 200, f"{address}: {response.status_code}"
    assert response.content
    return took_ms


def main(rows: int = ROWS) -> None:
    started = time.perf_counter()
    maker = Maker(engines.tts.identity)
    maker.speech(rows)
    maker.history(turns=rows, conversations=rows)
    made_s = time.perf_counter() - started
    housekeeping.count_up()  # as a server does every hour
    settings.ALLOWED_HOSTS = [*settings.ALLOWED_HOSTS, "testserver"]
    client = Client()
    client.force_login(User.objects.create_superuser("operator"))
    timed(client, "/admin/")  # templates are read
    took: dict[str, dict[str, float]] = {}
    for what, address in pages():
        every = [timed(client, address) for _round in range(ROUNDS)]
        took[what] = {"median_ms": median(every), "most_ms": max(every)}
        print(f"{what}: {took[what]['median_ms']:.0f} ms", file=sys.stderr)
    slowest = max(took, key=lambda what: took[what]["median_ms"])
    figures: dict[str, Any] = {
        "processor": results.processor(),
        "rows": {
            "cached speech": CachedSpeech.objects.count(),
            "turns": Turn.objects.count(),
            "conversations": Conversation.objects.count(),
        },
        "made_s": made_s,
        "rounds": ROUNDS,
        "goal_ms": GOAL_MS,
        "over_goal": [what for what in took if took[what]["median_ms"] > GOAL_MS],
        "slowest": {"page": slowest, **took[slowest]},
        "pages": took,
    }
    results.write("admin", figures)


if __name__ == "__main__":
    main(*(int(rows) for rows in sys.argv[1:]))
