"""The command line, in the language of the terminal."""

from __future__ import annotations

from django.apps import apps
from django.conf import settings
from django.core.management import BaseCommand, ManagementUtility
from django.utils import translation


class CommandLine(ManagementUtility):
    def fetch_command(self, subcommand: str) -> BaseCommand:
        if apps.ready:  # runserver is begun without them, to wait until they are mended
            translation.activate(settings.TERMINAL_LANGUAGE)
        return super().fetch_command(subcommand)
