#!/usr/bin/env python
"""The command line: ``python manage.py help``."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voicebot.settings")
    try:
        from django.core.management import execute_from_command_line
    except ImportError as exc:
        raise SystemExit(
            "Django is not installed in this Python. Run `pip install -r requirements.txt` "
            "in a virtual environment, or simply `make run`."
        ) from exc
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
