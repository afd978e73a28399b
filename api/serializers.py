"""What is read from requests, and what is written to JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.reverse import reverse

from api.exceptions import UploadTooLarge
from api.middleware import META
from history import models as history
from history.models import Conversation
from history.recording import Recording
from jobs.models import Job
from jobs.models import Segment as JobSegment
from pipeline import provenance
from pipeline.engines import engines
from pipeline.stt.base import Segment, Transcript
from pipeline.tts.base import MAX_SPEED, MIN_SPEED, Speech, Voice
from pipeline.turn import Times

DETECTED = "auto"

MAX_SENTENCES = 50
"""In one speech address: 3 KB, which every server and proxy takes."""

KEYS = rf"[0-9a-f]{{64}}(?:\+[0-9a-f]{{64}}){{0,{MAX_SENTENCES - 1}}}"
"""Addresses of cached sentences, in the order they are spoken, joined by ``+``."""


AUDIO_MESSAGES: dict[str, Any] = {
    "required": _("Send the recording as a file in the field “audio”."),
    "invalid": _("The field “audio” must be a file, not text."),
    "empty": _("The recording is empty."),
}

_SPEEDS = format_lazy(
    _("“speed” is a number from {slowest} to {quickest}, such as 1.25."),
    slowest=MIN_SPEED,
    quickest=MAX_SPEED,
)


class SpeedField(serializers.FloatField):
    """The pace of speech, as all voices can keep it."""

    def __init__(self, **options: Any) -> None:
        messages = dict.fromkeys(("invalid", "min_value", "max_value"), _SPEEDS)
        super().__init__(
            min_value=MIN_SPEED, max_value=MAX_SPEED, error_messages=messages, **options
        )


def primary_language(tag: str) -> str:
    """The language of a BCP 47 tag: ``fr`` of ``fr-FR``, whatever its case."""
    return tag.strip().lower().replace("_", "-").partition("-")[0]


class Wishes(serializers.Serializer[None]):
    """What may be asked for in the form, in the address or in ``Accept``."""

    stream = serializers.BooleanField(
        default=False,
        help_text="The answer is sent while it is made.",
        error_messages={"invalid": _("“stream” is “true” or “false”.")},
    )
    cache = serializers.ChoiceField(
        choices=["on", "off"],
        default="on",
        help_text="`off`: nothing of this turn is kept, nor taken from what was kept.",
        error_messages={"invalid_choice": _("“cache” is “on” or “off”.")},
    )


class Question(Wishes):
    """A spoken question, as a form."""

    audio = serializers.FileField(
        help_text="WebM, Ogg, MP4, MP3, AAC, FLAC or WAV.",
        error_messages=AUDIO_MESSAGES,
    )
    language = serializers.CharField(
        allow_blank=True,
        default="",
        help_text="`fr`, `en`, …, or `auto` to detect it; else that of the voice, else a setting.",
    )
    voice = serializers.CharField(
        allow_blank=True, default="", help_text="An id of `GET /api/voices/`."
    )
    speed = SpeedField(default=1.0, help_text="Pace of the speech; 1 is the voice's own.")
    conversation = serializers.CharField(
        allow_blank=True,
        default="",
        help_text="The id of a conversation, whose turns the reply knows and which it joins.",
    )
    job = serializers.BooleanField(
        default=True,
        help_text="A recording that is too long for a turn becomes a job; `false`: is refused.",
        error_messages={"invalid": _("“job” is “true” or “false”.")},
    )

    def validate_audio(self, audio: UploadedFile) -> UploadedFile:
        if (audio.size or 0) > settings.VOICEBOT_MAX_UPLOAD_BYTES:
            raise UploadTooLarge
        return audio

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """``voice`` None is the default one, ``language`` None is to be detected.

        A conversation, of those of the ``tenant`` in the context, has its own of both.

        :raises ConversationNotFound: there is none of that id.
        """
        conversation = None
        if attrs["conversation"]:
            conversation = Conversation.objects.find(
                attrs["conversation"], tenant=self.context.get("tenant", "")
            )
        voice = attrs["voice"] or (conversation and conversation.voice) or None
        language = primary_language(attrs["language"]) or (conversation and conversation.language)
        if not language:
            language = (
                engines.tts.choose_voice(voice).language if voice else settings.VOICEBOT_LANGUAGE
            )
        return {
            **attrs,
            "conversation": conversation,
            "voice": voice,
            "language": None if language == DETECTED else language,
        }


class LongRecording(serializers.Serializer[None]):
    """A recording to make a job of, as a form."""

    audio = serializers.FileField(
        help_text="WebM, Ogg, MP4, MP3, AAC, FLAC or WAV.", error_messages=AUDIO_MESSAGES
    )
    language = serializers.CharField(
        allow_blank=True,
        default="",
        max_length=16,
        help_text="`fr`, `en`, …, or `auto` to detect it; else a setting.",
    )
    task = serializers.ChoiceField(
        choices=["transcribe", "translate"],
        default="transcribe",
        help_text="`translate`: into English, where the weights can.",
    )
    prompt = serializers.CharField(
        allow_blank=True,
        default="",
        max_length=1_000,
        help_text="Text that may have come before: names, spelling, punctuation.",
    )

    def validate_audio(self, audio: UploadedFile) -> UploadedFile:
        if (audio.size or 0) > settings.VOICEBOT_MAX_JOB_BYTES:
            raise UploadTooLarge(settings.VOICEBOT_MAX_JOB_BYTES)
        return audio

    def validate_language(self, language: str) -> str:
        """Empty is to be detected."""
        language = primary_language(language) or settings.VOICEBOT_LANGUAGE
        return "" if language == DETECTED else language


def job_url(request: Request, job: Job, name: str = "job") -> str:
    return reverse(f"api:{name}", kwargs={"pk": job.pk}, request=request)


def job_json(request: Request, job: Job) -> dict[str, Any]:
    return {
        "id": str(job.pk),
        "status": job.status,
        "created_at": time_json(job.created_at),
        "started_at": time_json(job.started_at),
        "finished_at": time_json(job.finished_at),
        "expires_at": time_json(job.expires_at),
        "language": job.heard_language or job.language or None,
        "task": job.task,
        "duration": job.duration,
        "heard": round(job.done_s, 3),
        "progress": round(job.progress, 4),
        "error": {"detail": job.detail, "code": job.code} if job.code else None,
        "url": job_url(request, job),
        "events_url": job_url(request, job, "job-events"),
        "result_url": job_url(request, job, "job-result"),
    }


def time_json(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat(timespec="milliseconds")


def segment_json(segment: Segment | JobSegment) -> dict[str, Any]:
    return {"start": segment.start, "end": segment.end, "text": segment.text}


def voice_json(voice: Voice) -> dict[str, Any]:
    return {**asdict(voice), "default": engines.tts.default_voices.get(voice.language) == voice.id}


def times_json(times: Times, decoded_s: float) -> dict[str, float]:
    """In seconds; for the client, decoding is part of the wait."""
    return {
        "decode": decoded_s,
        **asdict(times),
        "first_audio": times.first_audio + decoded_s,
        "total": times.total + decoded_s,
    }


def speech_url(request: Request, speeches: Sequence[Speech]) -> str | None:
    """Where ``speeches`` are heard again, one after the other; None when one is not kept."""
    keys = [speech.key for speech in speeches if speech.key]
    if not len(keys) == len(speeches) <= MAX_SENTENCES:
        return None
    return reverse("api:speech", kwargs={"keys": keys}, request=request)


def piece_json(request: Request, piece: Speech) -> dict[str, Any]:
    return {**sentence_json(request, piece), "last": piece.last}


def sentence_json(request: Request, speech: Speech) -> dict[str, Any]:
    return {
        "text": speech.text,
        "duration": round(speech.audio.duration, 3),
        "voice": speech.voice,
        "engine": speech.engine,
        "cache": speech.cache,
        "url": speech_url(request, [speech]),
    }


def transcript_json(transcript: Transcript) -> dict[str, Any]:
    return {
        "text": transcript.text,
        "language": transcript.language,
        "segments": [segment_json(segment) for segment in transcript.segments],
    }


def turn_url(request: Request, row: history.Turn, name: str = "turn") -> str:
    """Where a turn that is kept in a conversation is found, or what ``name`` says of it."""
    where = {"pk": row.conversation_id, "turn": row.pk}
    return reverse(f"api:{name}", kwargs=where, request=request)


def place_json(request: Request, row: history.Turn | None) -> dict[str, Any] | None:
    """Where a turn is in its conversation; None when it is in none, or is not kept."""
    if row is None or row.conversation_id is None:
        return None
    return {
        "id": str(row.conversation_id),
        "number": row.number,
        "turn": turn_url(request, row),
    }


def turn_json(request: Request, account: Recording) -> dict[str, Any]:
    """The complete turn of ``account``."""
    turn = account.turn
    assert turn is not None
    times = times_json(turn.times, account.decoded_s)
    return {
        "id": request.META[META],
        "conversation": place_json(request, account.row),
        "language": turn.transcript.language,
        "transcript": transcript_json(turn.transcript),
        "reply": turn.reply,
        "speech": {
            "url": speech_url(request, turn.speeches),
            "duration": round(turn.duration, 3),
            "voice": turn.speeches[0].voice,
            "sentences": [sentence_json(request, speech) for speech in turn.speeches],
        },
        "times": {name: round(seconds, 4) for name, seconds in times.items()},
        "cache": provenance.caches(turn),
        "engines": provenance.identities(engines),
        "outbound": provenance.outbound(turn, engines),
    }
