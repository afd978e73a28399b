"""The views: each reads a request, calls the pipeline and writes a response."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import asdict
from hashlib import sha256
from typing import Any

from django.conf import settings
from django.http import HttpResponseBase
from django.utils.cache import get_conditional_response
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from api import headers
from api.exceptions import Problem, RangeNotSatisfiable, SpeechNotFound
from api.limits import WholeUploads, check_declared
from api.middleware import META
from api.renderers import WAV_OR_JSON, Negotiation
from api.serializers import (
    Question,
    cache_json,
    outbound_json,
    primary_language,
    speech_engines,
    turn_json,
    voice_json,
)
from cache.models import CachedSpeech
from cache.ranges import ranged_response
from pipeline.audio import decode, to_wav
from pipeline.engines import engines
from pipeline.turn import Turn, events, take

logger = logging.getLogger(__name__)

MAX_SENTENCES = 50
"""In one speech address: 3 KB, which every server and proxy takes."""


class ApiView(APIView):
    """What all views share."""

    content_negotiation_class = Negotiation
    http_method_names = ["get", "head", "post"]


class IndexView(ApiView):
    """Where things are."""

    def get(self, request: Request) -> Response:
        names = ("voice", "voices", "live", "ready")
        return Response({name: reverse(f"api:{name}", request=request) for name in names})


class VoicesView(ApiView):
    """The voices there are; ``?language=fr`` for those that speak it."""

    def get(self, request: Request) -> Response:
        language = primary_language(request.query_params.get("language", ""))
        return Response([voice_json(v) for v in engines.tts.voices if language in ("", v.language)])


class VoiceView(ApiView):
    """A spoken question in, a spoken answer out."""

    renderer_classes = WAV_OR_JSON
    upload_bytes = 0
    turn: Turn | None = None
    times: dict[str, float] = {}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        check_declared(request.META.get("CONTENT_LENGTH"))
        posted = request._request
        posted.upload_handlers = [WholeUploads(posted), *posted.upload_handlers]
        super().initial(request, *args, **kwargs)

    def post(self, request: Request) -> Response:
        question = Question(data=request.data)
        question.is_valid(raise_exception=True)
        asked = question.validated_data
        self.upload_bytes = asked["audio"].size
        started = time.monotonic()
        utterance = decode(asked["audio"].read(), max_duration=settings.VOICEBOT_MAX_UTTERANCE_S)
        decoded_s = time.monotonic() - started
        turn = take(events(utterance, engines, language=asked["language"], voice=asked["voice"]))
        times = {"decode": decoded_s, **asdict(turn.times)}
        # For the client, decoding is part of the wait.
        times["first_audio"] += decoded_s
        times["total"] += decoded_s
        self.turn, self.times = turn, times
        if request.accepted_renderer.format == "wav":
            body: object = to_wav(turn.audio)
            filename = {"Content-Disposition": 'inline; filename="answer.wav"'}
        else:
            body, filename = self._json(request, turn), {}
        return Response(
            body,
            headers={
                "X-Transcript": headers.encoded(turn.transcript.text),
                "X-Reply": headers.encoded(turn.reply),
                "X-Cache": headers.per_stage(cache_json(turn)),
                "X-Outbound": headers.per_stage(outbound_json(turn)),
                "X-Speech-Engine": ", ".join(speech_engines(turn)),
                "Content-Language": turn.transcript.language,
                "Server-Timing": headers.server_timing(times),
                "Cache-Control": "no-store",
                **filename,
            },
        )

    def _json(self, request: Request, turn: Turn) -> dict[str, Any]:
        keys = [speech.key for speech in turn.speeches if speech.key]
        whole = len(keys) == len(turn.speeches) <= MAX_SENTENCES
        return turn_json(
            turn,
            request_id=request.META[META],
            times=self.times,
            speech_url=speech_url(request, keys) if whole else None,
            sentence_urls=[
                speech_url(request, [speech.key]) if speech.key else None
                for speech in turn.speeches
            ],
        )

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        response = super().finalize_response(request, response, *args, **kwargs)
        self._log(request.META[META], response)
        return response

    def _log(self, request_id: str, response: HttpResponseBase) -> None:
        """One line a turn: sizes and times, never what was said."""
        facts: dict[str, object] = {"upload_bytes": self.upload_bytes}
        if self.turn is None:
            facts["code"] = response.code if isinstance(response, Problem) else None
        else:
            left_machine = outbound_json(self.turn).items()
            facts |= {
                "language": self.turn.transcript.language,
                "transcript_chars": len(self.turn.transcript.text),
                "reply_chars": len(self.turn.reply),
                "sentences": len(self.turn.speeches),
                "speech_s": f"{self.turn.duration:.2f}",
                "cache": self.turn.cache,
                "speech_engine": ",".join(speech_engines(self.turn)),
                "outbound": ",".join(role for role, left in left_machine if left) or "none",
                **{f"{name}_s": f"{seconds:.3f}" for name, seconds in self.times.items()},
            }
        line = " ".join(f"{name}={value}" for name, value in facts.items())
        logger.info("turn %s status=%d %s", request_id, response.status_code, line)


class SpeechView(ApiView):
    """Kept speech by its address: sentence after sentence, as one WAV."""

    def get(self, request: Request, keys: list[str]) -> HttpResponseBase:
        sentences = [CachedSpeech.objects.audio(key) for key in keys]
        audio = [sentence for sentence in sentences if sentence is not None]
        if len(audio) < len(keys):
            raise SpeechNotFound
        # One sentence may have been spoken by an engine that stood in for that of another.
        wav = to_wav(sentence.resampled(audio[0].sample_rate) for sentence in audio)
        response = ranged_response(
            request._request, wav, content_type="audio/wav", etag=sha256(wav).hexdigest()
        )
        if response.status_code == 416:
            refusal = Problem(RangeNotSatisfiable())
            refusal["Content-Range"] = response["Content-Range"]
            return refusal
        # The address tells the content, which says what somebody was told: no shared caches.
        response["Cache-Control"] = "private, max-age=31536000, immutable"
        return (
            get_conditional_response(request._request, response["ETag"], response=response)
            or response
        )


def speech_url(request: Request, keys: Sequence[str]) -> str:
    return reverse("api:speech", kwargs={"keys": keys}, request=request)
