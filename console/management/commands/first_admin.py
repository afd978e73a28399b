"""``manage.py first_admin``: the account of whoever runs the service, and where the admin is."""

from __future__ import annotations

import getpass
import secrets
import sys
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _

NAME = "admin"


class Command(BaseCommand):
    requires_system_checks = []  # weights that are missing are no matter here

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.description = _("Make the account of the operator, and tell where the admin is.")
        parser.add_argument(
            "--address",
            default="http://127.0.0.1:8000/admin/",
            help=_("of the admin, to be told (default: %(default)s)"),
        )
        parser.add_argument(
            "--if-none",
            action="store_true",
            help=_("only at a terminal, and where there is no account yet; else do nothing"),
        )

    def handle(self, *, address: str, if_none: bool, **_options: Any) -> None:
        names = list(
            User.objects.filter(is_superuser=True, is_active=True).values_list(
                "username", flat=True
            )
        )
        at_terminal = sys.stdin.isatty()
        if if_none and (names or not at_terminal):
            return
        if names:
            text = _("Forgot the password? python manage.py changepassword %(name)s")
            self.stdout.write(text % {"name": names[0]})
        else:
            user = self._ask() if at_terminal else self._make()
            if user is None:
                self.stdout.write(_("No account was made. “make admin” makes one."))
                return
            names = [user.username]
        values = {"address": address, "names": ", ".join(names)}
        self.stdout.write(_("The admin is at %(address)s, for %(names)s.") % values)

    def _ask(self) -> User | None:
        """None when there is to be none now."""
        self.stdout.write(_("The admin needs an account. Enter alone goes on without one."))
        try:
            while (name := input(_("Name: ")).strip()) and _taken(name):
                self.stdout.write(_taken(name))
            if not name:
                return None
            while True:
                password = getpass.getpass(_("Password: "))
                if not password:
                    return None
                try:
                    validate_password(password, User(username=name))
                except ValidationError as exc:
                    self.stdout.write("\n".join(exc.messages))
                    continue
                if getpass.getpass(_("Again: ")) == password:
                    return User.objects.create_superuser(name, password=password)
                self.stdout.write(_("The two differ."))
        except (EOFError, KeyboardInterrupt):
            self.stdout.write("")
            return None

    def _make(self) -> User:
        """Nobody is there to be asked: the password is told, once."""
        if _taken(NAME):
            raise CommandError(_taken(NAME))
        password = secrets.token_urlsafe(12)
        user = User.objects.create_superuser(NAME, password=password)
        values = {"name": NAME, "password": password}
        self.stdout.write(_("Account %(name)s, password %(password)s: note it down.") % values)
        return user


def _taken(name: str) -> str:
    """Why there cannot be an account of that name; empty when there can."""
    if User.objects.filter(username=name).exists():
        return _("There is an account %(name)s that may not do everything.") % {"name": name}
    try:
        User._meta.get_field("username").run_validators(name)
    except ValidationError as exc:
        return " ".join(exc.messages)
    return ""
