"""``manage.py runserver``, which brings all it needs before it serves."""

from __future__ import annotations

import os
from typing import Any

from django.contrib.staticfiles.management.commands.runserver import Command as Runserver
from django.core import checks
from django.core.management import CommandError, call_command


class Command(Runserver):
    def inner_run(self, *args: Any, **options: Any) -> None:
        """Runs in the process that serves, not in the one that watches the files."""
        try:
            # What the checks miss is what there is to fetch: fakes miss nothing.
            if _missing():
                call_command("fetch_weights", profile=True)  # what the engines in use need
            if missing := _missing():
                raise CommandError("\n".join(missing))
            call_command("migrate", interactive=False, verbosity=0)
        except CommandError as exc:
            self.stdout.flush()
            self.stderr.write(str(exc))
            # Under the autoreloader this is a thread, in which sys.exit ends nothing.
            os._exit(exc.returncode)
        super().inner_run(*args, **options)


def _missing() -> list[str]:
    return [str(m.msg) for m in checks.run_checks(tags=["pipeline"]) if m.id == "pipeline.W001"]
