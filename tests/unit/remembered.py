"""What the tests of the history share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, cast

import numpy as np
from django.utils import timezone

from cache.models import CachedSpeech
from cache.tts import CachedTextToSpeech
from history.models import Conversation, Turn
from history.recording import Recording
from pipeline.audio import SAMPLE_RATE, Audio
from pipeline.engines import engines
from pipeline.errors import PipelineError
from pipeline.llm.fake import Fake as FakeLanguageModel
from pipeline.stt.fake import Fake as FakeSpeechToText
from pipeline.tts.fake import Fake as FakeTextToSpeech

UTTERANCE = Audio(np.full(SAMPLE_RATE // 2, 0.5, np.float32), SAMPLE_RATE)


def stt() -> FakeSpeechToText:
    return cast("FakeSpeechToText", engines.stt)


def llm() -> FakeLanguageModel:
    return cast("FakeLanguageModel", engines.llm)


def tts() -> FakeTextToSpeech:
    return cast("FakeTextToSpeech", cast("CachedTextToSpeech", engines.tts).engine)


def converse(
    conversation: Conversation | None = None,
    heard: str = "Quelle heure est-il ?",
    reply: str | Exception = "Il est midi. Bon appétit !",
    **wishes: Any,
) -> Turn:
    """A turn that is taken and kept."""
    stt().script.enqueue(heard)
    llm().script.enqueue(reply)
    recording = Recording("request")
    recording.begin(conversation=conversation, upload_bytes=7, options=wishes)
    try:
        for _event in recording.take(UTTERANCE, **wishes):
            pass
    except PipelineError as exc:
        recording.keep(502, exc.code)
    assert recording.row is not None
    return recording.row


@contextmanager
def days_ago(days: float) -> Iterator[None]:
    """What is kept within was kept so long ago."""
    turns = set(Turn.objects.values_list("pk", flat=True))
    conversations = set(Conversation.objects.values_list("pk", flat=True))
    begun = timezone.now()
    yield
    then = timezone.now() - timedelta(days=days)
    Turn.objects.exclude(pk__in=turns).update(created_at=then, said_at=then)
    made = Conversation.objects.exclude(pk__in=conversations)
    made.update(created_at=then, last_used_at=then)
    CachedSpeech.objects.filter(last_used_at__gte=begun).update(last_used_at=then)
