"""The voices of Microsoft Edge, by edge-tts (https://github.com/rany2/edge-tts).

Every sentence is sent to Microsoft, which promises nothing: it may refuse, stall or change at any
time. So the wait for each piece of sound is bounded as well as the whole, what failed before any
sound came is asked for once more, and after failures in a row a circuit breaker leaves it alone.
"""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from collections.abc import Coroutine, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from itertools import chain
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import av
import numpy as np
from django.utils.translation import gettext as _

from pipeline.audio import Audio
from pipeline.base import Deadline
from pipeline.breaker import Breaker
from pipeline.errors import EngineError, EngineTimeout, EngineUnavailable, PipelineError
from pipeline.tts.base import TextToSpeech, Voice

if TYPE_CHECKING:
    from edge_tts import Communicate

logger = logging.getLogger(__name__)

T = TypeVar("T")

NAME = "Edge TTS"  # for people
RATE = 24_000  # Hz; edge-tts asks for MP3 of 48 kbit/s, mono
TOKEN_S = 300.0
"""The token of a handshake holds the time in steps of five minutes."""

# The first two columns are those of `edge-tts --list-voices`. The id becomes part of the SSML as
# it is, hence no other is ever sent.
TABLE = """
    fr-FR-DeniseNeural                 Female  Denise
    fr-FR-HenriNeural                  Male    Henri
    fr-FR-VivienneMultilingualNeural   Female  Vivienne
    fr-FR-RemyMultilingualNeural       Male    Rémy
    fr-FR-EloiseNeural                 Female  Éloïse
    fr-BE-CharlineNeural               Female  Charline
    fr-BE-GerardNeural                 Male    Gérard
    fr-CH-ArianeNeural                 Female  Ariane
    fr-CH-FabriceNeural                Male    Fabrice
    fr-CA-SylvieNeural                 Female  Sylvie
    fr-CA-AntoineNeural                Male    Antoine
    fr-CA-JeanNeural                   Male    Jean
    fr-CA-ThierryNeural                Male    Thierry
    en-US-EmmaMultilingualNeural       Female  Emma
    en-US-AndrewMultilingualNeural     Male    Andrew
    en-GB-SoniaNeural                  Female  Sonia
    en-GB-RyanNeural                   Male    Ryan
    es-ES-ElviraNeural                 Female  Elvira
    es-ES-AlvaroNeural                 Male    Álvaro
    es-MX-DaliaNeural                  Female  Dalia
    it-IT-ElsaNeural                   Female  Elsa
    it-IT-GiuseppeMultilingualNeural   Male    Giuseppe
    pt-PT-RaquelNeural                 Female  Raquel
    pt-PT-DuarteNeural                 Male    Duarte
    pt-BR-FranciscaNeural              Female  Francisca
    pt-BR-AntonioNeural                Male    Antônio
    de-DE-KatjaNeural                  Female  Katja
    de-DE-ConradNeural                 Male    Conrad
"""

# Everything else (XML 1.0, section 2.2) would spoil the request; edge-tts knows only some of it.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class _Soundless(EngineUnavailable):
    """It failed at once, before any sound: worth asking again."""


def _voice(line: str) -> Voice:
    voice_id, gender, name = line.split()
    return Voice(voice_id, voice_id[:2], name, cast('Literal["female", "male"]', gender.lower()))


class Edge(TextToSpeech):
    """Speaks from Microsoft's server: fine voices, but the text leaves the machine."""

    packages = {"edge_tts": "edge-tts"}
    voices: Sequence[Voice] = tuple(map(_voice, TABLE.strip().splitlines()))
    default_voices: Mapping[str, str] = {
        "fr": "fr-FR-DeniseNeural",
        "en": "en-US-EmmaMultilingualNeural",
        "es": "es-ES-ElviraNeural",
        "it": "it-IT-ElsaNeural",
        "pt": "pt-PT-RaquelNeural",
        "de": "de-DE-KatjaNeural",
    }

    def __init__(
        self,
        *,
        slots: int = 8,
        wait_s: float = 10.0,
        timeout_s: float = 20.0,
        silence_s: float = 5.0,
        failures: int = 3,
        rest_s: float = 60.0,
    ) -> None:
        """``silence_s``: the longest wait for a piece of sound, the first as well as the next.

        After ``failures`` in a row it is left alone for ``rest_s``.
        """
        super().__init__(slots=slots, wait_s=wait_s, timeout_s=timeout_s)
        self._silence_s = silence_s
        self.breaker = Breaker(NAME, failures=failures, rest_s=rest_s)
        self._loop: asyncio.AbstractEventLoop

    @property
    def outbound(self) -> bool:
        return True

    @property
    def elsewhere(self) -> bool:
        return True

    def _load(self) -> None:
        """Reaches for nobody: without a network it loads as well."""
        import edge_tts  # noqa: F401 - it takes a while: not the first user's

        # One loop for all calls. `asyncio.run` would have each wait, whatever its deadline, for
        # its look-ups of names to end, as nothing can cancel those.
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="edge", daemon=True).start()

    def _synthesize(self, sentence: str, voice: Voice, speed: float, deadline: Deadline) -> Audio:
        with self.breaker.guard():
            try:
                return self._hear(sentence, voice, speed, deadline)
            except _Soundless as exc:
                logger.info("%s is asked again: %s", NAME, exc)
                return self._hear(sentence, voice, speed, deadline)

    def _hear(self, sentence: str, voice: Voice, speed: float, deadline: Deadline) -> Audio:
        from edge_tts import Communicate
        from edge_tts.drm import DRM

        skew_s = DRM.clock_skew_seconds
        communicate = Communicate(
            _NOT_XML.sub(" ", sentence),  # and escaped, by the library
            voice.id,
            rate=f"{round(100 * (speed - 1)):+d}%",
            proxy=_proxy(),
        )
        try:
            with closing(self._pieces(communicate, deadline)) as pieces:
                audio = _decoded(pieces)
        except PipelineError:
            raise
        except Exception as exc:
            raise _named(exc) from exc
        if abs(DRM.clock_skew_seconds - skew_s) > TOKEN_S:
            logger.warning("This machine's clock is %.0f s off.", DRM.clock_skew_seconds)
        return audio

    def _pieces(self, communicate: Communicate, deadline: Deadline) -> Generator[bytes, None, None]:
        """The MP3 as it comes; once closed nothing goes on."""
        received: SimpleQueue[bytes | None] = SimpleQueue()

        async def listen() -> None:
            try:
                async for message in communicate.stream():
                    if message["type"] == "audio":
                        received.put(message["data"])
            finally:
                received.put(None)

        task = self._on_loop(_started(listen()))
        try:
            while (piece := self._next(received, deadline)) is not None:
                yield piece
        finally:
            failure = self._on_loop(_ended(task))
        if failure is not None:
            raise failure
        # The library takes a closed connection for the end; at the real end it resets this count.
        if communicate.state["chunk_audio_bytes"]:
            raise EngineError(_("%(name)s hung up in mid-sentence.") % {"name": NAME})

    def _next(self, received: SimpleQueue[bytes | None], deadline: Deadline) -> bytes | None:
        try:
            return received.get(timeout=min(self._silence_s, deadline.remaining_s))
        except Empty:
            deadline.check()
            text = _("%(name)s has sent nothing for %(seconds)g s.")
            raise EngineTimeout(text % {"name": NAME, "seconds": self._silence_s}) from None

    def _on_loop(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


async def _started(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    return asyncio.create_task(work)


async def _ended(task: asyncio.Task[None]) -> BaseException | None:
    """What ended it, if not its end; one that still runs is cancelled."""
    task.cancel()
    await asyncio.wait({task})
    return None if task.cancelled() else task.exception()


def _proxy() -> str | None:
    """What ``https_proxy`` and ``no_proxy`` say; aiohttp would only look for ``wss_proxy``."""
    from edge_tts.constants import WSS_URL

    host = urlsplit(WSS_URL).hostname or ""
    return None if proxy_bypass(host) else getproxies().get("https")


def _decoded(pieces: Iterable[bytes]) -> Audio:
    """MP3 in pieces cut anywhere, each decoded when it comes."""
    codec = cast("av.AudioCodecContext", av.CodecContext.create("mp3float", "r"))
    chunks = [np.empty(0, np.float32)]
    try:
        for piece in chain(pieces, [None]):
            for packet in codec.parse(piece):
                for frame in codec.decode(packet):
                    if (frame.sample_rate, frame.layout.nb_channels) != (RATE, 1):
                        raise av.InvalidDataError(0, "not the format asked for")
                    chunks.append(frame.to_ndarray()[0])
    except av.FFmpegError as exc:
        raise EngineError(_("%(name)s sent sound that cannot be read.") % {"name": NAME}) from exc
    return Audio(np.clip(np.concatenate(chunks), -1, 1), RATE)


def _named(exc: Exception) -> Exception:
    """The failure that an error of the library is; what is none of those stays as it is."""
    import aiohttp
    from edge_tts import exceptions as edge

    names: dict[str, object] = {"name": NAME}
    match exc:
        case aiohttp.ClientResponseError(status=403):
            return _refused()
        case edge.SkewAdjustmentError():
            text = _("%(name)s refuses us (403) without telling its time. Is our clock right?")
            return EngineUnavailable(text % names)
        case aiohttp.ClientResponseError(status=429):
            return EngineUnavailable(_("%(name)s is asked too often (429).") % names)
        case aiohttp.ClientResponseError(status=status):
            text = _("%(name)s fails (%(status)d).") % {**names, "status": status}
            return _Soundless(text) if status >= 500 else EngineUnavailable(text)
        case aiohttp.ClientSSLError():
            return EngineUnavailable(_("The certificate of %(name)s cannot be trusted.") % names)
        case aiohttp.ClientConnectorDNSError():
            return EngineUnavailable(_("%(name)s has no address. Is there a network?") % names)
        case aiohttp.ClientError():
            return _Soundless(_("%(name)s cannot be reached.") % names)
        case edge.NoAudioReceived():
            return _Soundless(_("%(name)s sent no sound.") % names)
        case edge.EdgeTTSException():
            text = _("%(name)s answers in an unknown way. Is there a newer edge-tts?")
            return EngineError(text % names)
    return exc


def _refused() -> EngineUnavailable:
    """Of two handshakes: edge-tts sets its clock by the first refusal, then tries again."""
    from edge_tts.drm import DRM

    if abs(DRM.clock_skew_seconds) > TOKEN_S:
        text = _("%(name)s refuses us (403), and our clock is %(seconds)d s off.")
        return EngineUnavailable(
            text % {"name": NAME, "seconds": round(abs(DRM.clock_skew_seconds))}
        )
    text = _("%(name)s refuses us (403). Is there a newer edge-tts?")
    return EngineUnavailable(text % {"name": NAME})
