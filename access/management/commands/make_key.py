"""``manage.py make_key``: a key for who or what is to be let in, told once."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.utils import timezone
from django.utils.translation import gettext as _

from access.models import ApiKey
from access.scopes import SCOPES, USUAL


class Command(BaseCommand):
    requires_system_checks = []  # weights that are missing are no matter here

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.description = _("Make an API key. It is told once: what is kept cannot be used.")
        parser.add_argument("name", help=_("who or what has it"))
        parser.add_argument(
            "--scope",
            dest="scopes",
            action="append",
            choices=SCOPES,
            help=_("what it is for, once for each (default: %(usual)s)")
            % {"usual": ", ".join(USUAL)},
        )
        parser.add_argument("--days", type=int, help=_("how long it opens (default: for ever)"))
        parser.add_argument(
            "--tenant", default="", help=_("whose data it is (default: as the name)")
        )
        parser.add_argument(
            "--per-minute", type=int, help=_("requests it may make (default: as the settings say)")
        )

    def handle(
        self,
        *,
        name: str,
        scopes: list[str] | None,
        days: int | None,
        tenant: str,
        per_minute: int | None,
        **_options: Any,
    ) -> None:
        if days is not None and days < 1:
            raise CommandError(_("A key opens for a day at least."))
        if ApiKey._meta.db_table not in connection.introspection.table_names():
            # A server that needs a key refuses to start: this comes before it.
            call_command("migrate", interactive=False, verbosity=0)
        try:
            key = ApiKey.objects.make(
                name,
                tenant=tenant,
                scopes=scopes,
                expires_at=None if days is None else timezone.now() + timedelta(days=days),
                per_minute=per_minute,
            )
        except (ValidationError, OverflowError) as exc:
            raise CommandError("\n".join(getattr(exc, "messages", [str(exc)]))) from exc
        # The key alone on the standard output: a script can keep it.
        values = {"name": key.name, "scopes": ", ".join(key.scopes)}
        self.stderr.write(_("The key of %(name)s (%(scopes)s), told this once:") % values)
        self.stdout.write(key.text)
