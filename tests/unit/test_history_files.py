"""Sound of turns on disk: what cannot be read or deleted costs a warning."""

from __future__ import annotations

import re
import uuid

import pytest

from history import files

TURN = uuid.UUID(int=0xAB << 120)


def test_what_is_written_is_read_until_it_is_deleted(caplog: pytest.LogCaptureFixture) -> None:
    for kind in files.KINDS:
        files.write(TURN, kind, kind.encode())
    assert [files.read(TURN, kind) for kind in files.KINDS] == [b"utterance", b"speech"]
    assert {(turn, kind) for _file, turn, kind in files.stored()} == {
        *((TURN, kind) for kind in files.KINDS)
    }
    files.delete([TURN], "utterance")
    assert [files.read(TURN, kind) for kind in files.KINDS] == [None, b"speech"]
    files.delete([TURN], *files.KINDS)
    assert list(files.stored()) == []
    assert not caplog.records


def test_what_cannot_be_read_or_deleted_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    files.path(TURN, "speech").mkdir(parents=True)
    files.write(TURN, "utterance", b"utterance")
    assert files.read(TURN, "speech") is None
    files.delete([TURN], "speech", "utterance")
    assert files.read(TURN, "utterance") is None  # one that cannot keeps no other
    read, deleted = caplog.messages
    assert re.fullmatch(r"A file of the history cannot be read: .*Is a directory.*", read)
    assert re.fullmatch(r"A file of the history cannot be deleted: .*Is a directory.*", deleted)
