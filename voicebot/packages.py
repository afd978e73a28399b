"""``python -m voicebot.packages``: pip's ``install``, told in one line that moves.

For the Makefile, before anything is installed: the standard library alone. Where nobody looks on,
pip is quiet; its errors go through in either case.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

INTERRUPTED: Final = 130  # what a shell gives a program that Ctrl-C ended
CLEAR: Final = "\r\033[K"


def install(arguments: Sequence[str]) -> int:
    """pip's exit status."""
    pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", *arguments]
    if not sys.stdout.isatty():
        return subprocess.run([*pip, "--quiet"], check=False).returncode
    command = [*pip, "--progress-bar", "off"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        for told in progress(running.stdout):
            sys.stdout.write(CLEAR + told[: shutil.get_terminal_size().columns - 1])
            sys.stdout.flush()
    sys.stdout.write(CLEAR)
    return running.returncode


def progress(lines: Iterable[str]) -> Iterator[str]:
    """What is to be shown, of what pip says."""
    count = 0
    for line in lines:
        if found := re.match(r" *(?:Downloading|Using cached) (\S+) \((.+)\)", line):
            count += 1
            name = found[1].rpartition("/")[2].partition("-")[0]
            yield f"  {count}: {name} ({found[2]})"
        elif found := re.match(r"Installing collected packages: (.+)", line):
            yield f"  unpacking {len(found[1].split(', '))} packages"


if __name__ == "__main__":
    try:
        status = install(sys.argv[1:])
    except KeyboardInterrupt:
        status = INTERRUPTED
    sys.exit(status)
