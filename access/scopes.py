"""What a key is for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

TALK: Final = "talk"
CONVERSATIONS: Final = "conversations"
METRICS: Final = "metrics"

SCOPES: Mapping[str, str | Promise] = {
    TALK: _("Turns, transcripts, replies and speech"),
    CONVERSATIONS: _("Conversations: read, go on with, delete"),
    METRICS: _("Metrics"),
}
"""Name → what it opens."""

USUAL: Final = (TALK, CONVERSATIONS)
"""Those of a key made without saying which."""


def usual() -> list[str]:
    return list(USUAL)
