"""``manage.py revoke_key``: from now on the key opens nothing."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _

from access.models import ApiKey


class Command(BaseCommand):
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.description = _("Revoke an API key, for good. What was kept for it stays.")
        parser.add_argument("name", help=_("who or what has it"))

    def handle(self, *, name: str, **_options: Any) -> None:
        key = ApiKey.objects.filter(name=name).first()
        if key is None:
            names = ", ".join(ApiKey.objects.values_list("name", flat=True)) or _("none")
            text = _("There is no key “%(name)s”. The keys are: %(names)s.")
            raise CommandError(text % {"name": name, "names": names})
        key.revoke()
        self.stdout.write(_("The key of %(name)s opens nothing any more.") % {"name": name})
