"""System checks: nobody could get in, or anybody could.

==================  ==================================================================
``access.W001``     keys are needed and there is none (servers refuse to start)
``access.W002``     whoever reaches the port may ask (``check --deploy``)
==================  ==================================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Warning, register
from django.db import DatabaseError
from django.utils.translation import gettext as _

from access.models import ApiKey


@register("access")
def check_keys(
    app_configs: Sequence[Any] | None, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Only where the database may be asked."""
    if settings.VOICEBOT_KEYS != "always" or not databases or _usable():
        return []
    return [
        Warning(
            _("Whoever asks needs a key, and there is none."),
            hint=_(
                "Make one: python manage.py make_key NAME. Keys are needed because VOICEBOT_KEYS "
                "says so, or because VOICEBOT_HOST or VOICEBOT_ALLOWED_HOSTS names more than this "
                "machine."
            ),
            id="access.W001",
        )
    ]


def _usable() -> bool:
    try:
        return ApiKey.objects.usable().exists()
    except DatabaseError:  # not migrated yet
        return False


@register("access", deploy=True)
def check_open(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    if settings.VOICEBOT_KEYS != "never":
        return []
    return [
        Warning(
            _("VOICEBOT_KEYS=never: whoever reaches the port may ask, and reads what others said."),
            id="access.W002",
        )
    ]
