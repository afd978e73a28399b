"""The views: each reads a request, calls the pipeline and writes a response."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.http.request import MediaType
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from access.scopes import CONVERSATIONS, TALK
from api import headers, streaming
from api.authentication import check_scope
from api.encoders import L16, Encoder, Events, Wav
from api.exceptions import Problem, SpeechNotFound
from api.limits import check_declared
from api.middleware import META
from api.renderers import TURN_RENDERERS, Negotiation
from api.serializers import (
    Question,
    Wishes,
    job_json,
    job_url,
    primary_language,
    times_json,
    turn_json,
    voice_json,
)
from api.sounds import wav_response
from api.turns import Account, Part, encoded, followed
from api.uploads import WholeUploads
from cache.models import CachedSpeech
from jobs import tasks
from jobs.models import Job
from pipeline import deadline, provenance, tenants
from pipeline.admission import Place, admission
from pipeline.audio import decode, to_wav
from pipeline.engines import Engines, engines
from pipeline.errors import AudioTooLong
from pipeline.pace import Size
from pipeline.stt.base import Transcript
from pipeline.turn import Event, Turn, take


class Postponed(JsonResponse):
    """A job was made of what was sent."""

    code = AudioTooLong.code  # no turn was taken

    def __init__(self, request: Request, job: Job) -> None:
        super().__init__(
            job_json(request, job),
            status=202,
            headers={"Location": job_url(request, job), "Cache-Control": "no-store"},
            json_dumps_params={"ensure_ascii": False},
        )


FILENAME = {"Content-Disposition": 'inline; filename="answer.wav"'}


class ApiView(APIView):
    """What all views share."""

    content_negotiation_class = Negotiation
    http_method_names = ["get", "head", "post"]
    open = False  # to whoever asks, without a key
    scope = TALK  # that a key must have; empty is any

    @property
    def tenant(self) -> str:
        """Who asks: what is kept for one is never shown to another. Empty without a key."""
        return str(getattr(self.request.auth, "tenant", ""))

    @property
    def remembering(self) -> bool:
        """Unless the client wants nothing to be kept, nor from what was kept."""
        return "no-store" not in self.request.headers.get("Cache-Control", "").lower()

    @property
    def engines(self) -> Engines:
        """With what remembers their results, if the client has nothing against it."""
        return engines if self.remembering else engines.bare

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        with tenants.acting_for(""):
            return super().dispatch(request, *args, **kwargs)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        try:
            super().initial(request, *args, **kwargs)
        except (AuthenticationFailed, NotAuthenticated):
            self.check_throttles(request)  # who tries keys does not try many
            raise

    def perform_authentication(self, request: Request) -> None:
        super().perform_authentication(request)
        tenants.become(self.tenant)


def turn_headers(turn: Turn, decoded_s: float) -> dict[str, str]:
    """What is told of a turn that was taken, besides its answer."""
    return {
        "X-Transcript": headers.encoded(turn.transcript.text),
        "X-Reply": headers.encoded(turn.reply),
        "X-Cache": headers.per_stage(provenance.caches(turn)),
        "X-Outbound": headers.per_stage(provenance.outbound(turn, engines)),
        "X-Speech-Engine": ", ".join(provenance.speakers(turn)),
        "Content-Language": turn.transcript.language,
        "Server-Timing": headers.server_timing(times_json(turn.times, decoded_s)),
        "Cache-Control": "no-store",
    }


def stream_headers(transcript: Transcript) -> dict[str, str]:
    """What is told of a turn that is still being taken."""
    return {
        "X-Transcript": headers.encoded(transcript.text),
        "X-Outbound": headers.per_stage({role: e.outbound for role, e in engines}),
        "Content-Language": transcript.language,
        "Cache-Control": "no-store",
        "X-Accel-Buffering": "no",  # nginx would keep it to itself until it is complete
    }


class IndexView(ApiView):
    """Where things are."""

    scope = ""

    def get(self, request: Request) -> Response:
        names = ["voice", "voices", "conversations", "jobs", "live", "ready", "schema", "docs"]
        return Response({name: reverse(f"api:{name}", request=request) for name in names})


class VoicesView(ApiView):
    """The voices there are; ``?language=fr`` for those that speak it."""

    def get(self, request: Request) -> Response:
        language = primary_language(request.query_params.get("language", ""))
        return Response([voice_json(v) for v in engines.tts.voices if language in ("", v.language)])


class RecordingView(ApiView):
    """Gives engines work, for which there is a place and a deadline, and gives account of it."""

    account: Account | Part
    place: Place

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        with deadline.within(settings.VOICEBOT_MAX_TURN_S), admission.visit() as self.place:
            try:
                response = super().dispatch(request, *args, **kwargs)
            except BaseException:
                self.place.leave()
                raise
            if not response.streaming:
                self.place.leave()
            return response

    def told(
        self, chunks: Generator[bytes, None, None], farewell: Callable[[Problem], bytes | None]
    ) -> streaming.Body | streaming.AsyncBody:
        """The body of an answer that is sent while it is made: see ``followed``."""
        chunks = followed(chunks, self.account, self.request, farewell)
        return streaming.body(self.request._request, self.place.during(chunks))

    def open_account(self, request_id: str) -> Account | Part:
        return Account(request_id)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        self.account = self.open_account(request.META[META])
        check_declared(request.META.get("CONTENT_LENGTH"), request.path)
        posted = request._request
        posted.upload_handlers = [WholeUploads(posted), *posted.upload_handlers]
        super().initial(request, *args, **kwargs)
        if isinstance(self.account, Account):
            self.account.tenant = self.tenant  # known from here on

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        response = super().finalize_response(request, response, *args, **kwargs)
        if not response.streaming:
            code = response.code if isinstance(response, Problem | Postponed) else ""
            self.account.close(response.status_code, code)
        return response


class VoiceView(RecordingView):
    """A spoken question in, a spoken answer out."""

    renderer_classes = TURN_RENDERERS
    account: Account

    def post(self, request: Request) -> HttpResponseBase:
        question = Question(data=request.data, context={"tenant": self.tenant})
        question.is_valid(raise_exception=True)
        asked = question.validated_data
        if asked["conversation"]:
            check_scope(request, CONVERSATIONS)
        encoder = self._encoder(request, asked["stream"])
        wishes = {name: asked[name] for name in ("language", "voice", "speed")}
        wishes["eager"] = encoder is not None
        self.place.enter(engines, "stt", "llm", "tts")
        self.account.begin(
            conversation=asked["conversation"], upload_bytes=asked["audio"].size, options=wishes
        )
        started = time.monotonic()
        try:
            limit_s = settings.VOICEBOT_MAX_UTTERANCE_S
            utterance = decode(asked["audio"].file, max_duration=limit_s)
        except AudioTooLong as too_long:
            postponed = asked["job"] and asked["conversation"] is None
            if not postponed or max(limit_s, too_long.duration) >= settings.VOICEBOT_MAX_JOB_S:
                raise
            return self._postponed(request, asked["audio"], asked["language"])
        self.account.decoded_s = time.monotonic() - started
        self.place.size = Size(sound_s=utterance.duration)
        remembering = self.remembering and not self._cache_off(request, asked["cache"])
        turn = self.account.take(utterance, remembering=remembering, **wishes)
        if encoder is None:
            return self._whole(request, take(turn))
        return self._streamed(request, turn, encoder(request, self.account))

    def _postponed(
        self, request: Request, audio: UploadedFile, language: str | None
    ) -> HttpResponseBase:
        """It is written down when there is time."""
        job = Job(
            tenant=self.tenant,
            request_id=request.META[META],
            upload_bytes=audio.size or 0,
            language=language or "",
        )
        audio.seek(0)
        tasks.begin(audio.chunks(), job)
        return Postponed(request, job)

    def _cache_off(self, request: Request, cache: str) -> bool:
        """Whether the form, or the address, says so."""
        wishes = Wishes(data=request.query_params.dict())
        wishes.is_valid(raise_exception=True)
        return "off" in (cache, wishes.validated_data["cache"])

    def _encoder(self, request: Request, stream: bool) -> type[Encoder] | None:
        """Of the answer, when it is to be sent while it is made."""
        match request.accepted_renderer.format:
            case "events":
                return Events
            case "l16":
                return L16
            case "wav":
                accepted = MediaType(request.accepted_media_type).params
                wishes = Wishes(data={**accepted, **request.query_params.dict()})
                wishes.is_valid(raise_exception=True)
                return Wav if stream or wishes.validated_data["stream"] else None
        return None

    def _whole(self, request: Request, turn: Turn) -> Response:
        decoded_s = self.account.decoded_s
        if request.accepted_renderer.format == "wav":
            body: object = to_wav(turn.audio)
            filename = FILENAME
        else:
            body, filename = turn_json(request, self.account), {}
        return Response(
            body,
            headers={**turn_headers(turn, decoded_s), **filename},
        )

    def _streamed(
        self, request: Request, turn: Generator[Event, None, None], encoder: Encoder
    ) -> StreamingHttpResponse:
        return StreamingHttpResponse(
            self.told(encoded(turn, encoder.encode), encoder.failure),
            content_type=encoder.content_type,
            headers={
                **stream_headers(encoder.transcript),
                **(FILENAME if isinstance(encoder, Wav) else {}),
            },
        )


class SpeechView(ApiView):
    """Kept speech by its address: sentence after sentence, as one WAV."""

    def get(self, request: Request, keys: list[str]) -> HttpResponseBase:
        own = CachedSpeech.objects.filter(tenant=self.tenant)
        sentences = [own.audio(key) for key in keys]
        audio = [sentence for sentence in sentences if sentence is not None]
        if len(audio) < len(keys):
            raise SpeechNotFound
        # One sentence may have been spoken by an engine that stood in for that of another.
        wav = to_wav(sentence.resampled(audio[0].sample_rate) for sentence in audio)
        return wav_response(request, wav)
