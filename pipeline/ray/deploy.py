"""Puts the engines of the settings on the cluster."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from math import ceil
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _

from pipeline.engines import engines
from pipeline.errors import EngineUnavailable
from pipeline.ray import cluster
from pipeline.ray.client import Distant
from pipeline.ray.replica import Replica

if TYPE_CHECKING:
    from ray.serve import Application

logger = logging.getLogger(__name__)

OURS = re.compile(r"(?:stt|llm|tts)-[0-9a-f]{10}")
"""What ``client.application`` names."""

LOOK_AGAIN_S = 0.02
"""How soon a call that waits sees that a replica has become free. Serve's own half a second left
one that speaks for 0.2 s idle for half of the time."""
GRACE_S = 10.0
POLL_S = 0.5
UPSCALE_S, DOWNSCALE_S = 5.0, 300.0
"""A voice waits for no one: replicas come quickly, and leave slowly."""
LOOK_BACK_S = 15.0
TELL_S = 2.0
"""How often it is told how many wait. Serve's own ten seconds made a queue wait as long again; the
variable of the environment that is to take this option's place is not read yet (Ray 2.60)."""
HEALTH_PERIOD_S, HEALTH_TIMEOUT_S = 2.0, 10.0
STARTS = 3
"""How often a replica that cannot be built is tried before the deployment has failed."""


def distant() -> list[Distant[Any]]:
    """The engines of the settings that run on the cluster."""
    return [engine for role, _engine in engines for engine in _inside(engines[role])]


def _inside(engine: Any) -> Iterator[Distant[Any]]:
    """Those that ``engine`` wraps, itself included."""
    if isinstance(engine, Distant):
        yield engine
        return
    for inner in [getattr(engine, "engine", None), *getattr(engine, "engines", ())]:
        if inner is not None:
            yield from _inside(inner)


def options(engine: Distant[Any]) -> dict[str, Any]:
    """Of the deployment of ``engine``, as Serve has them, and as its configuration files do."""
    replicas, inner = engine.replicas, engine.engine
    environment = {
        "DJANGO_SETTINGS_MODULE": os.environ["DJANGO_SETTINGS_MODULE"],
        # Replicas that share a node share its cores.
        "VOICEBOT_THREADS": str(max(1, ceil(replicas.cpus))),
    }
    return {
        "name": engine.role,
        "max_ongoing_requests": inner.slots,
        "max_queued_requests": replicas.queue,
        "autoscaling_config": {
            "min_replicas": replicas.min,
            "max_replicas": replicas.max,
            "target_ongoing_requests": inner.slots,
            "upscale_delay_s": UPSCALE_S,
            "downscale_delay_s": DOWNSCALE_S,
            "look_back_period_s": LOOK_BACK_S,
            "metrics_interval_s": TELL_S,
        },
        "request_router_config": {
            "initial_backoff_s": LOOK_AGAIN_S,
            "backoff_multiplier": 1,
            "max_backoff_s": LOOK_AGAIN_S,
        },
        "health_check_period_s": HEALTH_PERIOD_S,
        "health_check_timeout_s": HEALTH_TIMEOUT_S,
        "graceful_shutdown_timeout_s": inner._timeout_s + GRACE_S,
        "ray_actor_options": {
            "num_cpus": replicas.cpus,
            "num_gpus": replicas.gpus,
            "runtime_env": {"env_vars": environment},
        },
    }


def application(engine: Distant[Any]) -> Application:
    """What Serve runs for ``engine``."""
    from ray import serve

    deployment = serve.deployment(Replica).options(**options(engine))
    return deployment.bind(engine.role, engine.entry)


def build(arguments: Mapping[str, str]) -> Application:
    """For configuration files of Serve: ``import_path: pipeline.ray.deploy:build``.

    ``arguments``: the name of the ``application``, which tells that the settings here are those
    that the file was written for.

    :raises ValueError: they are not.
    """
    import django

    django.setup()
    name = arguments["application"]
    for engine in distant():
        if engine.application == name:
            return application(engine)
    here = ", ".join(engine.application for engine in distant())
    raise ValueError(f"The settings describe {here or 'no engine on a cluster'}, not {name}.")


def configuration() -> dict[str, Any]:
    """A configuration file of Serve for the engines of the settings."""
    return {
        "proxy_location": "Disabled",
        "applications": [
            {
                "name": engine.application,
                "import_path": "pipeline.ray.deploy:build",
                "route_prefix": None,
                "args": {"application": engine.application},
            }
            for engine in distant()
        ],
    }


def deploy(engines: Iterable[Distant[Any]]) -> Iterator[tuple[str, str]]:
    """Put them there, beside what runs already: the name of each, and of its engine, once it runs.

    :raises EngineError: one cannot be built; the others stay.
    """
    from ray import serve
    from ray.serve import RunTarget

    cluster.connect()
    serve.start(proxy_location="Disabled")  # no port: only Django asks
    wanted = {engine.application: engine for engine in engines}
    serve.run_many(
        [RunTarget(application(engine), name, None) for name, engine in wanted.items()],
        wait_for_applications_running=False,
    )
    waiting = set(wanted)
    told_of = {""}  # as long as there is nothing to tell
    while waiting:
        told = serve.status().applications
        for name in sorted(waiting & told.keys()):
            status = told[name].status
            # Serve waits for ever where there is not what a replica is to have, and says so here.
            for message in {each.message for each in told[name].deployments.values()} - told_of:
                told_of.add(message)
                logger.warning("%s: %s", wanted[name].name, message)
            if status == "DEPLOY_FAILED":
                text = _("%(engine)s cannot be started on the cluster.")
                cause = RuntimeError(told[name].message)
                raise EngineUnavailable(text % {"engine": wanted[name].name}) from cause
            if status == "RUNNING":
                waiting.remove(name)
                yield name, wanted[name].name
        time.sleep(POLL_S)


def prune() -> Iterator[str]:
    """Take away what the settings no longer describe: the names, each once it is gone."""
    from ray import serve

    cluster.connect()
    wanted = {engine.application for engine in distant()}
    for name in sorted(serve.status().applications.keys() - wanted):
        if OURS.fullmatch(name):
            serve.delete(name)
            yield name
