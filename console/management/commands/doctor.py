"""``manage.py doctor``: what is missing, and what mends it."""

from __future__ import annotations

from argparse import ArgumentParser
from collections import Counter
from typing import Any, Final

from django.core.management.base import BaseCommand
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from console import ports
from console.diagnosis import Finding, Level, examine

COLUMNS: Final = 12


class Command(BaseCommand):
    requires_system_checks = []  # they are told as part of all the rest

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.description = _(
            "Look at the settings and the machine: what is missing, and what mends it. Ends with 1 "
            "where something keeps the service from working."
        )
        parser.add_argument(
            "--port",
            type=ports.number,
            default=8000,
            help=_("the server's (default: %(default)s)"),
        )

    def handle(self, *, port: int, **_options: Any) -> None:
        found: Counter[Level] = Counter()
        for finding in examine(port):
            found[finding.level] += 1
            self._tell(finding)
        problems, warnings = found["problem"], found["warning"]
        if not problems:
            text = _("Nothing keeps it from working.")
            if warnings:
                more = ngettext("%(count)d warning.", "%(count)d warnings.", warnings)
                text += " " + more % {"count": warnings}
            self.stdout.write(self.style.SUCCESS(text))
            return
        text = ngettext("%(count)d problem.", "%(count)d problems.", problems)
        self.stdout.write(self.style.ERROR(text % {"count": problems}))
        raise SystemExit(1)

    def _tell(self, finding: Finding) -> None:
        word, style = {
            "ok": (_("ok"), self.style.SUCCESS),
            "warning": (_("warning"), self.style.WARNING),
            "problem": (_("problem"), self.style.ERROR),
        }[finding.level]
        first, *others = [
            *finding.text.splitlines(),
            *(f"→ {m}" for m in finding.mend.splitlines()),
        ]
        head = f"{word.ljust(COLUMNS)}{finding.subject.ljust(COLUMNS)} "
        self.stdout.write(head.replace(word, style(word), 1) + first)
        for line in others:
            self.stdout.write(" " * (2 * COLUMNS + 1) + line)
