"""What is read from requests of OpenAI's clients.

What is not named here is ignored: ``docs/openai.md`` lists what clients are known to send.
"""

from __future__ import annotations

from typing import Any, Final

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from api.exceptions import UploadTooLarge
from api.serializers import DETECTED, primary_language
from pipeline.encoding import MEDIA_TYPES
from pipeline.tts.base import MAX_SPEED, MIN_SPEED

TRANSCRIPT_FORMATS: Final = ("json", "verbose_json", "text", "srt", "vtt")


class LanguageField(serializers.CharField):
    """A language, as its code or a tag; None where it is to be detected."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, allow_blank=True, allow_null=True, **kwargs)

    def run_validation(self, data: Any = serializers.empty) -> str | None:
        language = primary_language(super().run_validation(data) or "")
        return None if language in ("", DETECTED) else language


class Asked(serializers.Serializer[None]):
    """What all requests have."""

    model = serializers.CharField(allow_blank=True, allow_null=True, default="")
    language = LanguageField(default=None)


class RecordingForm(Asked):
    """A form with a recording that is to be written down."""

    file = serializers.FileField(
        error_messages={
            "required": _("Send the recording as a file in the field “file”."),
            "invalid": _("The field “file” must be a file, not text."),
            "empty": _("The recording is empty."),
        }
    )
    prompt = serializers.CharField(allow_blank=True, default="")
    response_format = serializers.ChoiceField(TRANSCRIPT_FORMATS, default="json")
    temperature = serializers.FloatField(min_value=0, max_value=1, default=0)
    stream = serializers.BooleanField(default=False)

    def get_fields(self) -> dict[str, Any]:
        granularities = serializers.ListField(
            child=serializers.ChoiceField(["word", "segment"]), default=["segment"]
        )
        return {**super().get_fields(), "timestamp_granularities[]": granularities}

    def validate_file(self, file: UploadedFile) -> UploadedFile:
        if (file.size or 0) > settings.VOICEBOT_MAX_UPLOAD_BYTES:
            raise UploadTooLarge
        return file


class VoiceField(serializers.CharField):
    """The id of a voice, alone or in an object: ``{"id": "…"}``."""

    def to_internal_value(self, data: Any) -> str:
        if isinstance(data, dict) and set(data) == {"id"}:
            data = data["id"]
        return super().to_internal_value(data)


class TextBody(Asked):
    """A text that is to be said aloud."""

    input = serializers.CharField(
        error_messages={
            "required": _("Give the text to say aloud as “input”."),
            "blank": _("The text to say aloud is empty."),
        }
    )
    voice = VoiceField(allow_blank=True, allow_null=True, default="")
    response_format = serializers.ChoiceField(list(MEDIA_TYPES), default="mp3")
    stream_format = serializers.ChoiceField(["audio", "sse"], default="audio")
    speed = serializers.FloatField(min_value=MIN_SPEED, max_value=MAX_SPEED, default=1.0)
