"""A whole turn without a server: a recording in, the spoken reply out."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils.translation import gettext as _

from pipeline import turn
from pipeline.audio import to_wav
from pipeline.engines import engines
from pipeline.management.utterances import add_language, language, plain_errors, utterance


class Command(BaseCommand):
    def add_arguments(self, parser: CommandParser) -> None:
        parser.description = _(
            "Answer a recorded question aloud: prints what was heard and the reply, writes a WAV."
        )
        parser.add_argument("audio", type=Path, help=_("webm, ogg, mp4, mp3, flac or wav"))
        parser.add_argument("-o", "--output", type=Path, default=Path("answer.wav"))
        parser.add_argument("--voice", help=_("one of GET /api/voices/"))
        add_language(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        with plain_errors():
            heard = utterance(options["audio"])
            engines.warm_up()
            taken = turn.take(
                turn.events(heard, engines, language=language(options), voice=options["voice"])
            )
            options["output"].write_bytes(to_wav(taken.audio))
        report = _(
            "heard   [%(language)s] %(transcript)s\n"
            "reply   %(reply)s\n"
            "times   stt %(stt).2f s, llm %(llm).2f s, tts %(tts).2f s (%(cache)s), "
            "first audio %(first_audio).2f s, total %(total).2f s\n"
            "written %(output)s (%(duration).2f s of speech)"
        )
        values = {
            "language": taken.transcript.language,
            "transcript": taken.transcript.text,
            "reply": taken.reply,
            "cache": taken.cache["tts"],
            "output": options["output"],
            "duration": taken.duration,
        }
        self.stdout.write(report % {**values, **asdict(taken.times)})
