"""What was heard and what was replied, remembered for a while.

In memory, unlike speech: it is what somebody said, so nothing of it is on the disk, it is forgotten
after ``VOICEBOT_MEMORY_S``, and one tenant is never answered from the memory of another. It is
Django's cache ``memory``: processes that are to share it share that.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.cache import caches

from pipeline import tenants

logger = logging.getLogger(__name__)


def on() -> bool:
    return bool(settings.VOICEBOT_MEMORY_S)


def key(stage: str, engine: Mapping[str, object], identity: Mapping[str, str], asked: Any) -> str:
    """The address of what ``engine`` (an entry of ``ENGINES``) gives to ``asked``, for this tenant.

    ``asked`` is made of what JSON can hold.
    """
    ingredients = [stage, tenants.current(), engine, dict(identity), asked]
    return hashlib.sha256(json.dumps(ingredients, sort_keys=True).encode("ascii")).hexdigest()


def recall(key: str) -> Any | None:
    """What was kept; None when nothing was, or when the memory fails, which costs a warning."""
    try:
        return caches["memory"].get(key)
    except Exception as exc:  # each backend has its own
        logger.warning("The memory fails: %s", exc)
        return None


def keep(key: str, value: Any) -> None:
    try:
        caches["memory"].set(key, value)
    except Exception as exc:
        logger.warning("The memory fails: %s", exc)
