"""``manage.py expire_history``: removes what is kept no longer than the settings say."""

from __future__ import annotations

from argparse import ArgumentParser
from contextlib import nullcontext
from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction
from django.utils.translation import gettext as _

from history import retention
from jobs import retention as jobs


class Command(BaseCommand):
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.description = _(
            "Remove what was said, what is known of turns, and jobs, when they are older than the "
            "settings VOICEBOT_KEEP_… say; servers do so every hour."
        )
        parser.add_argument(
            "--dry-run", action="store_true", help=_("tell what would be removed; remove nothing")
        )

    def handle(self, *, dry_run: bool, **_options: Any) -> None:
        lost = [*retention.orphans(), *jobs.orphans()]
        # A dry run is a real one that is rolled back: files only go when rows are gone for good.
        with transaction.atomic() if dry_run else nullcontext():
            gone = retention.expire()
            gone_jobs = jobs.expire()
            if dry_run:
                transaction.set_rollback(True)
        if not dry_run:
            for file in lost:
                file.unlink(missing_ok=True)
            if gone_jobs:
                retention.scrub()
        self._tell(_("Utterances removed"), gone.utterances)
        self._tell(_("Speech removed"), gone.speeches)
        self._tell(_("Turns whose texts are removed"), gone.texts)
        self._tell(_("Conversations removed"), gone.conversations)
        self._tell(_("Turns removed"), gone.turns)
        self._tell(_("Jobs removed"), gone_jobs)
        self._tell(_("Files that belong to nothing, removed"), len(lost))
        if dry_run:
            self.stdout.write(_("This was a dry run: nothing was removed."))

    def _tell(self, what: str, count: int) -> None:
        self.stdout.write(_("%(what)s: %(count)d") % {"what": what, "count": count})
