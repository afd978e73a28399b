"""Microsoft's side of the conversation with edge-tts, on a port of this machine.

It reads what the real server reads (token of the handshake, configuration, SSML) and answers in the
same frames, with real MP3: a tone as long as the text would take. How it behaves is a *manner*: one
for each connection to come, the last for all that follow.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from email.utils import formatdate
from typing import Self
from xml.etree import ElementTree

import av
import numpy as np
from aiohttp import web
from edge_tts.drm import generate_sec_ms_gec_v2

RATE = 24_000  # Hz
CHARS_PER_S = 15
STEP_BYTES = 720  # of MP3 in a message
TOKEN_S = 300  # a token is valid for this long, and in the step before


@dataclass(frozen=True, slots=True)
class Talk:
    """One connection whose request has been read."""

    socket: web.WebSocketResponse
    request_id: str
    mp3: bytes

    async def text(self, path: str, body: object) -> None:
        head = f"X-RequestId:{self.request_id}\r\nContent-Type:application/json; charset=utf-8\r\n"
        await self.socket.send_str(f"{head}Path:{path}\r\n\r\n{json.dumps(body)}")

    async def audio(self, data: bytes) -> None:
        kind = "Content-Type:audio/mpeg\r\n" if data else ""  # the last message has none
        head = f"X-RequestId:{self.request_id}\r\n{kind}X-StreamId:1\r\nPath:audio\r\n".encode()
        await self.socket.send_bytes(len(head).to_bytes(2, "big") + head + data)

    async def begin(self) -> None:
        await self.text("turn.start", {"context": {"serviceTag": "1"}})
        await self.text("response", {"context": {"serviceTag": "1"}})

    async def end(self) -> None:
        data = {"Offset": 1_000_000, "Duration": 9_000_000, "text": {"Text": "…", "Length": 1}}
        await self.text(
            "audio.metadata", {"Metadata": [{"Type": "SentenceBoundary", "Data": data}]}
        )
        await self.audio(b"")
        await self.text("turn.end", {})
        await self.socket.receive()  # the client says goodbye first

    @property
    def steps(self) -> list[bytes]:
        return [self.mp3[i : i + STEP_BYTES] for i in range(0, len(self.mp3), STEP_BYTES)]


Manner = Callable[[Talk], Awaitable[None]] | int
"""What to do in a conversation, or the status with which to refuse it."""


async def works(talk: Talk) -> None:
    await talk.begin()
    for step in talk.steps:
        await talk.audio(step)
    await talk.end()


async def slow(talk: Talk) -> None:
    """As long between two pieces as a patient client bears, and much longer in all."""
    await talk.begin()
    for step in talk.steps:
        await asyncio.sleep(0.2)
        await talk.audio(step)
    await talk.end()


async def mute(talk: Talk) -> None:
    """Takes the request, then does not even answer a goodbye."""
    await asyncio.sleep(60)


def together(count: int) -> Manner:
    """Answers nobody until so many have asked."""
    asked = 0

    async def manner(talk: Talk) -> None:
        nonlocal asked
        asked += 1
        while asked < count:
            await asyncio.sleep(0.01)
        await works(talk)

    return manner


def held(go_on: threading.Event, then: Callable[[Talk], Awaitable[None]]) -> Manner:
    """Keeps who asks waiting until a test lets it go on."""

    async def manner(talk: Talk) -> None:
        while not go_on.is_set():
            await asyncio.sleep(0.01)
        await then(talk)

    return manner


async def stalls(talk: Talk) -> None:
    await talk.begin()
    for step in talk.steps[:3]:
        await talk.audio(step)
    await mute(talk)


async def hangs_up(talk: Talk) -> None:
    await talk.begin()
    for step in talk.steps[:3]:
        await talk.audio(step)
    await talk.socket.close()


async def hangs_up_at_once(talk: Talk) -> None:
    await talk.begin()
    await talk.socket.close()


async def no_audio(talk: Talk) -> None:
    await talk.begin()
    await talk.text("turn.end", {})
    await talk.socket.receive()


async def garbage(talk: Talk) -> None:
    await talk.begin()
    for _step in talk.steps:
        await talk.audio(b"<html>Hello!</html>" * 40)
    await talk.end()


async def half_garbage(talk: Talk) -> None:
    await talk.begin()
    await talk.audio(talk.mp3[: len(talk.mp3) // 2])
    await talk.audio(np.random.default_rng(7).bytes(4 * STEP_BYTES))
    await talk.audio(talk.mp3[len(talk.mp3) // 2 :])
    await talk.end()


async def other_format(talk: Talk) -> None:
    await talk.begin()
    await talk.audio(tone(1.0, sample_rate=44_100))
    await talk.end()


async def unknown_protocol(talk: Talk) -> None:
    await talk.text("turn.surprise", {})
    await talk.socket.receive()


class StandIn:
    """Serves in a thread of its own while it is entered."""

    def __init__(self, *manners: Manner, certificate: ssl.SSLContext | None = None) -> None:
        self.manners = list(manners) or [works]
        self.certificate = certificate
        self.clock_ahead_s = 0.0
        self.tells_time = True
        self.handshakes = 0
        self.requests: list[str] = []  # SSML
        self._loop = asyncio.new_event_loop()
        self._runner: web.ServerRunner
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()
        return self

    def __exit__(self, *_exc: object) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def url(self) -> str:
        host, port = self._runner.addresses[0][:2]
        return f"{'wss' if self.certificate else 'ws'}://{host}:{port}/v1?TrustedClientToken=1"

    @property
    def connections(self) -> int:
        server = self._runner.server
        return len(server.connections) if server else 0

    async def _start(self) -> None:
        server = web.Server(self._answer, handler_cancellation=True, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self.certificate).start()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.handshakes += 1
        manner = self.manners.pop(0) if len(self.manners) > 1 else self.manners[0]
        clock = time.time() + self.clock_ahead_s
        if isinstance(manner, int) or request.query["Sec-MS-GEC"] not in {
            generate_sec_ms_gec_v2(clock),
            generate_sec_ms_gec_v2(clock - TOKEN_S),
        }:
            status = manner if isinstance(manner, int) else 403
            date = formatdate(clock, usegmt=True) if self.tells_time else ""
            return web.Response(status=status, headers={"Date": date})
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        config, asked = await socket.receive_str(), await socket.receive_str()
        assert "Path:speech.config\r\n" in config
        assert '"outputFormat":"audio-24khz-48kbitrate-mono-mp3"' in config
        head, ssml = asked.split("\r\n\r\n", 1)
        assert "Path:ssml" in head
        self.requests.append(ssml)
        found = re.search("X-RequestId:([0-9a-f]{32})", head)
        assert found
        with suppress(ConnectionError):  # the client has heard enough
            await manner(Talk(socket, found[1], spoken(ssml)))
        return socket


def spoken(ssml: str) -> bytes:
    """A tone as long as the text takes to say at the rate asked for."""
    prosody = ElementTree.fromstring(ssml).find(".//{*}prosody")
    assert prosody is not None
    faster = 1 + int(prosody.attrib["rate"].rstrip("%")) / 100
    return tone(len("".join(prosody.itertext())) / CHARS_PER_S / faster)


def tone(duration: float, sample_rate: int = RATE) -> bytes:
    """MP3 of 48 kbit/s, mono."""
    encoder = av.CodecContext.create("libmp3lame", "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate, encoder.layout, encoder.format = sample_rate, "mono", "fltp"
    encoder.bit_rate = 48_000
    encoder.open()
    time_s = np.arange(int(duration * sample_rate)) / sample_rate
    samples = (0.3 * np.sin(2 * np.pi * 220 * time_s)).astype(np.float32)
    samples = np.pad(samples, (0, -len(samples) % encoder.frame_size))
    packets = []
    for start in range(0, len(samples), encoder.frame_size):
        row = samples[np.newaxis, start : start + encoder.frame_size]
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(row), "fltp", "mono")
        frame.sample_rate, frame.pts = sample_rate, start
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    return b"".join(bytes(packet) for packet in packets)
