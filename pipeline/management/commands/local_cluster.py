"""A cluster on this machine alone, to try what more machines would do."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from math import ceil
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from pipeline import hosts
from pipeline.ray import cluster, deploy
from pipeline.ray.client import Distant

STORE_BYTES = 500_000_000
"""Of shared memory, for what is on its way: Ray's own default is a third of the machine."""
START_S = 60.0
STOP_S = 30.0


class Command(BaseCommand):
    def add_arguments(self, parser: CommandParser) -> None:
        parser.description = _(
            "Run a cluster on this machine, with the engines of the settings, until it is stopped."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not hosts.is_loopback(cluster.host()):
            text = _(
                "VOICEBOT_RAY_ADDRESS must name an address of this machine alone: 127.0.0.2:6379"
            )
            raise CommandError(text)
        engines = deploy.distant()
        if not engines:
            raise CommandError(_("No engine of the settings runs on a cluster."))
        _make_token(settings.RAY_AUTH_TOKEN_PATH)
        # Ctrl-C is for this process alone: Ray's hangs when it is told twice to leave. There is no
        # other node that it would wait for, to take over what runs here.
        alone = os.environ | {"RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0"}
        head = subprocess.Popen(_start(_cpus(engines)), env=alone, start_new_session=True)
        try:
            self._wait(head)
            call_command("deploy_engines", stdout=self.stdout)
            line = f"VOICEBOT_RAY_ADDRESS={settings.VOICEBOT_RAY_ADDRESS} make run"
            self.stdout.write(
                _("The cluster is ready. In another terminal: %(line)s") % {"line": line}
            )
            with contextlib.suppress(KeyboardInterrupt):
                head.wait()
        finally:
            _stop(head)

    def _wait(self, head: subprocess.Popen[bytes]) -> None:
        give_up = time.monotonic() + START_S
        while cluster.missing():
            if head.poll() is not None or time.monotonic() > give_up:
                raise CommandError(_("The cluster does not start."))
            time.sleep(0.5)


def _cpus(engines: Iterable[Distant[Any]]) -> int:
    """As many as all replicas are to have, though there be fewer: on one machine stages take turns,
    and a replica without its share would be waited for in vain."""
    shares = sum(engine.replicas.max * engine.replicas.cpus for engine in engines)
    return max(os.cpu_count() or 1, ceil(shares))


def _start(cpus: int) -> list[str]:
    """The command that runs the head until it is terminated."""
    host, _colon, port = settings.VOICEBOT_RAY_ADDRESS.rpartition(":")
    return [
        *(sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"),
        *("--node-ip-address", host, "--port", port),
        *("--dashboard-host", "127.0.0.1", "--disable-usage-stats"),
        *("--num-cpus", str(cpus), "--object-store-memory", str(STORE_BYTES)),
    ]


def _stop(head: subprocess.Popen[bytes]) -> None:
    """With all that it has started."""
    head.terminate()
    try:
        head.wait(STOP_S)
    except subprocess.TimeoutExpired:
        os.killpg(head.pid, signal.SIGKILL)
        head.wait()


def _make_token(path: Path) -> None:
    """Whoever does not know it is not answered by the cluster."""
    with contextlib.suppress(FileExistsError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32))
