"""Speech to text alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils.translation import gettext as _

from pipeline.engines import engines
from pipeline.management.utterances import add_language, language, plain_errors, utterance


class Command(BaseCommand):
    def add_arguments(self, parser: CommandParser) -> None:
        parser.description = _("Write down what is said in recordings.")
        parser.add_argument("audio", type=Path, nargs="+")
        parser.add_argument("--segments", action="store_true", help=_("one line each, with times"))
        add_language(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        for path in options["audio"]:
            with plain_errors():
                transcript = engines.stt.transcribe(utterance(path), language=language(options))
            if options["segments"]:
                for segment in transcript.segments:
                    self.stdout.write(f"{segment.start:7.2f} {segment.end:7.2f}  {segment.text}")
            else:
                self.stdout.write(transcript.text)
