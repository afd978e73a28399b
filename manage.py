#!/usr/bin/env python
"""The command line: ``python manage.py help``."""

import os
import signal
import sys


def main() -> None:
    if sys.version_info < (3, 11):  # noqa: UP036 - it is what tells them
        raise SystemExit(f"Python 3.11 or newer is needed, not {sys.version}.")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voicebot.settings")
    try:
        from django.core.exceptions import ImproperlyConfigured

        from voicebot.terminal import CommandLine
    except ImportError as exc:
        raise SystemExit(
            "Django is not installed in this Python. Run `pip install -r requirements.txt` "
            "in a virtual environment, or simply `make run`."
        ) from exc
    try:
        try:
            CommandLine(sys.argv).execute()
        finally:
            sys.stdout.flush()  # what is left: here, where it may fail
    except ImproperlyConfigured as exc:
        raise SystemExit(str(exc)) from None  # what it says is all there is to know
    except KeyboardInterrupt:
        raise SystemExit(128 + signal.SIGINT) from None  # who presses Ctrl-C knows why it ends
    except BrokenPipeError:
        # Who reads has enough, as `head` has after ten lines: that is no news.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(128 + signal.SIGPIPE) from None  # as of a program that it ends


if __name__ == "__main__":
    main()
