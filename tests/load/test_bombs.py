"""Small uploads of large sounds are refused before they take memory."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from bench.torture.bombs import BOMBS
from bench.torture.service import Service, peak_memory
from tests.uploads import UPLOADS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

THREE_AT_ONCE = [
    ["FLAC that does not tell", "Opus in live WebM", "WavPack in live Matroska"],
    ["WAV without an end", "WAV of 65535 channels", "WAV that says it is MP3"],
]


@pytest.mark.parametrize("names", THREE_AT_ONCE, ids=["silence", "lies"])
def test_three_at_once(service: Service, names: list[str]) -> None:
    bombs = [BOMBS[name]() for name in names]
    assert service.ask(UPLOADS["wav"]()).status == 200
    idle_bytes = service.memory_bytes
    with peak_memory(service) as peak, ThreadPoolExecutor(len(bombs)) as pool:
        answers = list(pool.map(lambda bomb: service.ask(bomb, job="false"), bombs))
    assert [answer.status in (413, 415) for answer in answers] == [True] * 3, answers
    assert peak[0] - idle_bytes < 300_000_000
    assert service.ask(UPLOADS["wav"]()).status == 200
