"""What is read from requests, and what is written to JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from api.exceptions import UploadTooLarge
from pipeline.engines import engines
from pipeline.tts.base import Voice
from pipeline.turn import Turn

DETECTED = "auto"


def primary_language(tag: str) -> str:
    """The language of a BCP 47 tag: ``fr`` of ``fr-FR``, whatever its case."""
    return tag.strip().lower().replace("_", "-").partition("-")[0]


class Question(serializers.Serializer[None]):
    """A spoken question, as a form."""

    audio = serializers.FileField(
        error_messages={
            "required": _("Send the recording as a file in the field “audio”."),
            "invalid": _("The field “audio” must be a file, not text."),
            "empty": _("The recording is empty."),
        }
    )
    language = serializers.CharField(allow_blank=True, default="")
    voice = serializers.CharField(allow_blank=True, default="")

    def validate_audio(self, audio: UploadedFile) -> UploadedFile:
        if (audio.size or 0) > settings.VOICEBOT_MAX_UPLOAD_BYTES:
            raise UploadTooLarge
        return audio

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """``voice`` None is the default one, ``language`` None is to be detected."""
        voice = attrs["voice"] or None
        language = primary_language(attrs["language"])
        if not language:
            language = (
                engines.tts.choose_voice(voice).language if voice else settings.VOICEBOT_LANGUAGE
            )
        return {**attrs, "voice": voice, "language": None if language == DETECTED else language}


def voice_json(voice: Voice) -> dict[str, Any]:
    return {**asdict(voice), "default": engines.tts.default_voices.get(voice.language) == voice.id}


def cache_json(turn: Turn) -> dict[str, str]:
    """Stage → whether its result was remembered; only speech is."""
    return {"stt": "off", "llm": "off", "tts": turn.cache}


def outbound_json(turn: Turn) -> dict[str, bool]:
    """Stage → whether what it worked on left the machine. Speech from the cache did not."""
    return {
        "stt": engines.stt.outbound,
        "llm": engines.llm.outbound,
        "tts": any(speech.outbound for speech in turn.speeches),
    }


def speech_engines(turn: Turn) -> list[str]:
    """Those that spoke, in order: several when one had to stand in for another."""
    return list(dict.fromkeys(speech.engine for speech in turn.speeches))


def turn_json(
    turn: Turn,
    *,
    request_id: str,
    times: Mapping[str, float],
    speech_url: str | None,
    sentence_urls: list[str | None],
) -> dict[str, Any]:
    """``times`` in seconds; the URLs are None for speech that is not kept."""
    return {
        "id": request_id,
        "language": turn.transcript.language,
        "transcript": asdict(turn.transcript),
        "reply": turn.reply,
        "speech": {
            "url": speech_url,
            "duration": round(turn.duration, 3),
            "voice": turn.speeches[0].voice,
            "sentences": [
                {
                    "text": speech.text,
                    "duration": round(speech.audio.duration, 3),
                    "voice": speech.voice,
                    "engine": speech.engine,
                    "cache": speech.cache,
                    "url": url,
                }
                for speech, url in zip(turn.speeches, sentence_urls, strict=True)
            ],
        },
        "times": {name: round(seconds, 4) for name, seconds in times.items()},
        "cache": cache_json(turn),
        "engines": {role: dict(engine.identity) for role, engine in engines},
        "outbound": outbound_json(turn),
    }
