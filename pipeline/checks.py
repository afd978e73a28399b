"""System checks: a wrong ``ENGINES`` setting stops the start, not the first user.

======================  ===========================================================
``pipeline.E001``       an entry is malformed, not importable, or has a wrong option
``pipeline.E002``       an engine would send data out while ``VOICEBOT_OFFLINE`` is on
``pipeline.E003``       ``VOICEBOT_LANGUAGE`` is spoken by no voice
``pipeline.E004``       traces are asked for, and their packages are not here
``pipeline.E005``       traces would leave the house while ``VOICEBOT_OFFLINE`` is on
``pipeline.E006``       a turn may wait as long as it may take at all
``pipeline.W001``       weights or a package are not here yet (servers refuse to start)
======================  ===========================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register
from django.utils.translation import gettext as _

from pipeline import hosts, tracing
from pipeline.engines import ROLES, engines
from pipeline.errors import InvalidEngineError
from pipeline.tts.base import TextToSpeech


@register("pipeline")
def check_engines(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    messages: list[CheckMessage] = []
    if unknown := set(settings.ENGINES) - set(ROLES):
        messages.append(
            Error(f"ENGINES has unknown roles: {', '.join(sorted(unknown))}.", id="pipeline.E001")
        )
    for role in ROLES:
        try:
            engine = engines[role]
        except InvalidEngineError as exc:
            messages.append(Error(str(exc), id="pipeline.E001"))
            continue
        if engine.outbound and settings.VOICEBOT_OFFLINE:
            messages.append(
                Error(
                    f"ENGINES[{role!r}]: "
                    + _("%(engine)s sends data to an outside service, and outbound traffic is off.")
                    % {"engine": engine.name},
                    hint=_("Set VOICEBOT_OFFLINE=0 to allow it, or choose a local engine."),
                    id="pipeline.E002",
                )
            )
        if isinstance(engine, TextToSpeech):
            messages += _check_language(engine)
        if missing := engine.missing():
            messages.append(Warning(f"ENGINES[{role!r}]: {missing}", id="pipeline.W001"))
    return messages


def _check_language(engine: TextToSpeech) -> list[CheckMessage]:
    if settings.VOICEBOT_LANGUAGE in engine.languages:
        return []
    return [
        Error(
            _("%(setting)s is spoken by no voice of %(engine)s.")
            % {
                "setting": f"VOICEBOT_LANGUAGE={settings.VOICEBOT_LANGUAGE!r}",
                "engine": engine.name,
            },
            hint=_("Its languages are: %(languages)s.")
            % {"languages": ", ".join(engine.languages)},
            id="pipeline.E003",
        )
    ]


@register("pipeline")
def check_traces(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    endpoint = settings.TRACES_ENDPOINT
    if not endpoint:
        return []
    if packages := tracing.missing():
        return [
            Error(
                _(
                    "OTEL_EXPORTER_OTLP_ENDPOINT asks for traces, which need packages that are not "
                    "here."
                ),
                hint=f"pip install {' '.join(packages)} -c requirements.txt",
                id="pipeline.E004",
            )
        ]
    try:
        host = hosts.host_of(endpoint)
    except ValueError as exc:
        text = _("OTEL_EXPORTER_OTLP_ENDPOINT cannot be used: %(reason)s.") % {"reason": exc}
        return [Error(text, id="pipeline.E005")]
    if hosts.is_outside(host) and settings.VOICEBOT_OFFLINE:
        return [
            Error(
                _(
                    "OTEL_EXPORTER_OTLP_ENDPOINT: traces would be sent to %(host)s, and outbound "
                    "traffic is off."
                )
                % {"host": host},
                hint=_(
                    "Name the host in VOICEBOT_OWN_HOSTS if it is yours, or set VOICEBOT_OFFLINE=0."
                ),
                id="pipeline.E005",
            )
        ]
    return []


@register("pipeline")
def check_waits(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    if settings.VOICEBOT_MAX_WAIT_S < settings.VOICEBOT_MAX_TURN_S:
        return []
    return [
        Error(
            f"VOICEBOT_MAX_WAIT_S={settings.VOICEBOT_MAX_WAIT_S} leaves nothing of the "
            f"{settings.VOICEBOT_MAX_TURN_S} s that a turn may take.",
            hint="Lower it, or raise VOICEBOT_MAX_TURN_S.",
            id="pipeline.E006",
        )
    ]
