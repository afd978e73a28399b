"""An answer that is heard while it is written, and a client that does not listen to its end."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path

import numpy as np
import pytest

from pipeline.audio import Audio, open_wav, to_wav
from pipeline.tts.fake import CHARS_PER_S, RATE
from tests.e2e.conftest import Server, serving

QUESTION = to_wav([Audio(np.ones(8_000, np.float32), 16_000)])
FIRST_BYTES = 2 * int(RATE * len("Bonjour à vous tous.") / CHARS_PER_S)
OTHER_BYTES = 2 * int(RATE * len("Il fait beau.") / CHARS_PER_S)


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """The language model waits for this file."""
    return tmp_path / "gate"


@pytest.fixture
def gated(gate: Path, tmp_path: Path) -> Iterator[Server]:
    """A server as it is started, but for its engines, whose pace a test decides."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("VOICEBOT_", "DJANGO_"))}
    chosen = {
        "DJANGO_SETTINGS_MODULE": "voicebot.settings",
        "VOICEBOT_DATA_DIR": str(tmp_path / "var"),
        "VOICEBOT_ENV_FILE": os.devnull,
        "VOICEBOT_STT_BACKEND": "pipeline.stt.fake.Fake",
        "VOICEBOT_LLM_BACKEND": "tests.e2e.engines.Gated",
        "VOICEBOT_LLM_OPTIONS": json.dumps({"gate": str(gate), "wait_s": 60}),
        "VOICEBOT_TTS_BACKEND": "pipeline.tts.fake.Fake",
        "VOICEBOT_MAX_WAIT_S": "60",  # clients come before the one that has left is seen to have
    }
    with serving({**kept, **chosen}, tmp_path / "server.log") as running:
        yield running


def asked(server: Server) -> HTTPResponse:
    response = urllib.request.urlopen(server.question(QUESTION, stream="true"), timeout=60)
    assert isinstance(response, HTTPResponse)
    assert response.status == 200
    return response


def first_sentence(response: HTTPResponse) -> bytes:
    received = response.read(len(open_wav(RATE)) + FIRST_BYTES)
    assert received.startswith(open_wav(RATE))
    return received


def test_speech_comes_before_the_reply_is_complete(gated: Server, gate: Path) -> None:
    with asked(gated) as response:
        assert len(first_sentence(response)) == len(open_wav(RATE)) + FIRST_BYTES
        gate.touch()  # until now the model had no more to say
        assert len(response.read()) == OTHER_BYTES


def test_a_client_that_leaves_is_not_waited_for(gated: Server, gate: Path) -> None:
    for _impatient in range(3):  # there is one slot: each needs that of the one before
        with asked(gated) as response:
            first_sentence(response)
    gate.touch()
    with asked(gated) as response:
        assert len(first_sentence(response) + response.read()) > FIRST_BYTES + OTHER_BYTES
