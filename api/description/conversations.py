"""Conversations that are remembered, and what is told of their turns."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiRequest,
    OpenApiResponse,
)
from rest_framework import exceptions as drf
from rest_framework import serializers as fields
from rest_framework.serializers import Serializer

from api import conversations, exceptions
from api.description import bodies
from api.description.answers import BODIES, ENGINES, KEPT, header, kept_sound
from api.description.bodies import Body
from api.description.describing import describe
from history.errors import ConversationNotFound, NotKept, TurnNotFound
from history.models import STAGES
from pipeline import errors

TAG = "Conversations"


class Conversation(Body):
    """Turns in order."""

    id = fields.UUIDField()
    url = fields.URLField()
    title = fields.CharField(allow_blank=True)
    language = fields.CharField(allow_blank=True, help_text="Of turns that name none.")
    voice = fields.CharField(allow_blank=True, help_text="Of turns that name none.")
    taken = fields.IntegerField(help_text="Turns that were begun, those deleted since included.")
    created_at = fields.DateTimeField()
    last_used_at = fields.DateTimeField()


class Conversations(Body):
    """A page of them, the one used last first."""

    next = fields.URLField(allow_null=True, help_text="The page after this one.")
    previous = fields.URLField(allow_null=True)
    results = Conversation(many=True)


class KeptTurn(Body):
    """A turn as its conversation tells it. Texts are empty when they are kept no longer."""

    id = fields.UUIDField()
    url = fields.URLField()
    number = fields.IntegerField(allow_null=True, help_text="In its conversation, from 1.")
    request = fields.CharField(help_text="The id of the request.")
    created_at = fields.DateTimeField()
    status = fields.IntegerField(help_text="Of the answer, as in HTTP.")
    code = fields.CharField(allow_blank=True, help_text="Of the error; empty: there was none.")
    language = fields.CharField(allow_blank=True, help_text="ISO 639-1.")
    transcript = fields.CharField(allow_blank=True)
    reply = fields.CharField(allow_blank=True)
    voice = fields.CharField(allow_blank=True, help_text="Id of the voice that spoke first.")


class ConversationWithTurns(Conversation):
    """A conversation, and its latest turns."""

    turns = KeptTurn(many=True, help_text="At most 100, the oldest first.")
    earlier = fields.URLField(allow_null=True, help_text="Where those before are read.")


class RelatedTurn(Body):
    """A turn that tries this one again, or that this one tries again."""

    id = fields.UUIDField()
    url = fields.URLField()

    def get_fields(self) -> dict[str, Any]:
        return {**super().get_fields(), "from": _from()}


def _from() -> fields.ChoiceField:
    """No name that Python could give a field."""
    return fields.ChoiceField(
        choices=STAGES, allow_null=True, help_text="From which stage on it was tried again."
    )


class KeptUtterance(Body):
    """What the user said."""

    url = fields.URLField(allow_null=True, help_text="Null where it is not kept.")
    duration = fields.FloatField(allow_null=True, help_text="Seconds.")


class TimedSentence(bodies.Sentence):
    """Speech of one sentence, and when it was made."""

    outbound = fields.BooleanField(help_text="Whether its text left the machine.")
    start = fields.FloatField(help_text="Of its making: seconds from the end of the upload.")
    end = fields.FloatField(help_text="Likewise.")


class KeptSpeech(bodies.Speech):
    """What was answered."""

    voice = fields.CharField(allow_blank=True, help_text="Id of the voice that spoke first.")
    sentences = TimedSentence(many=True)


class KeptTimes(bodies.Times):
    """Seconds from the end of the upload; null or 0 where a turn did not come so far."""

    llm_first = fields.FloatField(allow_null=True, help_text="Until the reply began.")
    first_audio = fields.FloatField(allow_null=True, help_text="Until there was speech.")


class KeptIdentities(Body):
    """Per stage that the turn came to, what decides its results: engine, weights, options."""

    stt = fields.DictField(child=fields.CharField(), required=False)
    llm = fields.DictField(child=fields.CharField(), required=False)
    tts = fields.DictField(child=fields.CharField(), required=False)


class TurnWithProvenance(KeptTurn):
    """All that is known of a turn."""

    replay_of = RelatedTurn(allow_null=True)
    replays = RelatedTurn(many=True)
    options = fields.DictField(help_text="What was asked for.")
    upload_bytes = fields.IntegerField()
    utterance = KeptUtterance()
    speech = KeptSpeech()
    times = KeptTimes()
    cache = bodies.CacheStates()
    engines = KeptIdentities()
    outbound = bodies.Outbound()

    def get_fields(self) -> dict[str, Any]:
        return {**super().get_fields(), "from": _from()}


def _id(name: str, whose: str) -> OpenApiParameter:
    return OpenApiParameter(name, OpenApiTypes.UUID, OpenApiParameter.PATH, description=whose)


CONVERSATION = [_id("id", "Of the conversation.")]
TURN = [*CONVERSATION, _id("turn", "Of the turn, not of its request.")]
NO_TURN = [ConversationNotFound, TurnNotFound]


def body(fields: type[Serializer[Any]], **example: Any) -> dict[str, Any]:
    """JSON, or a form."""
    examples = [OpenApiExample("An example", example, request_only=True)]
    return {
        "application/json": OpenApiRequest(fields, examples=examples),
        "application/x-www-form-urlencoded": fields,
        "multipart/form-data": fields,
    }


describe(
    conversations.ConversationsView,
    "get",
    "conversations",
    tag=TAG,
    summary="Conversations, the one used last first",
    parameters=[
        OpenApiParameter("cursor", str, description="Of a page, as `next` and `previous` have it."),
        OpenApiParameter("page_size", int, description="At most 100; 20, if you name none."),
    ],
    answers={200: Conversations},
    errors=[drf.NotFound],
)

describe(
    conversations.ConversationsView,
    "post",
    "begin_conversation",
    tag=TAG,
    summary="Begin a conversation",
    description="Nothing need be said of it. Turns join it by its id: see `POST /api/voice/`.",
    parameters=[header("Location", "The conversation.", 201)],
    request=body(conversations.NewConversation, title="Visite", language="fr"),
    answers={201: OpenApiResponse(Conversation, "It was begun.")},
    errors=[*BODIES, errors.UnknownVoice, errors.UnsupportedLanguage],
    forms=(conversations.NewConversation,),
)

describe(
    conversations.ConversationView,
    "get",
    "conversation",
    tag=TAG,
    summary="A conversation, with its turns",
    parameters=[
        *CONVERSATION,
        OpenApiParameter(
            "before",
            {"type": "integer", "minimum": 1},
            description="Only turns before the one of this number.",
        ),
    ],
    answers={200: ConversationWithTurns},
    errors=[ConversationNotFound],
    forms=(conversations.Earlier,),
)

describe(
    conversations.ConversationView,
    "delete",
    "delete_conversation",
    tag=TAG,
    summary="Delete a conversation, its turns and their sounds",
    parameters=CONVERSATION,
    answers={204: OpenApiResponse(description="It is gone, from the disk too.")},
    errors=[ConversationNotFound],
)

describe(
    conversations.KeptTurnView,
    "get",
    "turn",
    tag=TAG,
    summary="A turn, and where all of it came from",
    parameters=TURN,
    answers={200: TurnWithProvenance},
    errors=NO_TURN,
)

describe(
    conversations.KeptTurnView,
    "delete",
    "delete_turn",
    tag=TAG,
    summary="Delete a turn and its sounds",
    parameters=TURN,
    answers={204: OpenApiResponse(description="It is gone, from the disk too.")},
    errors=NO_TURN,
)

describe(
    conversations.ReplayView,
    "post",
    "replay",
    tag=TAG,
    summary="Try a turn again, from one of its stages on",
    description="With the engines and settings of today. The turn stays; another tells of this.",
    parameters=[*TURN, header("Location", "The turn that was made.", 201)],
    request=body(conversations.Again, **{"from": "tts", "speed": 1.25}),
    answers={201: OpenApiResponse(TurnWithProvenance, "It was tried again.")},
    errors=[
        *BODIES,
        *ENGINES,
        *NO_TURN,
        NotKept,
        *(errors.InputError, errors.NoSpeech, errors.TextTooLong),
        *(errors.UnknownVoice, errors.UnsupportedLanguage),
    ],
    forms=(conversations.Again,),
)

for view, name, summary, missing in (
    (conversations.UtteranceView, "utterance", "What the user said", exceptions.UtteranceNotFound),
    (conversations.AnswerView, "answer", "What was answered", exceptions.SpeechNotFound),
):
    describe(
        view,
        "get",
        name,
        tag=TAG,
        summary=summary,
        description="As long as it is kept.",
        parameters=[*TURN, *KEPT],
        answers=kept_sound(),
        errors=[*NO_TURN, missing, exceptions.RangeNotSatisfiable],
    )
