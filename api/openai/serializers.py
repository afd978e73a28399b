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
from api.openai.completions import ENCODINGS
from api.openai.messages import MessageSerializer
from api.serializers import DETECTED, SpeedField, primary_language
from pipeline.encoding import MEDIA_TYPES

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
    speed = SpeedField(default=1.0)


class AudioWish(serializers.Serializer[None]):
    """How a reply is to be said."""

    voice = VoiceField(allow_blank=True, allow_null=True, default="")
    format = serializers.ChoiceField(list(ENCODINGS), default="wav")


class StreamWish(serializers.Serializer[None]):
    include_usage = serializers.BooleanField(default=False)


class TextsField(serializers.ListField):
    """One text, or several."""

    child = serializers.CharField(trim_whitespace=False)

    def to_internal_value(self, data: Any) -> list[str]:
        texts: list[str] = super().to_internal_value([data] if isinstance(data, str) else data)
        return texts


class ChatBody(Asked):
    """A chat, the last message of which is to be replied to."""

    messages = MessageSerializer(many=True, allow_empty=False)
    modalities = serializers.ListField(
        child=serializers.ChoiceField(["text", "audio"]), allow_null=True, default=None
    )
    audio = AudioWish(allow_null=True, default=None)
    stream = serializers.BooleanField(allow_null=True, default=False)
    stream_options = StreamWish(allow_null=True, default=None)
    max_completion_tokens = serializers.IntegerField(min_value=1, allow_null=True, default=None)
    max_tokens = serializers.IntegerField(min_value=1, allow_null=True, default=None)
    temperature = serializers.FloatField(min_value=0, max_value=2, allow_null=True, default=None)
    top_p = serializers.FloatField(min_value=0, max_value=1, allow_null=True, default=None)
    stop = TextsField(max_length=16, allow_null=True, default=None)
    n = serializers.IntegerField(min_value=1, max_value=1, allow_null=True, default=1)
    # Refused where it cannot be done, rather than done otherwise.
    response_format = serializers.JSONField(allow_null=True, default=None)
    tool_choice = serializers.JSONField(allow_null=True, default=None)

    def validate_response_format(self, wanted: Any) -> Any:
        if wanted is not None and wanted != {"type": "text"}:
            text = _("Replies are plain text: they cannot be made to follow a format.")
            raise serializers.ValidationError(text, "unsupported")
        return wanted

    def validate_tool_choice(self, wanted: Any) -> Any:
        if wanted not in (None, "none", "auto"):
            text = _("No tool is ever called here.")
            raise serializers.ValidationError(text, "unsupported")
        return wanted

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Null is what was not given."""
        return {
            **attrs,
            "modalities": attrs["modalities"] or ["text"],
            "audio": attrs["audio"] or {"voice": "", "format": "wav"},
            "stream_options": attrs["stream_options"] or {"include_usage": False},
            "stop": attrs["stop"] or [],
        }
