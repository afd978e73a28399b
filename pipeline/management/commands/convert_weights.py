"""``manage.py convert_weights``: BLOOM weights of Hugging Face to GGUF, for llama.cpp."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import rich.progress
from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _

from pipeline import weights as store
from pipeline.errors import EngineUnavailable
from pipeline.weights import WeightsError, bloom
from pipeline.weights.manifest import root


class Command(BaseCommand):
    requires_system_checks = []  # checks complain of weights that are not here yet

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.description = _(
            "Convert BLOOM weights (config.json, tokenizer.json, *.safetensors) to one GGUF file."
        )
        parser.add_argument(
            "source", help=_("folder that holds them, or the id of fetched weights: bloomz-1b1")
        )
        parser.add_argument(
            "-o", "--output", type=Path, help=_("file to write (by default beside other weights)")
        )
        parser.add_argument(
            "--type", default="q8_0", choices=bloom.TYPES, help=_("number format (q8_0)")
        )

    def handle(self, *, source: str, output: Path | None, type: bloom.Type, **options: Any) -> None:
        try:
            folder = Path(source) if Path(source).is_dir() else store.path(source)
            name = f"{folder.resolve().name}-{type}.gguf"
            target = (output or root() / name).absolute()
            columns = (
                rich.progress.TextColumn("{task.description}"),
                rich.progress.BarColumn(),
                rich.progress.DownloadColumn(),
                rich.progress.TimeRemainingColumn(),
            )
            with rich.progress.Progress(*columns, disable=not self.stdout.isatty()) as bars:
                task = bars.add_task(target.name, total=bloom.size_bytes(folder, type))
                contents = bloom.convert(
                    folder, target, type, lambda size_bytes: bars.advance(task, size_bytes)
                )
        except (WeightsError, EngineUnavailable) as exc:
            raise CommandError(str(exc)) from exc
        except OSError as exc:
            text = _("%(file)s cannot be written: %(reason)s.")
            values = {"file": exc.filename or source, "reason": exc.strerror or exc}
            raise CommandError(text % values) from exc
        values = {"file": target, "size": contents.size_bytes / 1e6}
        self.stdout.write(_("%(file)s is written and read by llama.cpp (%(size).0f MB).") % values)
        self.stdout.write(f"sha256 {contents.sha256}")
        use = json.dumps({"weights": str(target), "prompt": "instruction"})
        self.stdout.write(_("To use it: %(line)s") % {"line": f"VOICEBOT_LLM_OPTIONS='{use}'"})
