"""``manage.py expire_history``: removes what is kept no longer than the settings say."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction
from django.utils.translation import gettext as _

from history import retention


class Command(BaseCommand):
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.description = _(
            "Remove what was said, and what is known of turns, when it is older than the settings "
            "VOICEBOT_KEEP_… say; servers do so every hour."
        )
        parser.add_argument(
            "--dry-run", action="store_true", help=_("tell what would be removed; remove nothing")
        )

    def handle(self, *, dry_run: bool, **_options: Any) -> None:
        lost = retention.orphans()
        if dry_run:
            # A real run that is rolled back: files only go when rows are gone for good.
            with transaction.atomic():
                gone = retention.expire()
                transaction.set_rollback(True)
        else:
            gone = retention.expire()
            for file in lost:
                file.unlink(missing_ok=True)
        self._tell(_("Utterances removed"), gone.utterances)
        self._tell(_("Speech removed"), gone.speeches)
        self._tell(_("Turns whose texts are removed"), gone.texts)
        self._tell(_("Conversations removed"), gone.conversations)
        self._tell(_("Turns removed"), gone.turns)
        self._tell(_("Files that belong to nothing, removed"), len(lost))
        if dry_run:
            self.stdout.write(_("This was a dry run: nothing was removed."))

    def _tell(self, what: str, count: int) -> None:
        self.stdout.write(_("%(what)s: %(count)d") % {"what": what, "count": count})
