"""Conversations that are remembered here: made, listed, read and deleted."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpResponseBase
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.pagination import CursorPagination
from rest_framework.parsers import FormParser, JSONParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from access.scopes import CONVERSATIONS
from api.exceptions import SpeechNotFound, UtteranceNotFound
from api.serializers import DETECTED, SpeedField, Wishes, primary_language, turn_url
from api.sounds import wav_response
from api.turns import Account
from api.views import ApiView, RecordingView
from history import replay, sounds
from history.errors import TurnNotFound
from history.models import STAGES, TITLE_CHARS, Conversation, Sentence, Turn
from pipeline.engines import engines
from pipeline.turn import take

TURNS = 100
"""Told at once of a conversation: the latest."""


class NewConversation(serializers.Serializer[None]):
    """What a conversation may be given; its turns may ask for another language or voice."""

    title = serializers.CharField(
        allow_blank=True,
        default="",
        max_length=TITLE_CHARS,
        help_text="Without one, the first question becomes it.",
    )
    language = serializers.CharField(
        allow_blank=True, default="", help_text="Of turns that name none: `fr`, `en`, …, or `auto`."
    )
    voice = serializers.CharField(
        allow_blank=True, default="", help_text="Of turns that name none: an id of a voice."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """:raises UnknownVoice, UnsupportedLanguage: nobody could answer in it."""
        language = primary_language(attrs["language"])
        if attrs["voice"] or language not in ("", DETECTED):
            spoken = None if language in ("", DETECTED) else language
            engines.tts.choose_voice(attrs["voice"] or None, spoken)
        return {**attrs, "language": language}


class Again(serializers.Serializer[None]):
    """From which stage a turn is tried again, and what is wished otherwise this time."""

    voice = serializers.CharField(
        default=None, allow_null=True, help_text="Another voice than the first time."
    )
    speed = SpeedField(required=False, help_text="Another pace than the first time.")
    cache = Wishes().fields["cache"]

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        stage = serializers.ChoiceField(
            choices=STAGES,
            help_text="The stage; those before it are taken as they were.",
            error_messages={
                "required": _("Say “from” which stage: “stt”, “llm” or “tts”."),
                "invalid_choice": _("“from” is “stt”, “llm” or “tts”."),
            },
        )
        return {"from": stage, **super().get_fields()}  # no name that Python could give it


class Earlier(serializers.Serializer[None]):
    before = serializers.IntegerField(
        required=False,
        min_value=1,
        error_messages={"invalid": _("“before” is the number of a turn.")},
    )


class Pages(CursorPagination):
    """The conversation used last comes first; a page stays the same while others are made."""

    ordering = ("-last_used_at", "-id")
    page_size = 20
    page_size_query_param = "page_size"
    max_page_size = 100

    def paginate_queryset(
        self, queryset: QuerySet[Any], request: Request, view: APIView | None = None
    ) -> list[Any] | None:
        try:
            return super().paginate_queryset(queryset, request, view)
        except ValidationError as exc:  # a cursor that was not made here
            raise NotFound(self.invalid_cursor_message) from exc


class ConversationsView(ApiView):
    """Those there are, and a new one."""

    scope = CONVERSATIONS
    parser_classes = [JSONParser, FormParser, MultiPartParser]

    def get(self, request: Request) -> Response:
        pages = Pages()
        page = pages.paginate_queryset(Conversation.objects.of(self.tenant), request, self)
        return pages.get_paginated_response([conversation_json(request, c) for c in page or ()])

    def post(self, request: Request) -> Response:
        wanted = NewConversation(data=request.data)
        wanted.is_valid(raise_exception=True)
        made = Conversation.objects.create(tenant=self.tenant, **wanted.validated_data)
        body = conversation_json(request, made)
        return Response(body, status=201, headers={"Location": body["url"]})


class ConversationView(ApiView):
    """One of them, with its turns."""

    scope = CONVERSATIONS
    http_method_names = [*ApiView.http_method_names, "delete"]

    def get(self, request: Request, pk: UUID) -> Response:
        conversation = Conversation.objects.find(pk, tenant=self.tenant)
        wanted = Earlier(data=request.query_params.dict())
        wanted.is_valid(raise_exception=True)
        turns = conversation.turns.asked().order_by("-number")
        if before := wanted.validated_data.get("before"):
            turns = turns.filter(number__lt=before)
        latest = list(turns[: TURNS + 1])
        earlier = None
        if len(latest) > TURNS:
            latest.pop()
            where = reverse("api:conversation", kwargs={"pk": pk}, request=request)
            earlier = f"{where}?before={latest[-1].number}"
        return Response(
            {
                **conversation_json(request, conversation),
                "turns": [kept_json(request, turn) for turn in reversed(latest)],
                "earlier": earlier,
            }
        )

    def delete(self, request: Request, pk: UUID) -> Response:
        Conversation.objects.find(pk, tenant=self.tenant).delete()
        return Response(status=204)


class OfConversation(ApiView):
    """What the addresses of its turns share."""

    scope = CONVERSATIONS

    def turn(self, pk: UUID, turn: UUID) -> Turn:
        conversation = Conversation.objects.find(pk, tenant=self.tenant)
        try:
            return conversation.turns.get(pk=turn)
        except Turn.DoesNotExist:
            raise TurnNotFound from None


class KeptTurnView(OfConversation):
    """One turn: what was said, and where all of it came from."""

    http_method_names = [*ApiView.http_method_names, "delete"]

    def get(self, request: Request, pk: UUID, turn: UUID) -> Response:
        return Response(provenance_json(request, self.turn(pk, turn)))

    def delete(self, request: Request, pk: UUID, turn: UUID) -> Response:
        self.turn(pk, turn).delete()
        return Response(status=204)


class ReplayView(OfConversation, RecordingView):
    """One turn again, from one of its stages on: another, which tells what it repeats."""

    parser_classes = [JSONParser, FormParser, MultiPartParser]
    account: Account

    def post(self, request: Request, pk: UUID, turn: UUID) -> Response:
        row = self.turn(pk, turn)
        wanted = Again(data=request.data)
        wanted.is_valid(raise_exception=True)
        asked = wanted.validated_data
        wishes = {name: asked[name] for name in ("voice", "speed") if asked.get(name)}
        self.place.enter(engines, *STAGES[STAGES.index(asked["from"]) :])
        take(
            replay.begin(
                self.account,
                row,
                asked["from"],
                wishes=wishes,
                remembering=self.remembering and asked["cache"] == "on",
            )
        )
        made = self.account.row
        if made is None:  # the log says why
            raise TurnNotFound
        body = provenance_json(request, made)
        return Response(body, status=201, headers={"Location": body["url"]})


class UtteranceView(OfConversation):
    """What the user said, where that is kept."""

    def get(self, request: Request, pk: UUID, turn: UUID) -> HttpResponseBase:
        wav = sounds.utterance(self.turn(pk, turn))
        if wav is None:
            raise UtteranceNotFound
        return wav_response(request, wav)


class AnswerView(OfConversation):
    """What was answered, as long as it is kept: as a copy, or by the speech cache."""

    def get(self, request: Request, pk: UUID, turn: UUID) -> HttpResponseBase:
        wav = sounds.speech(self.turn(pk, turn))
        if wav is None:
            raise SpeechNotFound
        return wav_response(request, wav)


# --- as JSON -----------------------------------------------------------------------------------


def conversation_json(request: Request, conversation: Conversation) -> dict[str, Any]:
    where = {"pk": conversation.pk}
    return {
        "id": str(conversation.pk),
        "url": reverse("api:conversation", kwargs=where, request=request),
        "title": conversation.title,
        "language": conversation.language,
        "voice": conversation.voice,
        "taken": conversation.taken,
        "created_at": conversation.created_at,
        "last_used_at": conversation.last_used_at,
    }


def kept_json(request: Request, row: Turn) -> dict[str, Any]:
    """A turn as its conversation tells it. Texts are empty when they are kept no longer."""
    return {
        "id": str(row.pk),
        "url": turn_url(request, row),
        "number": row.number,
        "request": row.request_id,
        "created_at": row.created_at,
        "status": row.status,
        "code": row.code,
        "language": row.language,
        "transcript": row.transcript,
        "reply": row.reply,
        "voice": row.voice,
    }


def provenance_json(request: Request, row: Turn) -> dict[str, Any]:
    """All that is known of a turn."""
    utterance = turn_url(request, row, "utterance") if row.utterance_bytes else None
    return {
        **kept_json(request, row),
        "replay_of": _related_json(request, row.replay_of) if row.replay_of else None,
        "from": row.replayed_from or None,
        "replays": [_related_json(request, again) for again in row.replays.order_by("created_at")],
        "options": row.options,
        "upload_bytes": row.upload_bytes,
        "utterance": {"url": utterance, "duration": row.utterance_s},
        "speech": {
            "url": turn_url(request, row, "answer") if sounds.has_speech(row) else None,
            "duration": round(row.speech_s, 3),
            "voice": row.voice,
            "sentences": [_sentence_json(request, s) for s in row.sentences.all()],
        },
        "times": {
            "decode": row.decode_s,
            "wait": row.wait_s,
            "stt": row.stt_s,
            "llm": row.llm_s,
            "llm_first": row.llm_first_s,
            "tts": row.tts_s,
            "first_audio": row.first_audio_s,
            "total": row.total_s,
        },
        "cache": {stage: getattr(row, f"{stage}_cache") for stage in STAGES},
        "engines": row.engines,
        "outbound": {stage: getattr(row, f"{stage}_outbound") for stage in STAGES},
    }


def _related_json(request: Request, row: Turn) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "url": turn_url(request, row),
        "from": row.replayed_from or None,
    }


def _sentence_json(request: Request, sentence: Sentence) -> dict[str, Any]:
    kept = bool(sentence.key) and engines.tts.recall(sentence.key) is not None
    where = {"keys": [sentence.key]}
    return {
        "text": sentence.text,
        "duration": round(sentence.duration, 3),
        "voice": sentence.voice,
        "engine": sentence.engine,
        "cache": sentence.cache,
        "outbound": sentence.outbound,
        "start": round(sentence.start_s, 4),
        "end": round(sentence.end_s, 4),
        "url": reverse("api:speech", kwargs=where, request=request) if kept else None,
    }
