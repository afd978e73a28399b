"""``manage.py warm_speech``: speaks frequent phrases ahead, so that nobody waits for them."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import rich.progress
from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _

from cache.tts import CachedTextToSpeech, remembering
from pipeline import tenants
from pipeline.engines import engines
from pipeline.management.utterances import plain_errors
from pipeline.sentences import SentenceSplitter, split
from pipeline.tts.base import Voice

STDIN = Path("-")


class Command(BaseCommand):
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.description = _("Speak frequent phrases into the cache, ahead of who will ask.")
        parser.add_argument(
            "file",
            type=Path,
            metavar="FILE",
            help=_("one phrase a line, in UTF-8; “-” reads them from the standard input"),
        )
        parser.add_argument("--voice", help=_("one of GET /api/voices/"))
        parser.add_argument("--language", help=_("ISO 639-1 code (default: the voice’s)"))
        parser.add_argument("--speed", type=float, default=1.0, help=_("1 is the voice’s own pace"))
        parser.add_argument(
            "--tenant", default="", help=_("who alone will hear them (default: all without a key)")
        )
        parser.add_argument(
            "--dry-run", action="store_true", help=_("tell what would be spoken; speak nothing")
        )

    def handle(
        self,
        *,
        file: Path,
        voice: str | None,
        language: str | None,
        speed: float,
        tenant: str,
        dry_run: bool,
        **_options: Any,
    ) -> None:
        with plain_errors(), tenants.acting_for(tenant):
            chosen = engines.tts.choose_voice(voice, language)
            engine = remembering(chosen)
            if engine is None:
                raise CommandError(_("Speech is not kept: VOICEBOT_CACHE_MAX_BYTES is 0."))
            pieces = _pieces(_phrases(file))
            if not pieces:
                raise CommandError(_("%(file)s holds nothing to say.") % {"file": file})
            counts: Counter[str] = Counter()
            with rich.progress.Progress(disable=not self.stdout.isatty()) as bars:
                for piece in bars.track(pieces, description=str(file)):
                    counts.update(_warmed(engine, piece, chosen, speed, dry_run=dry_run))
        self.stdout.write(_("Sentences made: %(count)d") % {"count": counts["miss"]})
        self.stdout.write(_("Sentences known: %(count)d") % {"count": counts["hit"]})
        if dry_run:
            self.stdout.write(_("This was a dry run: nothing was spoken."))
        if counts["off"]:
            text = _("Sentences that could not be kept: %(count)d. The log says why.")
            raise CommandError(text % {"count": counts["off"]})


def _phrases(file: Path) -> list[str]:
    """The lines that are neither empty nor comments (``#``).

    :raises OSError: it cannot be read.
    """
    try:
        text = sys.stdin.read() if file == STDIN else file.read_text("utf-8")
    except UnicodeDecodeError as exc:
        raise CommandError(_("%(file)s is not text in UTF-8.") % {"file": file}) from exc
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _pieces(phrases: Sequence[str]) -> list[str]:
    """All that a turn gives to the voice at a time when it says one of ``phrases``, each once.

    Those are its sentences and, at the beginning of an answer that is heard while it is made, its
    clauses.
    """

    def said(phrase: str) -> Iterator[str]:
        yield from split(phrase)
        eager = SentenceSplitter(eager=True)
        yield from eager.feed(phrase)
        yield from eager.flush()

    return list(dict.fromkeys(piece for phrase in phrases for piece in said(phrase)))


def _warmed(
    engine: CachedTextToSpeech, piece: str, voice: Voice, speed: float, *, dry_run: bool
) -> list[str]:
    """Per sentence: ``hit`` when it is kept, ``miss`` when it is made now, ``off`` when not kept.

    What is kept is not recalled: this is not somebody who listens, to be counted.
    """
    sentences = engine.sentences(piece, voice.language)
    states = ["hit" if engine.keeps(s, voice, speed) else "miss" for s in sentences]
    if dry_run or "miss" not in states:
        return states
    return [speech.cache for speech in engine.synthesize(piece, voice=voice.id, speed=speed)]
