"""OpenAI's API, as far as it is answered here: what clients of it may count on."""

from __future__ import annotations

from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiRequest,
    OpenApiResponse,
)
from rest_framework import serializers as fields

from api.description.answers import (
    BINARY,
    BODIES,
    ENGINES,
    NO_BUFFERING,
    TEXT,
    UPLOADS,
    Events,
    header,
)
from api.description.bodies import Body, Voice
from api.description.describing import describe, form
from api.openai import audio, models
from api.openai.listing import TASKS, ModelNotFound
from api.openai.serializers import RecordingForm, TextBody
from pipeline import errors
from pipeline.encoding import MEDIA_TYPES

TAG = "OpenAI’s API"


class OpenAIError(Body):
    message = fields.CharField(help_text="For people, in the language of the request.")
    type = fields.CharField()
    param = fields.CharField(allow_null=True, help_text="The field that is wrong.")
    code = fields.CharField(help_text="For programs; never changes.")


class OpenAIProblem(Body):
    """Any error."""

    error = OpenAIError()


class Usage(Body):
    type = fields.ChoiceField(choices=["duration"])
    seconds = fields.IntegerField()


class TranscriptWord(Body):
    word = fields.CharField()
    start = fields.FloatField(help_text="Seconds.")
    end = fields.FloatField(help_text="Seconds.")


class VerboseSegment(Body):
    id = fields.IntegerField()
    seek = fields.IntegerField()
    start = fields.FloatField(help_text="Seconds.")
    end = fields.FloatField(help_text="Seconds.")
    text = fields.CharField()
    tokens = fields.ListField(child=fields.IntegerField(), help_text="Not told.")
    temperature = fields.FloatField()
    avg_logprob = fields.FloatField()
    compression_ratio = fields.FloatField()
    no_speech_prob = fields.FloatField()


class Written(Body):
    """With `json`, the text alone; the rest with `verbose_json`."""

    text = fields.CharField(allow_blank=True)
    usage = Usage()
    task = fields.ChoiceField(choices=["transcribe", "translate"], required=False)
    language = fields.CharField(required=False, help_text="Its name, in English.")
    duration = fields.FloatField(required=False, help_text="Seconds.")
    words = TranscriptWord(many=True, required=False)
    segments = VerboseSegment(many=True, required=False)


class TranscriptEvent(Body):
    """`transcript.text.delta` has a `delta`, `transcript.text.done` the whole `text`."""

    type = fields.ChoiceField(choices=["transcript.text.delta", "transcript.text.done"])
    delta = fields.CharField(required=False)
    text = fields.CharField(required=False, allow_blank=True)


class SpeechEvent(Body):
    """`speech.audio.delta` has `audio`, in base64; the last is `speech.audio.done`, or `error`."""

    type = fields.ChoiceField(choices=["speech.audio.delta", "speech.audio.done"], required=False)
    audio = fields.CharField(required=False)
    usage = fields.DictField(required=False)
    error = OpenAIError(required=False)


class Model(Body):
    id = fields.CharField()
    object = fields.ChoiceField(choices=["model"])
    created = fields.IntegerField()
    owned_by = fields.CharField()
    task = fields.ChoiceField(choices=list(TASKS.values()))
    voices = Voice(many=True, required=False)


class Models(Body):
    object = fields.ChoiceField(choices=["list"])
    data = Model(many=True)  # type: ignore[assignment] # it is not what a serializer means by it


class OpenAIVoices(Body):
    voices = Voice(many=True)
    aliases = fields.DictField(
        child=fields.CharField(), help_text="OpenAI's own names, and the voices they stand for."
    )


class ModelName(Body):
    id = fields.CharField()


class SpeechModels(Body):
    models = ModelName(many=True)


TRANSCRIPTS = {
    (200, "application/json"): OpenApiResponse(
        Written,
        "What was heard, as `response_format` says.",
    ),
    (200, "text/plain", "text/vtt"): OpenApiResponse(TEXT, "Likewise."),
    (200, "text/event-stream"): Events("data alone", {"": TranscriptEvent}),
}

for view, name, summary in (
    (audio.TranscriptionsView, "create_transcription", "Write down a recording"),
    (audio.TranslationsView, "create_translation", "Write down in English what a recording says"),
):
    describe(
        view,
        "post",
        name,
        tag=TAG,
        summary=summary,
        parameters=[NO_BUFFERING],
        request=form(RecordingForm, "file"),
        answers=TRANSCRIPTS,
        errors=[
            *UPLOADS,
            *ENGINES,
            *(errors.UnsupportedLanguage, errors.UnsupportedTask),
            ModelNotFound,
        ],
        forms=(RecordingForm,),
        shape=OpenAIProblem,
    )

describe(
    audio.SpeechView,
    "post",
    "create_speech",
    tag=TAG,
    summary="Say a text aloud",
    parameters=[
        NO_BUFFERING,
        header("Content-Language", "The language of the voice.", 200),
    ],
    request={
        "application/json": OpenApiRequest(
            TextBody,
            examples=[
                OpenApiExample(
                    "A sentence",
                    {"model": "tts-1", "voice": "alloy", "input": "Bonjour à tous."},
                    request_only=True,
                )
            ],
        )
    },
    answers={
        (200, *dict.fromkeys(MEDIA_TYPES.values())): OpenApiResponse(
            BINARY, "The speech, while it is made, as `response_format` says."
        ),
        (200, "text/event-stream"): Events("data alone", {"": SpeechEvent}),
    },
    errors=[
        *ENGINES,
        *BODIES,
        *(errors.InputError, errors.TextTooLong),
        *(errors.UnknownVoice, errors.UnsupportedLanguage),
        ModelNotFound,
    ],
    forms=(TextBody,),
    shape=OpenAIProblem,
)

describe(
    audio.VoicesView,
    "get",
    "list_voices",
    tag=TAG,
    summary="The voices there are, and what OpenAI’s names stand for",
    answers={200: OpenAIVoices},
    shape=OpenAIProblem,
)

describe(
    audio.SpeechModelsView,
    "get",
    "list_speech_models",
    tag=TAG,
    summary="What speaks",
    answers={200: SpeechModels},
    shape=OpenAIProblem,
)

describe(
    models.ModelsView,
    "get",
    "list_models",
    tag=TAG,
    summary="What answers",
    answers={200: Models},
    shape=OpenAIProblem,
)

describe(
    models.ModelView,
    "get",
    "retrieve_model",
    tag=TAG,
    summary="One of them",
    parameters=[OpenApiParameter("name", str, OpenApiParameter.PATH)],
    answers={200: Model},
    errors=[ModelNotFound],
    shape=OpenAIProblem,
)
