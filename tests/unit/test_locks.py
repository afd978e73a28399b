"""One at a time, whatever locks: files or the database."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from django.db import connection

from files import locks

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def session() -> Iterator[None]:
    yield
    locks._session().close()


@pytest.fixture
def path(data_dir: Path) -> Path:
    return data_dir / "speech" / ".locks" / "ab.lock"


def test_one_thread_at_a_time(path: Path) -> None:
    inside, most = 0, 0

    def enter() -> None:
        nonlocal inside, most
        with locks.held(path, timeout_s=10):
            inside += 1
            most = max(most, inside)
            time.sleep(0.01)
            inside -= 1

    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(enter) for _ in range(8)]:
            future.result()
    assert (inside, most) == (0, 1)


def test_whoever_waits_too_long_is_told(path: Path) -> None:
    with locks.held(path, 1):
        with pytest.raises(TimeoutError), locks.held(path, 0.01):
            pass
        with locks.held(path.with_name("cd.lock"), 0.01):  # another name is another lock
            pass
    with locks.held(path, 0.01):
        pass


def test_it_is_left_after_an_error_and_in_another_thread(path: Path) -> None:
    with pytest.raises(ValueError, match="in it"), locks.held(path, 1):
        raise ValueError("in it")
    held = locks.held(path, 1)
    held.__enter__()
    thread = threading.Thread(target=held.__exit__, args=(None, None, None))
    thread.start()
    thread.join()
    with locks.held(path, 0.01):
        pass


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="needs PostgreSQL")
class TestSession:
    def test_sessions_exclude_each_other(self) -> None:
        with closing(locks.Session()) as one, closing(locks.Session()) as other:
            with one.held("ab", 1), pytest.raises(TimeoutError), other.held("ab", 0.01):
                pass
            with other.held("ab", 0.01):
                pass

    def test_whoever_is_gone_holds_nothing(self) -> None:
        with closing(locks.Session()) as gone, closing(locks.Session()) as other:
            held = gone.held("ab", 1)
            held.__enter__()
            gone.close()
            with other.held("ab", 1):
                pass
            held.__exit__(None, None, None)

    def test_a_lost_connection_is_made_anew(self) -> None:
        with closing(locks.Session()) as session:
            with session.held("ab", 1):
                assert session._connection is not None
                number = session._connection.info.backend_pid
                with connection.cursor() as cursor:
                    cursor.execute("SELECT pg_terminate_backend(%s)", [number])
                with pytest.raises(OSError, match="does not lock"), session.held("cd", 0.01):
                    pass
            with session.held("cd", 0.01):
                pass
