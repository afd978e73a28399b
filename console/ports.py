"""Whether a server could listen at a port of this machine."""

from __future__ import annotations

import errno
import socket
from argparse import ArgumentTypeError
from http.client import HTTPConnection, HTTPException
from typing import Final

from django.utils.translation import gettext as _

ASK_S: Final = 2.0


def number(text: str) -> int:
    """Of a port, as a command is given it."""
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65_536):
        raise ArgumentTypeError(_("a port is a number from 1 to 65535, not %r") % text)
    return int(text)


def obstacle(host: str, port: int) -> str:
    """Why no server can listen there; empty: one can."""
    values: dict[str, object] = {"host": host, "port": port}
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as a server does
            trial.bind((host, port))
    except PermissionError:
        return _("only root may serve on port %(port)d") % values
    except OSError as exc:
        if exc.errno == errno.EADDRINUSE:
            return _("another program has port %(port)d") % values
        values["reason"] = exc.strerror
        return _("%(host)s:%(port)d cannot be had: %(reason)s") % values
    return ""


def another(port: int) -> str:
    """The command that serves on another one."""
    return f"PORT={port + 1 if 1024 <= port < 65_535 else 8000} make run"


def is_voicebots(host: str, port: int) -> bool:
    wildcard = host in ("0.0.0.0", "::")
    client = HTTPConnection("127.0.0.1" if wildcard else host, port, ASK_S)
    try:
        client.request("GET", "/api/health/live")
        return client.getresponse().read(100) in (b'{"status":"live"}', b'{"status": "live"}')
    except (OSError, HTTPException):
        return False
    finally:
        client.close()
