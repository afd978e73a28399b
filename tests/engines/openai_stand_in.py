"""A server of OpenAI's audio API, as its reference documents it, backed by real engines.

https://platform.openai.com/docs/api-reference/audio
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

from pipeline.audio import Audio, decode, to_wav
from pipeline.engines import Engines
from pipeline.stt.base import Task

KEY = "sk-stand-in-0123456789"
MODEL = "stand-in"
POLL_S = 0.02  # how soon the server stops
STREAMED = b"\xff\xff\xff\xff"  # the length of a WAV whose end is not known when it begins

ENGLISH_NAMES = {"fr": "french", "en": "english"}


class Answering(BaseHTTPRequestHandler):
    """One answer after another on a connection; what a test needs to see is kept."""

    protocol_version = "HTTP/1.1"
    answer: Callable[[Answering, bytes], None]
    asked: list[tuple[str, Mapping[str, str], bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append((self.path, dict(self.headers), body))
        type(self).answer(self, body)

    def send(self, status: int, body: bytes, content_type: str, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def send_json(self, status: int, value: object, **headers: str) -> None:
        self.send(status, json.dumps(value).encode(), "application/json", **headers)

    def send_error_json(self, status: int, message: str, **headers: str) -> None:
        self.send_json(status, {"error": {"message": message, "type": "error"}}, **headers)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving(
    answer: Callable[[Answering, bytes], None],
) -> Iterator[tuple[str, list[tuple[str, Mapping[str, str], bytes]]]]:
    """A server on the loopback interface: its base URL, and what it is asked."""
    asked: list[tuple[str, Mapping[str, str], bytes]] = []

    class Handler(Answering):
        pass

    Handler.answer = answer
    Handler.asked = asked
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        thread = threading.Thread(target=server.serve_forever, args=(POLL_S,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1", asked
        finally:
            server.shutdown()
            thread.join()


def audio_api(engines: Engines) -> Callable[[Answering, bytes], None]:
    """What answers as ``/v1/audio/transcriptions``, ``translations`` and ``speech`` do."""

    def answer(http: Answering, body: bytes) -> None:
        if http.headers["Authorization"] != f"Bearer {KEY}":
            given = http.headers["Authorization"] or "nothing"
            http.send_error_json(401, f"Incorrect API key provided: {given}.")
        elif http.path == "/v1/audio/transcriptions":
            _transcribe(http, _form(http.headers, body), engines, "transcribe")
        elif http.path == "/v1/audio/translations":
            _transcribe(http, _form(http.headers, body), engines, "translate")
        elif http.path == "/v1/audio/speech":
            _speak(http, json.loads(body), engines)
        else:
            http.send_error_json(404, f"Invalid URL (POST {http.path})")

    return answer


def _form(headers: Message, body: bytes) -> dict[str, bytes]:
    head = f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode()
    fields: dict[str, bytes] = {}
    for part in BytesParser(policy=HTTP).parsebytes(head + body).iter_parts():
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        # A field may be given several times.
        name = str(part.get_param("name", header="content-disposition"))
        fields[name] = b",".join(filter(None, [fields.get(name), content]))
    return fields


def _transcribe(http: Answering, form: Mapping[str, bytes], engines: Engines, task: Task) -> None:
    if form["model"].decode() != MODEL:
        http.send_error_json(404, "The model does not exist.")
        return
    audio = decode(form["file"], max_duration=60)
    language = form["language"].decode() if "language" in form else None
    timed = b"word" in form.get("timestamp_granularities[]", b"")
    prompt = form.get("prompt", b"").decode()
    transcript = engines.stt.transcribe(
        audio, language=language, task=task, prompt=prompt, words=timed
    )
    if form["response_format"] == b"json":
        http.send_json(200, {"text": transcript.text})
        return
    segments = [
        {"id": index, "start": segment.start, "end": segment.end, "text": f" {segment.text}"}
        for index, segment in enumerate(transcript.segments)
    ]
    named = ENGLISH_NAMES[transcript.language]
    answer = {"task": task, "language": named, "duration": audio.duration}
    words = [{"start": w.start, "end": w.end, "word": w.text} for w in transcript.words]
    if words:
        answer["words"] = words
    http.send_json(200, {**answer, "text": transcript.text, "segments": segments})


def _speak(http: Answering, asked: Mapping[str, str | float], engines: Engines) -> None:
    assert asked["response_format"] == "wav"
    speeches = engines.tts.synthesize(
        str(asked["input"]), voice=str(asked["voice"]), speed=float(asked["speed"])
    )
    audios = [speech.audio for speech in speeches]
    joined = Audio(np.concatenate([audio.samples for audio in audios]), audios[0].sample_rate)
    wav = to_wav([joined])
    http.send(200, wav[:4] + STREAMED + wav[8:40] + STREAMED + wav[44:], "audio/wav")
