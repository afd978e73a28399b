"""What every turn leaves behind, whichever address it was asked at: the one place for it.

So does what was asked for of a turn alone: a transcript, or speech.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from typing import Literal

from rest_framework.request import Request

from api.exceptions import STATUSES, Problem, failure
from api.serializers import times_json
from history.recording import Recording
from pipeline import metrics, provenance
from pipeline.engines import engines
from pipeline.errors import ClientGone
from pipeline.turn import Event

logger = logging.getLogger(__name__)

CLIENT_GONE = STATUSES[ClientGone]


class Account(Recording):
    """What is known of one turn, from the request for it to its end.

    Whoever takes a turn says ``begin`` when the request is understood, lets it be taken by
    ``take``, or its events pass through ``watch``, and says ``close`` at the end, however that
    came about.
    """

    def close(self, status: int, code: str = "") -> None:
        """The turn is over: it was answered by HTTP ``status``, and ``code`` where it failed."""
        self._log(status, code)
        self.keep(status, code)

    def _log(self, status: int, code: str) -> None:
        """One line: sizes and times, never what was said."""
        facts: dict[str, object] = {"upload_bytes": self.upload_bytes}
        if self.turn is not None:
            left_machine = provenance.outbound(self.turn, engines).items()
            times = times_json(self.turn.times, self.decoded_s)
            facts |= {
                "language": self.turn.transcript.language,
                "transcript_chars": len(self.turn.transcript.text),
                "reply_chars": len(self.turn.reply),
                "sentences": len(self.turn.speeches),
                "speech_s": self.turn.duration,
                "cache": ",".join(f"{stage}:{state}" for stage, state in self.turn.cache.items()),
                "speech_engine": ",".join(provenance.speakers(self.turn)),
                "outbound": ",".join(role for role, left in left_machine if left) or "none",
                **{f"{name}_s": seconds for name, seconds in times.items()},
            }
        _write_line("turn", self.request_id, status, code, facts)


class Part:
    """What is known of a transcript, or of speech, that was asked for without the rest of a turn.

    It leaves a line in the log and a count, and nothing of it is kept.
    """

    def __init__(self, request_id: str, kind: Literal["transcript", "speech"]) -> None:
        self.request_id = request_id
        self.kind = kind
        self.facts: dict[str, object] = {}  # sizes and times, never what was said

    def close(self, status: int, code: str = "") -> None:
        outcome = metrics.ABANDONED if status == CLIENT_GONE else code or metrics.DONE
        metrics.PARTS.labels(self.kind, outcome).inc()
        _write_line(self.kind, self.request_id, status, code, self.facts)


def encoded(
    turn: Generator[Event, None, None], encode: Callable[[Event], bytes]
) -> Generator[bytes, None, None]:
    """The events of ``turn`` as ``encode`` writes them. Closing it closes the turn."""
    with closing(turn):
        for event in turn:
            yield encode(event)


def followed(
    chunks: Generator[bytes, None, None],
    account: Account | Part,
    request: Request,
    farewell: Callable[[Problem], bytes | None],
) -> Generator[bytes, None, None]:
    """``chunks`` of an answer that is sent while it is made; ``account`` is told of its end.

    What goes wrong before the first chunk is raised, to be answered as if nothing were streamed.
    Afterwards it is ``farewell`` that tells the client; where it cannot, the answer breaks off.
    """
    begun = False
    with closing(chunks):
        try:
            for chunk in chunks:
                begun = begun or bool(chunk)
                yield chunk
        except (GeneratorExit, ClientGone):
            account.close(CLIENT_GONE, ClientGone.code)
            raise
        except Exception as exc:
            if not begun:
                raise
            problem = failure(exc, request)
            account.close(200, problem.code)
            last = farewell(problem)
            if last is None:
                raise
            yield last
        else:
            account.close(200)


def _write_line(
    kind: str, request_id: str, status: int, code: str, facts: Mapping[str, object]
) -> None:
    if code:
        facts = {**facts, "code": code}
    line = " ".join(
        f"{name}={value:.3f}" if isinstance(value, float) else f"{name}={value}"
        for name, value in facts.items()
    )
    # As JSON, the log has them as they are.
    extra = {kind: {"status": status, **facts}}
    logger.info("%s %s status=%d %s", kind, request_id, status, line, extra=extra)
