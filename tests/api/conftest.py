"""What the tests of the API share: questions to ask, and two ways to serve for real."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np
import pytest
import uvicorn
from django.core.asgi import get_asgi_application
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.test import Client

from api.limits import BodyLimit
from pipeline.audio import Audio, to_wav
from pipeline.base import Engine
from pipeline.engines import engines
from pipeline.llm.fake import Fake as FakeLanguageModel
from pipeline.stt.fake import Fake as FakeSpeechToText
from pipeline.tts.fake import Fake as FakeTextToSpeech

Ask = Callable[..., Any]


def tone(duration: float, *, peak: float = 0.5) -> bytes:
    """A WAV of ``duration`` seconds, which the fake speech to text takes for speech."""
    time_s = np.arange(int(16_000 * duration)) / 16_000
    samples = (peak * np.sin(2 * np.pi * 440 * time_s)).astype(np.float32)
    return to_wav([Audio(samples, 16_000)])


@pytest.fixture
def ask(client: Client) -> Ask:
    """Post a question; keyword arguments are fields, and headers those of the request."""

    def post(
        audio: bytes | None = None,
        *,
        url: str = "/api/voice/",
        filename: str = "question.wav",
        content_type: str = "audio/wav",
        headers: dict[str, str] | None = None,
        **fields: str,
    ) -> HttpResponse:
        content = tone(0.5) if audio is None else audio
        file = SimpleUploadedFile(filename, content, content_type)
        return client.post(url, {"audio": file, **fields}, headers=headers)  # type: ignore[return-value]

    return post


F = TypeVar("F", bound=Engine)


def fake(engine: Any, kind: type[F]) -> F:
    """The one behind ``engine``, which may be a cache, or somewhere on a cluster."""
    while hasattr(engine, "engine"):
        engine = engine.engine
    assert isinstance(engine, kind)
    return engine


@pytest.fixture
def stt() -> FakeSpeechToText:
    return fake(engines.stt, FakeSpeechToText)


@pytest.fixture
def llm() -> FakeLanguageModel:
    return fake(engines.llm, FakeLanguageModel)


@pytest.fixture
def tts() -> FakeTextToSpeech:
    return fake(engines.tts, FakeTextToSpeech)


@pytest.fixture
def asgi_server(transactional_db: None) -> Iterator[tuple[str, int]]:
    """The host and port of the service under uvicorn, as ``make run`` serves it."""
    application: Any = BodyLimit(get_asgi_application())
    config = uvicorn.Config(application, port=0, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    host, port = server.servers[0].sockets[0].getsockname()[:2]
    yield host, port
    server.should_exit = True
    thread.join()
