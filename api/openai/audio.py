"""``/v1/audio/``: recordings written down, and texts said aloud."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Generator
from contextlib import closing
from typing import Literal

import numpy as np
from django.conf import settings
from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from api.exceptions import Problem
from api.openai import events, transcripts, voices
from api.openai.bodies import JsonBody
from api.openai.listing import model_ids, model_of
from api.openai.serializers import RecordingForm, TextBody
from api.serializers import voice_json
from api.turns import Part
from api.views import ApiView, RecordingView
from pipeline import subtitles
from pipeline.audio import Audio, decode
from pipeline.encoding import MEDIA_TYPES, SAMPLE_RATE, encoder
from pipeline.engines import engines
from pipeline.errors import NoSpeech
from pipeline.languages import written_in
from pipeline.pace import Size
from pipeline.stt.base import Task, Transcript
from pipeline.tts.base import Speech

NO_STORE = {"Cache-Control": "no-store"}
STREAMED = {**NO_STORE, "X-Accel-Buffering": "no"}

SILENCE = Audio(np.zeros(SAMPLE_RATE // 10, np.float32), SAMPLE_RATE)
"""The speech of a text with nothing to say aloud."""

NO_TOKENS = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
"""Voices do not count in tokens; clients want some."""


class PartView(RecordingView):
    kind: Literal["transcript", "speech"]
    account: Part

    def open_account(self, request_id: str) -> Part:
        return Part(request_id, self.kind)


class TranscriptionsView(PartView):
    """A recording in, its transcript out."""

    kind = "transcript"
    task: Task = "transcribe"

    def post(self, request: Request) -> HttpResponseBase:
        form = RecordingForm(data=request.data)
        form.is_valid(raise_exception=True)
        asked = form.validated_data
        model_of("stt", asked["model"])
        facts = self.account.facts
        facts["upload_bytes"] = asked["file"].size
        self.place.enter(engines, "stt")
        started = time.monotonic()
        utterance = decode(asked["file"].read(), max_duration=settings.VOICEBOT_MAX_UTTERANCE_S)
        facts |= {"audio_s": utterance.duration, "decode_s": time.monotonic() - started}
        self.place.size = Size(sound_s=utterance.duration)
        verbose = asked["response_format"] == "verbose_json"
        granularities = asked["timestamp_granularities[]"]
        heard_at = time.monotonic()
        try:
            transcript = self.engines.stt.transcribe(
                utterance,
                language=asked["language"],
                task=self.task,
                prompt=asked["prompt"],
                words=verbose and "word" in granularities,
            )
        except NoSpeech:
            # OpenAI's clients take it for a failure of ours unless it is a transcript.
            language = "en" if self.task == "translate" else asked["language"]
            transcript = Transcript("", language or settings.VOICEBOT_LANGUAGE)
        facts |= {
            "language": transcript.language,
            "transcript_chars": len(transcript.text),
            "stt_s": time.monotonic() - heard_at,
            "cache": transcript.cache,
            "outbound": "stt" if engines.stt.outbound else "none",
        }
        if asked["stream"]:
            return _as_events(transcript)
        duration = utterance.duration
        match asked["response_format"]:
            case "json":
                return Response(transcripts.brief_json(transcript, duration), headers=NO_STORE)
            case "verbose_json":
                told = transcripts.verbose_json(transcript, duration, self.task, granularities)
                return Response(told, headers=NO_STORE)
            case "srt":
                return _as_text(subtitles.srt(transcript.segments))
            case "vtt":
                return _as_text(subtitles.vtt(transcript.segments), "text/vtt")
        return _as_text(f"{transcript.text}\n")


class TranslationsView(TranscriptionsView):
    """A recording in, what it says in English out, where the weights can."""

    task = "translate"


def _as_text(text: str, media_type: str = "text/plain") -> HttpResponse:
    return HttpResponse(text, content_type=f"{media_type}; charset=utf-8", headers=NO_STORE)


def _as_events(transcript: Transcript) -> HttpResponse:
    """A delta for each segment: engines hear all of an utterance before they tell."""
    pieces = [segment.text for segment in transcript.segments] or [transcript.text]
    deltas = [pieces[0], *(f" {piece}" for piece in pieces[1:])]
    told = [{"type": "transcript.text.delta", "delta": delta} for delta in deltas if delta]
    told.append({"type": "transcript.text.done", "text": transcript.text})
    body = b"".join(events.sent(event) for event in told)
    return HttpResponse(body, content_type=events.MEDIA_TYPE, headers=STREAMED)


class SpeechView(PartView):
    """A text in, its speech out, sentence by sentence as it is made."""

    kind = "speech"
    parser_classes = [JsonBody]

    def post(self, request: Request) -> HttpResponseBase:
        wanted = TextBody(data=request.data)
        wanted.is_valid(raise_exception=True)
        asked = wanted.validated_data
        model_of("tts", asked["model"])
        name, language = asked["voice"] or "", asked["language"]
        if language is None and not voices.is_ours(name):
            language = written_in(asked["input"], engines.tts.languages)
        voice = voices.choose(name, language)
        self.place.enter(engines, "tts", size=Size(chars=len(asked["input"])))
        speeches = self.engines.tts.synthesize(
            asked["input"],
            voice=voice.id,
            language=voice.language,
            speed=asked["speed"],
            eager=True,
        )
        self.account.facts |= {
            "text_chars": len(asked["input"]),
            "language": voice.language,
            "format": asked["response_format"],
        }
        chunks = self._chunks(speeches, asked["response_format"])
        if asked["stream_format"] == "sse":
            media_type = events.MEDIA_TYPE
            body = self.told(_as_deltas(chunks), events.failed)
        else:
            media_type = MEDIA_TYPES[asked["response_format"]]
            body = self.told(chunks, _break_off)
        return StreamingHttpResponse(
            body,
            content_type=media_type,
            headers={**STREAMED, "Content-Language": voice.language},
        )

    def _chunks(
        self, speeches: Generator[Speech, None, None], name: str
    ) -> Generator[bytes, None, None]:
        format = encoder(name)
        started = time.monotonic()
        spoken: list[Speech] = []
        with closing(speeches):
            for speech in speeches:
                if not spoken:
                    self.account.facts["first_audio_s"] = time.monotonic() - started
                spoken.append(speech)
                yield format.feed(speech.audio)
        if not spoken:  # a mark or an emoji, by which clients try a key
            yield format.feed(SILENCE)
        self.account.facts |= {
            "sentences": sum(speech.last for speech in spoken),
            "speech_s": sum(speech.audio.duration for speech in spoken),
            "tts_s": time.monotonic() - started,
            "cache": ",".join(sorted({speech.cache for speech in spoken})),
            "speech_engine": ",".join(dict.fromkeys(speech.engine for speech in spoken)),
            "outbound": "tts" if any(speech.outbound for speech in spoken) else "none",
        }
        yield format.finish()


def _break_off(problem: Problem) -> None:
    """Nothing can be told in the midst of sound."""


def _as_deltas(chunks: Generator[bytes, None, None]) -> Generator[bytes, None, None]:
    with closing(chunks):
        for chunk in chunks:
            if chunk:
                audio = b64encode(chunk).decode("ascii")
                yield events.sent({"type": "speech.audio.delta", "audio": audio})
    yield events.sent({"type": "speech.audio.done", "usage": NO_TOKENS})


class VoicesView(ApiView):
    """Ours, as other servers of OpenAI's API list theirs, and what OpenAI's names stand for."""

    def get(self, request: Request) -> Response:
        ours = [voice_json(voice) for voice in engines.tts.voices]
        return Response({"voices": ours, "aliases": voices.aliases()})


class SpeechModelsView(ApiView):
    """What Open WebUI asks for beside the voices."""

    def get(self, request: Request) -> Response:
        return Response({"models": [{"id": model_ids()["tts"]}]})
