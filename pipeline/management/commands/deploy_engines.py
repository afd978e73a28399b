"""The engines of the settings, on a cluster."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from pipeline.errors import EngineError
from pipeline.ray import deploy


class Command(BaseCommand):
    def add_arguments(self, parser: CommandParser) -> None:
        parser.description = _(
            "Put the engines of the settings on the cluster that VOICEBOT_RAY_ADDRESS names."
        )
        parser.add_argument(
            "--prune",
            action="store_true",
            help=_("then take away those that the settings no longer describe"),
        )
        parser.add_argument(
            "--config",
            action="store_true",
            help=_("only write the configuration file of Ray Serve for them"),
        )

    def handle(self, *, prune: bool, config: bool, **options: Any) -> None:
        engines = deploy.distant()
        if not engines:
            raise CommandError(_("No engine of the settings runs on a cluster."))
        if config:
            self.stdout.write(json.dumps(deploy.configuration(), indent=2))
            return
        try:
            for name, engine in deploy.deploy(engines):
                values = {"engine": engine, "application": name}
                self.stdout.write(_("%(engine)s runs as %(application)s.") % values)
            if prune:
                for name in deploy.prune():
                    self.stdout.write(_("%(application)s is gone.") % {"application": name})
        except EngineError as exc:
            cause = f"\n{exc.__cause__}" if exc.__cause__ else ""
            raise CommandError(f"{exc}{cause}") from exc
