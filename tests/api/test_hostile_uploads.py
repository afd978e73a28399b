"""What is sent instead of a recording opens nothing, and what is damaged breaks nothing.

``make torture`` does more of the same, to a server in a process of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import av
import pytest

from bench.torture.mutations import mutation
from bench.torture.playlists import EXTENSIONS, Listener, concat, hls, listening, playlists
from pipeline.decoding.client import decoder
from pipeline.stt.fake import Fake as FakeSpeechToText
from tests.api.conftest import Ask
from tests.uploads import UPLOADS

MUTATIONS = 204  # 17 of each container


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listening() as listener:
        yield listener


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A valid recording, in the working folder."""
    folder = tmp_path / "uploads"
    folder.mkdir()
    monkeypatch.chdir(folder)
    target = folder / "target.wav"
    target.write_bytes(UPLOADS["wav"]())
    return target


@pytest.mark.django_db
@pytest.mark.parametrize("name", playlists(Path("/"), ""))
def test_nothing_foreign_is_opened(
    ask: Ask, stt: FakeSpeechToText, listener: Listener, target: Path, name: str
) -> None:
    payload = playlists(target, listener.url)[name]
    for extension in EXTENSIONS:
        # Where it would be found, if it were to include itself.
        target.with_name(f"question.{extension}").write_bytes(payload)
        answer = ask(payload, filename=f"question.{extension}")
        assert (answer.status_code, answer.json()["code"]) == (415, "audio_unreadable")
    assert stt.heard == []
    assert listener.connections == 0


def test_ffmpeg_left_to_itself_would_open_them(listener: Listener, target: Path) -> None:
    """The payloads are real ones: the file is heard, the socket is called."""
    upload = target.with_name("question.m3u8")
    upload.write_bytes(hls(f"#EXTINF:9,\n{target}"))
    careless = {"allowed_extensions": "ALL", "extension_picky": "0", "safe": "0"}
    with av.open(str(upload), options=careless) as container:
        assert next(container.decode(audio=0)).to_ndarray().any()
    upload.write_bytes(concat(str(target)))
    with av.open(str(upload), options=careless) as container:
        assert next(container.decode(audio=0)).to_ndarray().any()
    careless["protocol_whitelist"] = "file,http,tcp"
    for payload in ("HLS, loopback URL", "HLS, master of a URL", "concat, loopback URL"):
        before = listener.connections
        upload.write_bytes(playlists(target, listener.url)[payload])
        with suppress(av.FFmpegError), av.open(str(upload), options=careless):
            pass
        assert listener.connections > before, payload


@pytest.mark.django_db
def test_damaged_recordings_are_answered(ask: Ask) -> None:
    answers = [(name, ask(data)) for name, data in (mutation(0, n) for n in range(MUTATIONS))]
    for name, answer in answers:
        assert answer.status_code in (200, 400, 413, 415, 422), name
        if answer.status_code != 200:
            assert answer.json()["code"].startswith(("audio_", "no_speech")), name
    statuses = {answer.status_code for _name, answer in answers}
    assert {200, 415} <= statuses  # some of it mattered, some did not
    assert decoder.pid is not None
    assert ask(UPLOADS["webm"]()).status_code == 200


def test_a_seed_decides_the_damage() -> None:
    assert mutation(3, 14) == mutation(3, 14)
    assert mutation(3, 14)[1] != mutation(4, 14)[1]
