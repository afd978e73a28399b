"""What can wait waits while engines are at work."""

from __future__ import annotations

import threading

import pytest

from pipeline.llm.fake import Fake
from pipeline.traffic import Traffic, traffic


def test_it_is_quiet_when_nobody_has_called() -> None:
    assert Traffic().wait_until_quiet(0)


def test_it_is_not_quiet_during_a_call_nor_right_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = Traffic()
    with calls.one_more():
        assert not calls.wait_until_quiet(0.05)
    with monkeypatch.context() as patch:
        patch.setattr("pipeline.traffic.QUIET_S", 600)
        assert not calls.wait_until_quiet(0)
    assert calls.wait_until_quiet(60)


def test_who_waits_is_told() -> None:
    calls = Traffic()
    with calls.one_more():
        quiet = threading.Event()

        def wait() -> None:
            assert calls.wait_until_quiet(60)
            quiet.set()

        thread = threading.Thread(target=wait)
        thread.start()
        assert not quiet.wait(0.05)
    thread.join(60)
    assert quiet.is_set()


def test_engines_are_counted_while_they_work() -> None:
    with Fake()._at_work():
        assert not traffic.wait_until_quiet(0)
    assert traffic.wait_until_quiet(60)
