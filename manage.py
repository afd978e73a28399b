#!/usr/bin/env python
"""The command line: ``python manage.py help``."""

import os
import sys


def main() -> None:
    if sys.version_info < (3, 11):  # noqa: UP036 - it is what tells them
        raise SystemExit(f"Python 3.11 or newer is needed, not {sys.version}.")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voicebot.settings")
    try:
        from django.core.exceptions import ImproperlyConfigured
        from django.core.management import execute_from_command_line
    except ImportError as exc:
        raise SystemExit(
            "Django is not installed in this Python. Run `pip install -r requirements.txt` "
            "in a virtual environment, or simply `make run`."
        ) from exc
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as exc:
        raise SystemExit(str(exc)) from None  # what it says is all there is to know


if __name__ == "__main__":
    main()
