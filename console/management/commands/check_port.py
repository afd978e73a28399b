"""``manage.py check_port``: before a server loads its engines, whether it will have its port."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils.translation import gettext as _

from console import ports


class Command(BaseCommand):
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.description = _("End with 1, and say why, where no server can listen at a port.")
        parser.add_argument("port", type=ports.number)

    def handle(self, *, port: int, **_options: Any) -> None:
        host = settings.VOICEBOT_HOST
        if reason := ports.obstacle(host, port):
            if ports.is_voicebots(host, port):
                reason = _("voicebot serves on port %(port)d already") % {"port": port}
            text = _("It cannot be served: %(reason)s. Take another port: %(command)s")
            raise SystemExit(text % {"reason": reason, "command": ports.another(port)})
