"""A program that takes its own rights away and tells what it then cannot do: see test_decoding.

``python -m tests.processes.confined confine|limit|burn PORT``
"""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from pipeline.decoding import confinement

MEMORY_BYTES = 50_000_000


def outcome(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except OSError as exc:
        return errno.errorcode[exc.errno or 0]
    except Exception as exc:
        return type(exc).__name__
    return "done"


def connect(port: int) -> None:
    with socket.socket() as client:
        client.settimeout(5)
        client.connect(("127.0.0.1", port))


def send_datagram(port: int) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        client.sendto(b"hello", ("127.0.0.1", port))


def confine(port: int) -> dict[str, object]:
    subprocess.run(["/bin/true"], check=True)  # it could
    connect(port)
    return {"had": list(confinement.confine())} | {
        name: outcome(attempt)
        for name, attempt in {
            "read": lambda: Path(sys.executable).read_bytes(),
            "list": lambda: list(Path("/").iterdir()),
            "write": lambda: Path("here").write_text("hello"),
            "write_elsewhere": lambda: Path(tempfile.gettempdir(), "voicebot-x").write_text("x"),
            "execute": lambda: os.execv("/bin/true", ["true"]),
            "connect": lambda: connect(port),
            "datagram": lambda: send_datagram(port),
            "signal": lambda: os.kill(os.getppid(), 0),
        }.items()
    }


def limit() -> dict[str, object]:
    descriptor, path = tempfile.mkstemp()
    Path(path).unlink()
    held = confinement.address_space_bytes()
    confinement.limit(60, held + MEMORY_BYTES, descriptor + 1)
    return {
        "file": outcome(lambda: Path(os.devnull).read_bytes()),
        "socket": outcome(socket.socket),
        "write": outcome(lambda: os.write(descriptor, b"hello")),
        "little memory": outcome(lambda: bytearray(MEMORY_BYTES // 2)),
        "much memory": outcome(lambda: bytearray(MEMORY_BYTES * 2)),
    }


def burn() -> None:
    """Works on, whatever the clock says."""
    confinement.limit(0.5, 1 << 40, 3)
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    while True:
        pass


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["confine", port]:
            sys.stdout.write(json.dumps(confine(int(port))))
        case ["limit"]:
            sys.stdout.write(json.dumps(limit()))
        case ["burn"]:
            burn()
