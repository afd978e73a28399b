"""What every turn leaves behind, whichever address it was asked at: the one place for it."""

from __future__ import annotations

import logging

from api.serializers import times_json
from history.recording import Recording
from pipeline import provenance
from pipeline.engines import engines

logger = logging.getLogger(__name__)

CLIENT_GONE = 499
"""The status in the log, as in nginx's: nobody was there to be sent one."""


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
        if code:
            facts["code"] = code
        line = " ".join(
            f"{name}={value:.3f}" if isinstance(value, float) else f"{name}={value}"
            for name, value in facts.items()
        )
        # As JSON, the log has them as they are.
        extra = {"turn": {"status": status, **facts}}
        logger.info("turn %s status=%d %s", self.request_id, status, line, extra=extra)
