"""What cached speech was the answer to."""

from __future__ import annotations

from typing import Final

from django import template
from django.db.models import QuerySet

from cache.models import CachedSpeech
from history.models import Turn

register = template.Library()

LATEST: Final = 10


@register.filter
def answered(speech: CachedSpeech) -> QuerySet[Turn]:
    """The latest turns in which it was said, as far as they are kept."""
    said = Turn.objects.filter(sentences__key=speech.key).distinct()
    return said.order_by("-created_at")[:LATEST]
