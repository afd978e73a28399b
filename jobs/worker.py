"""The thread in which this process does its tasks, the most urgent first."""

from __future__ import annotations

import atexit
import itertools
import logging
import queue
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from django.db import connections
from django.utils import timezone
from django_tasks import TaskResult, TaskResultStatus
from django_tasks.backends.base import BaseTaskBackend
from django_tasks.utils import get_random_id

logger = logging.getLogger(__name__)

PATIENCE_S: Final = 30.0
"""With the work in hand when the process ends: it is not cut off within a piece."""


class Worker:
    """Begun with the first work there is."""

    def __init__(self) -> None:
        self.leaving = threading.Event()
        """Set when the process ends: work that can be taken up again is left where it is."""
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._work: queue.PriorityQueue[tuple[int, int, Callable[[], object]]]
        self._work = queue.PriorityQueue()
        self._numbers = itertools.count()

    def put(self, priority: int, work: Callable[[], object]) -> None:
        """``work`` of a higher ``priority`` comes first, else what was put first."""
        self._work.put((-priority, next(self._numbers), work))
        with self._lock:
            if self._thread is None and not self.leaving.is_set():
                self._thread = threading.Thread(target=self._run, name="worker", daemon=True)
                self._thread.start()
                atexit.register(self.close)

    def close(self) -> None:
        """End the thread, after the work in hand."""
        self.leaving.set()
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._work.put((-1_000, -1, lambda: None))  # it may be waiting for some
            thread.join(PATIENCE_S)

    def join(self) -> None:
        """Wait until there is no more work."""
        self._work.join()

    def _run(self) -> None:
        while not self.leaving.is_set():
            _priority, _number, work = self._work.get()
            try:
                work()
            except Exception:
                logger.exception("A task failed.")
            finally:
                connections.close_all()  # this thread's
                self._work.task_done()


worker = Worker()


class InProcess(BaseTaskBackend):
    """Does tasks in the process that enqueues them, one at a time.

    https://docs.djangoproject.com/en/6.0/topics/tasks/

    Nothing of it outlives the process: a task keeps what it has done in rows of its own, and is
    enqueued again when the process starts. Any other backend of Django's tasks may take its place.
    """

    supports_priority = True

    def enqueue(self, task: Any, args: Any, kwargs: Any) -> TaskResult[Any]:
        self.validate_task(task)
        result: TaskResult[Any] = TaskResult(
            task=task,
            id=get_random_id(),
            status=TaskResultStatus.READY,
            enqueued_at=timezone.now(),
            started_at=None,
            finished_at=None,
            last_attempted_at=None,
            args=args,
            kwargs=kwargs,
            backend=self.alias,
            errors=[],
            worker_ids=[],
        )
        worker.put(task.priority, partial(task.call, *result.args, **result.kwargs))
        return result
