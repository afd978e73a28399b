"""``manage.py prune_speech``: brings the speech cache to a size, and removes what crashes left."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import transaction
from django.template.defaultfilters import filesizeformat
from django.utils import timezone
from django.utils.translation import gettext as _

from cache import files, retention
from cache.models import CachedSpeech
from files.store import Place


def natural(text: str) -> int:
    if not text.isdecimal():
        raise ArgumentTypeError(_("“%(text)s” is not a whole number.") % {"text": text})
    return int(text)


class Command(BaseCommand):
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.description = _(
            "Remove cached speech beyond a size or an age, and what belongs to nothing."
        )
        parser.add_argument(
            "--max-bytes",
            type=natural,
            metavar="N",
            help=_("keep at most N bytes, most recently used first (VOICEBOT_CACHE_MAX_BYTES)"),
        )
        parser.add_argument(
            "--older-than",
            type=natural,
            metavar="DAYS",
            help=_("remove what was not used for DAYS days"),
        )
        parser.add_argument(
            "--all", action="store_true", help=_("remove everything, even what is pinned")
        )
        parser.add_argument(
            "--dry-run", action="store_true", help=_("tell what would be removed; remove nothing")
        )

    def handle(
        self,
        *,
        max_bytes: int | None,
        older_than: int | None,
        all: bool,
        dry_run: bool,
        **_options: Any,
    ) -> None:
        rows = CachedSpeech.objects
        if max_bytes is None:
            max_bytes = settings.VOICEBOT_CACHE_MAX_BYTES
        orphans = retention.orphans()
        # A dry run is a real one that is rolled back: files only go when rows are gone for good.
        with transaction.atomic():
            listed = list(rows.all())
            present = {file.stem for file in files.stored()}
            lost = [row for row in listed if row.key not in present]
            for row in lost:
                row.delete()
            count, size_bytes = rows.count(), rows.total_bytes()
            if all:
                rows.all().delete()
            if older_than is not None:
                before = timezone.now() - timedelta(days=older_than)
                rows.filter(pinned=False, last_used_at__lt=before).delete()
            rows.beyond(max_bytes).delete()
            left_count, left_bytes = rows.count(), rows.total_bytes()
            transaction.set_rollback(dry_run)
        unfinished = list(files.leftovers())

        self._tell(_("Sentences removed"), count - left_count, size_bytes - left_bytes)
        self._tell(_("Sentences without their file, removed"), len(lost), 0)
        self._tell(_("Files without a sentence, removed"), *self._remove(orphans, dry_run))
        self._tell(_("Unfinished files, removed"), *self._remove(unfinished, dry_run))
        self._tell(_("Sentences left"), left_count, left_bytes)
        if dry_run:
            self.stdout.write(_("This was a dry run: nothing was removed."))

    def _tell(self, what: str, count: int, size_bytes: int) -> None:
        values = {"what": what, "count": count, "size": filesizeformat(size_bytes)}
        self.stdout.write(_("%(what)s: %(count)d (%(size)s)") % values)

    def _remove(self, unwanted: Sequence[Place], dry_run: bool) -> tuple[int, int]:
        """How many files, and bytes, are removed."""
        size_bytes = sum(file.stat().st_size for file in unwanted)
        if not dry_run:
            for file in unwanted:
                file.unlink(missing_ok=True)
        return len(unwanted), size_bytes
