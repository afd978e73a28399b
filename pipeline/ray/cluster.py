"""This process's connection to the cluster, and its way to each deployment."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from functools import cache
from typing import TYPE_CHECKING

from django.conf import settings
from django.utils.translation import gettext as _

from pipeline.errors import EngineUnavailable

if TYPE_CHECKING:
    from ray.serve.handle import DeploymentHandle

logger = logging.getLogger(__name__)

CONNECT_S = 5.0

_lock = threading.Lock()


def host() -> str:
    """Of the cluster's head."""
    return str(settings.VOICEBOT_RAY_ADDRESS.rpartition(":")[0])


def missing() -> str | None:
    """Why nobody answers at the cluster's address, found cheaply; else None.

    Ray itself would try for minutes.
    """
    address = settings.VOICEBOT_RAY_ADDRESS
    if not address:
        return _("VOICEBOT_RAY_ADDRESS names no cluster.")
    name, _colon, port = address.rpartition(":")
    try:
        socket.create_connection((name.strip("[]"), int(port)), CONNECT_S).close()
    except (OSError, ValueError):
        return _("No cluster answers at %(address)s.") % {"address": address}
    return None


def connect() -> None:
    """Join the cluster, once for the whole process.

    A node of it must run on this machine: one that offers nothing (``ray start --num-cpus=0``)
    will do.

    :raises EngineUnavailable: it cannot be joined.
    """
    import ray

    with _lock:
        if ray.is_initialized():
            return
        if problem := missing():
            raise EngineUnavailable(problem)
        try:
            ray.init(
                settings.VOICEBOT_RAY_ADDRESS,
                namespace="serve",
                log_to_driver=False,
                configure_logging=False,
            )
        except (ConnectionError, RuntimeError, ValueError) as exc:
            text = _("The cluster at %(address)s cannot be joined.")
            raise EngineUnavailable(text % {"address": settings.VOICEBOT_RAY_ADDRESS}) from exc
        logger.info("Joined the cluster at %s", settings.VOICEBOT_RAY_ADDRESS)


def handle(application: str) -> DeploymentHandle:
    """Of the deployment that ``application`` consists of.

    :raises EngineUnavailable: it is not on the cluster.
    """
    from ray import serve
    from ray.serve.exceptions import RayServeException

    connect()
    try:
        return serve.get_app_handle(application)
    except RayServeException as exc:
        text = _("The cluster does not run %(application)s: see `manage.py deploy_engines`.")
        raise EngineUnavailable(text % {"application": application}) from exc


@cache
def loop() -> asyncio.AbstractEventLoop:
    """Where answers are awaited, for all threads of the process."""
    running = asyncio.new_event_loop()
    threading.Thread(target=running.run_forever, name="cluster", daemon=True).start()
    return running
