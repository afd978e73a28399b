"""System checks: a store of speech that leaves the house, or that cannot be used.

=================  ==================================================================
``cache.E001``     speech would leave the house while ``VOICEBOT_OFFLINE`` is on
``cache.W001``     the store cannot be written and read (servers refuse to start)
=================  ==================================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from files import store
from pipeline import hosts

DEFAULT_URL: Final = "https://s3.amazonaws.com"
"""Of a store whose address is not told."""


@register("cache")
def check_store(
    app_configs: Sequence[Any] | None, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """It is asked only where the database may be."""
    if not store.is_bucket():
        return []
    url = settings.STORAGES[store.ALIAS]["OPTIONS"].get("endpoint_url") or DEFAULT_URL
    try:
        host = hosts.host_of(url)
    except ValueError as exc:
        return [Error(f"VOICEBOT_SPEECH_STORE cannot be used: {exc}.", id="cache.E001")]
    if hosts.is_outside(host) and settings.VOICEBOT_OFFLINE:
        return [
            Error(
                f"VOICEBOT_SPEECH_STORE: speech would be kept at {host}, and outbound traffic is "
                "off.",
                hint="Name the host in VOICEBOT_OWN_HOSTS if it is yours, or set "
                "VOICEBOT_OFFLINE=0.",
                id="cache.E001",
            )
        ]
    if not databases:
        return []
    try:
        store.try_out()
    except (OSError, ValueError) as exc:
        return [
            Warning(
                f"VOICEBOT_SPEECH_STORE cannot be used: {exc}.",
                hint="There must be such a bucket, and AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY must be let read, write, list and delete in it.",
                id="cache.W001",
            )
        ]
    return []
