"""Text to speech alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from pipeline.audio import to_wav
from pipeline.engines import engines
from pipeline.management.utterances import plain_errors


class Command(BaseCommand):
    def add_arguments(self, parser: CommandParser) -> None:
        parser.description = _("Say a text aloud into a WAV file.")
        parser.add_argument("text")
        parser.add_argument("-o", "--output", type=Path, default=Path("speech.wav"))
        parser.add_argument("--voice", help=_("one of GET /api/voices/"))
        parser.add_argument("--language", help=_("ISO 639-1 code (default: the voice’s)"))
        parser.add_argument("--speed", type=float, default=1.0, help=_("1 is the voice’s own pace"))

    def handle(self, *args: Any, **options: Any) -> None:
        chosen = {name: options[name] for name in ("voice", "language", "speed")}
        with plain_errors():
            speeches = list(engines.tts.synthesize(options["text"], **chosen))
            if not speeches:
                raise CommandError(_("There is nothing to say aloud in this text."))
            options["output"].write_bytes(to_wav(speech.audio for speech in speeches))
        for speech in speeches:
            self.stdout.write(f"{speech.audio.duration:6.2f} s  {speech.cache:4}  {speech.text}")
        self.stdout.write(_("written %(output)s") % {"output": options["output"]})
