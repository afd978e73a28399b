"""What the commands that work on files share."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.core.management.base import CommandError
from django.utils.translation import gettext as _

from pipeline.audio import Audio, decode
from pipeline.errors import PipelineError

DETECT = "auto"


def add_language(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--language",
        default=settings.VOICEBOT_LANGUAGE,
        help=_("ISO 639-1 code, or “auto” to detect it (default: %(default)s)"),
    )


def language(options: dict[str, str]) -> str | None:
    return None if options["language"] == DETECT else options["language"]


@contextmanager
def plain_errors() -> Iterator[None]:
    """What can go wrong is said in a sentence, without a traceback."""
    try:
        yield
    except PipelineError as exc:
        raise CommandError(f"{exc} ({exc.code})") from exc
    except OSError as exc:
        raise CommandError(f"{exc.filename}: {exc.strerror}") from exc


def utterance(path: Path) -> Audio:
    return decode(path.read_bytes(), max_duration=settings.VOICEBOT_MAX_UTTERANCE_S)
