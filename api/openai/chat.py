"""``/v1/chat/completions``: a turn that is asked for in OpenAI's words."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from django.conf import settings
from django.http import HttpResponseBase, StreamingHttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from api.middleware import META
from api.openai import events, voices
from api.openai.bodies import JsonBody
from api.openai.completions import ENCODINGS, Answer, Chunks, completion_json
from api.openai.listing import model_of
from api.openai.messages import Chat, Said, chat
from api.openai.serializers import ChatBody
from api.turns import Account, encoded
from api.views import RecordingView, stream_headers, turn_headers
from pipeline import prompts
from pipeline.audio import Audio, decode
from pipeline.engines import engines
from pipeline.errors import AudioTooLong, NoSpeech
from pipeline.languages import written_in
from pipeline.llm.base import Message, Sampling
from pipeline.pace import Size
from pipeline.stt.base import Transcript
from pipeline.turn import Event, take


class ChatView(RecordingView):
    """A question in, written or spoken; the reply out, written or spoken."""

    parser_classes = [JsonBody]
    account: Account

    def post(self, request: Request) -> HttpResponseBase:
        body = ChatBody(data=request.data)
        body.is_valid(raise_exception=True)
        asked = body.validated_data
        model = model_of("llm", asked["model"] or "")
        talk = chat(asked["messages"])
        aloud = "audio" in asked["modalities"]
        audio = asked["audio"]
        voice = audio["voice"] or ""
        language = asked["language"]
        if language is None and aloud and voices.is_ours(voice):
            language = voices.choose(voice).language
        wishes: dict[str, Any] = {
            "language": language,
            "aloud": aloud,
            "eager": aloud and asked["stream"],
        }
        recordings = [r for said in (*talk.before, talk.question) for r in said.recordings]
        sampling = _sampling(asked)
        stages = ["stt"] * bool(recordings) + ["llm"] + ["tts"] * aloud
        self.place.enter(engines, *stages, size=Size(tokens=sampling.max_tokens))
        self.account.begin(
            upload_bytes=sum(map(len, recordings)),
            options={**wishes, "voice": voice, "format": audio["format"]},
        )
        turn = self.account.take(
            self._said(talk.question, language, aloud=aloud),
            remembering=self.remembering,
            **wishes,
            voice=partial(_voice_id, voice),
            history=self._heard_before(talk, language),
            instructions=talk.instructions,
            beside=_beside(talk.question),
            sampling=sampling,
        )
        format = ENCODINGS[audio["format"]] if aloud else None
        answer = Answer(f"chatcmpl-{request.META[META]}", model, format)
        if asked["stream"]:
            chunks = Chunks(answer, usage=asked["stream_options"]["include_usage"])
            return self._streamed(request, turn, chunks)
        taken = take(turn)
        return Response(
            completion_json(answer, taken), headers=turn_headers(taken, self.account.decoded_s)
        )

    def _said(self, question: Said, language: str | None, *, aloud: bool) -> Audio | Transcript:
        if question.recordings:
            return self._decoded(question.recordings)
        text = "\n".join(part for part in question.parts if isinstance(part, str)).strip()
        among = engines.tts.languages if aloud else prompts.PROMPTS.keys()
        language = language or written_in(text, among) or settings.VOICEBOT_LANGUAGE
        return Transcript(text, language)

    def _decoded(self, recordings: Sequence[bytes]) -> Audio:
        """``recordings`` one after the other.

        :raises AudioDecodeError, AudioTooLong: see ``decode``; they share its bound.
        """
        limit = settings.VOICEBOT_MAX_UTTERANCE_S
        started = time.monotonic()
        pieces = [decode(recording, max_duration=limit) for recording in recordings]
        self.account.decoded_s += time.monotonic() - started
        sound_s = sum(piece.duration for piece in pieces) + (self.place.size.sound_s or 0.0)
        self.place.size = replace(self.place.size, sound_s=sound_s)
        whole = Audio(np.concatenate([p.samples for p in pieces]), pieces[0].sample_rate)
        if whole.duration > limit:
            raise AudioTooLong(whole.duration, limit)
        return whole

    def _heard_before(self, talk: Chat, language: str | None) -> list[Message]:
        """What was said before. Recordings are heard again, unless that is remembered.

        Where one between them says nothing, neighbours of the same role are one message, too.
        """
        stt = self.engines.stt

        def texts(said: Said) -> Iterator[str]:
            for part in said.parts:
                if isinstance(part, str):
                    yield part.strip()
                    continue
                try:
                    yield stt.transcribe(self._decoded([part]), language=language).text
                except NoSpeech:
                    continue

        messages: list[Message] = []
        for said in talk.before:
            text = "\n".join(texts(said))
            if text and messages and messages[-1].role == said.role:
                text = f"{messages.pop().text}\n{text}"
            if text:
                messages.append(Message(said.role, text))
        return messages

    def _streamed(
        self, request: Request, turn: Generator[Event, None, None], chunks: Chunks
    ) -> StreamingHttpResponse:
        body = self.told(encoded(turn, chunks.encode), events.failed)
        return StreamingHttpResponse(
            body, content_type=events.MEDIA_TYPE, headers=stream_headers(chunks.transcript)
        )


def _voice_id(name: str, language: str | None) -> str:
    return voices.choose(name, language).id


def _beside(question: Said) -> str:
    """What is written along with a recording: of both, it is what to do with it."""
    if not question.recordings:
        return ""
    return "\n".join(part.strip() for part in question.parts if isinstance(part, str))


def _sampling(asked: dict[str, Any]) -> Sampling:
    return Sampling(
        max_tokens=asked["max_completion_tokens"] or asked["max_tokens"],
        temperature=asked["temperature"] or 0.0,
        top_p=1.0 if asked["top_p"] is None else asked["top_p"],
        stop=tuple(asked["stop"]),
    )
