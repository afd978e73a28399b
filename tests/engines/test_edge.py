"""Edge, by the real edge-tts, against a stand-in of the server that it speaks to."""

from __future__ import annotations

import logging
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import edge_tts.communicate
import numpy as np
import pytest
from edge_tts.data_classes import TTSConfig
from edge_tts.drm import DRM

from pipeline import breaker
from pipeline.base import Deadline
from pipeline.breaker import Resting
from pipeline.errors import EngineError, EngineTimeout, EngineUnavailable, UnknownVoice
from pipeline.tts.base import TextToSpeech
from pipeline.tts.edge import Edge
from pipeline.tts.fallback import Fallback
from tests.clock import Clock
from tests.engines import edge_stand_in as manners
from tests.engines.contract import SENTENCES, TextToSpeechContract, at_once
from tests.engines.edge_stand_in import StandIn

HURRIED: dict[str, Any] = {"silence_s": 0.5, "timeout_s": 2.0}
PATIENT: dict[str, Any] = {"silence_s": 60.0, "timeout_s": 60.0}
HOUR_S = 3600.0

At = Callable[[str], None]


@pytest.fixture(autouse=True)
def at(monkeypatch: pytest.MonkeyPatch) -> At:
    """Has edge-tts turn to an address. Its clock is right, and no proxy is in the way."""
    monkeypatch.setattr(DRM, "clock_skew_seconds", 0.0)
    for name in ("http_proxy", "https_proxy", "ws_proxy", "wss_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return lambda url: monkeypatch.setattr(edge_tts.communicate, "WSS_URL", url)


@pytest.fixture
def serving(at: At) -> Callable[..., AbstractContextManager[StandIn]]:
    @contextmanager
    def serve(*args: manners.Manner, **options: Any) -> Iterator[StandIn]:
        with StandIn(*args, **options) as server:
            at(server.url)
            yield server

    return serve


Serving = Callable[..., AbstractContextManager[StandIn]]


@pytest.fixture
def server(serving: Serving) -> Iterator[StandIn]:
    with serving() as server:
        yield server


def say(engine: TextToSpeech, text: str = SENTENCES["fr"], **options: Any) -> float:
    """The duration of a sentence that is heard to its end."""
    [speech] = engine.synthesize(text, **options)
    samples = speech.audio.samples
    assert np.abs(samples[-2_400:]).max() > 0.05  # the tone goes on to the end
    return speech.audio.duration


def fails(engine: TextToSpeech, text: str = SENTENCES["fr"]) -> EngineError:
    with pytest.raises(EngineError) as caught:
        say(engine, text)
    return caught.value


def until(holds: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < give_up
        time.sleep(0.01)


class TestEdge(TextToSpeechContract):
    outbound = True

    @pytest.fixture
    def engine(self, server: StandIn) -> TextToSpeech:
        return Edge()


def test_the_voices_have_the_shape_of_the_library() -> None:
    ids = {voice.id for voice in Edge().voices}
    assert {voice_id for voice_id in ids if voice_id.startswith("fr-FR-")} == {
        "fr-FR-DeniseNeural",
        "fr-FR-EloiseNeural",
        "fr-FR-HenriNeural",
        "fr-FR-RemyMultilingualNeural",
        "fr-FR-VivienneMultilingualNeural",
    }
    assert {"fr-BE-CharlineNeural", "fr-CH-ArianeNeural", "fr-CA-SylvieNeural"} <= ids
    for voice in Edge().voices:
        # It knows no other form of a name, and turns this one into the server's.
        config = TTSConfig(voice.id, "+0%", "+0%", "+0Hz", "SentenceBoundary")
        locale, name = voice.id[:5], voice.id[6:]
        assert config.voice == f"Microsoft Server Speech Text to Speech Voice ({locale}, {name})"


def test_loading_reaches_for_nobody(server: StandIn) -> None:
    Edge().warm_up()
    assert server.handshakes == 0


# --- what is sent --------------------------------------------------------------------------


def asked(server: StandIn) -> tuple[str, dict[str, str], str]:
    """Voice, prosody and text of the last request, which holds nothing else."""
    speak = ElementTree.fromstring(server.requests[-1])
    [voice] = speak
    [prosody] = voice
    assert list(prosody) == []
    assert not any(f"{text or ''}".strip() for text in (speak.text, voice.text, prosody.tail))
    return voice.attrib["name"], dict(prosody.attrib), prosody.text or ""


def test_voice_and_text_are_asked_for(server: StandIn) -> None:
    say(Edge(), "Il pleut.", voice="fr-CA-SylvieNeural")
    name = "Microsoft Server Speech Text to Speech Voice (fr-CA, SylvieNeural)"
    prosody = {"pitch": "+0Hz", "rate": "+0%", "volume": "+0%"}
    assert asked(server) == (name, prosody, "Il pleut.")


@pytest.mark.parametrize(
    ("speed", "rate"), [(0.5, "-50%"), (0.999, "+0%"), (1.29, "+29%"), (1.5, "+50%"), (2, "+100%")]
)
def test_speed_is_a_rate(server: StandIn, speed: float, rate: str) -> None:
    say(Edge(), speed=speed)
    assert asked(server)[1]["rate"] == rate


@pytest.mark.parametrize(
    "text",
    [
        "Il a dit </prosody></voice><voice name='x'>bonjour</voice>.",
        "Une pause <break time='10s'/> très longue.",
        "Le prix est <![CDATA[ & ]]> de &lt;rien&gt; &#60;.",
        'Un "mot" et l\'autre <!-- caché --> ici.',
    ],
)
def test_text_is_no_markup(server: StandIn, text: str) -> None:
    engine = Edge()
    engine.load()
    # Straight to the engine: the pipeline would read such signs aloud, or leave them out.
    engine._synthesize(text, engine.choose_voice(), 1.0, Deadline(2))
    assert asked(server)[2] == text


@pytest.mark.parametrize("char", ["\0", "\x01", "\x0b", "\x1b", "\ud800", "\ufffe", "\uffff"])
def test_what_xml_cannot_hold_is_left_out(server: StandIn, char: str) -> None:
    engine = Edge()
    engine.load()
    engine._synthesize(f"Bon{char}jour.", engine.choose_voice(), 1.0, Deadline(2))
    assert asked(server)[2] == "Bon jour."


@pytest.mark.parametrize(
    "voice",
    ["fr-FR-x'/><break time='9s'/><a b='Neural", "xx-XX-SecretNeural", "fr-FR-DeniseNeural "],
)
def test_no_other_voice_is_ever_sent(server: StandIn, voice: str) -> None:
    with pytest.raises(UnknownVoice):
        Edge().synthesize("Bonjour.", voice=voice)
    assert server.handshakes == 0


def test_requests_are_of_bounded_length(server: StandIn) -> None:
    list(Edge().synthesize("Et puis il y a " + "beaucoup, vraiment beaucoup, " * 40))
    assert len(server.requests) > 4
    assert all(
        len(ElementTree.fromstring(ssml)[0][0].text or "") <= 220 for ssml in server.requests
    )


# --- what comes back -----------------------------------------------------------------------


def test_a_slow_server_is_waited_for(serving: Serving) -> None:
    with serving(manners.slow):
        started = time.monotonic()
        assert say(Edge(silence_s=2, timeout_s=60), "Il pleut beaucoup, vraiment.") > 1
        assert time.monotonic() - started > 2


@pytest.mark.parametrize(
    ("manner", "error", "message", "handshakes"),
    [
        (manners.mute, EngineTimeout, "Edge TTS has sent nothing for 0.5 s.", 1),
        (manners.stalls, EngineTimeout, "Edge TTS has sent nothing for 0.5 s.", 1),
        (manners.hangs_up, EngineError, "Edge TTS hung up in mid-sentence.", 1),
        (manners.hangs_up_at_once, EngineUnavailable, "Edge TTS sent no sound.", 2),
        (manners.no_audio, EngineUnavailable, "Edge TTS sent no sound.", 2),
        (manners.garbage, EngineError, "Edge TTS sent sound that cannot be read.", 1),
        (manners.half_garbage, EngineError, "Edge TTS sent sound that cannot be read.", 1),
        (manners.other_format, EngineError, "Edge TTS sent sound that cannot be read.", 1),
        (
            manners.unknown_protocol,
            EngineError,
            "Edge TTS answers in an unknown way. Is there a newer edge-tts?",
            1,
        ),
        # edge-tts itself tries again after a 403, its clock set by the refusal.
        (403, EngineUnavailable, "Edge TTS refuses us (403). Is there a newer edge-tts?", 2),
        (404, EngineUnavailable, "Edge TTS fails (404).", 1),
        (429, EngineUnavailable, "Edge TTS is asked too often (429).", 1),
        (503, EngineUnavailable, "Edge TTS fails (503).", 2),
    ],
)
def test_every_failure_has_its_name(
    serving: Serving,
    manner: manners.Manner,
    error: type[EngineError],
    message: str,
    handshakes: int,
) -> None:
    with serving(manner) as server:
        started = time.monotonic()
        failure = fails(Edge(**HURRIED if error is EngineTimeout else PATIENT))
        assert (failure.code, failure.message) == (error.code, message)
        assert server.handshakes == handshakes
        # Not even a server that never says goodbye keeps anybody.
        until(lambda: server.connections == 0)
        assert time.monotonic() - started < 30  # a mute one would be there for a minute


def test_the_whole_is_bounded_as_well(serving: Serving) -> None:
    with serving(manners.slow):
        failure = fails(Edge(silence_s=5, timeout_s=0.6))
        assert isinstance(failure, EngineTimeout)
        assert failure.message == "The answer took too long."


@pytest.mark.parametrize("once", [manners.no_audio, manners.hangs_up_at_once, 500])
def test_what_failed_before_any_sound_is_asked_for_once_more(
    serving: Serving, once: manners.Manner
) -> None:
    with serving(once, manners.works) as server:
        assert say(Edge()) > 2
        assert server.handshakes == 2


def test_half_a_sentence_is_not_asked_for_again(serving: Serving) -> None:
    with serving(manners.hangs_up, manners.works) as server:
        fails(Edge())
        assert server.handshakes == 1


# --- the network and the clock -------------------------------------------------------------


def off_s(message: str) -> int:
    found = re.search(r"clock is (\d+) s off", message)
    assert found
    return int(found[1])


def test_a_wrong_clock_is_made_up_for_and_told(
    serving: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    with serving() as server:
        server.clock_ahead_s = HOUR_S
        assert say(Edge()) > 2
        assert server.handshakes == 2
        [warning] = caplog.messages
        assert off_s(warning) == pytest.approx(HOUR_S, abs=2)
        caplog.clear()
        say(Edge())
        assert server.handshakes == 3
        assert caplog.messages == []


def test_a_wrong_clock_that_does_not_explain_it_all(serving: Serving) -> None:
    with serving(403) as server:
        server.clock_ahead_s = -HOUR_S
        message = fails(Edge()).message
        assert message.startswith("Edge TTS refuses us (403), and our clock is ")
        assert off_s(message) == pytest.approx(HOUR_S, abs=2)


def test_a_refusal_that_does_not_tell_the_time(serving: Serving) -> None:
    with serving(403) as server:
        server.tells_time = False
        message = "Edge TTS refuses us (403) without telling its time. Is our clock right?"
        assert fails(Edge()).message == message


def test_a_certificate_that_nobody_signed(serving: Serving) -> None:
    certificate = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.load_cert_chain(Path(__file__).with_name("untrusted.pem"))
    with serving(certificate=certificate) as server:
        failure = fails(Edge())
        assert isinstance(failure, EngineUnavailable)
        assert failure.message == "The certificate of Edge TTS cannot be trusted."
        assert server.handshakes == 0


def test_nobody_listens(at: At) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        at(f"wss://127.0.0.1:{free.getsockname()[1]}/v1?TrustedClientToken=1")
    failure = fails(Edge())
    assert isinstance(failure, EngineUnavailable)
    assert failure.message == "Edge TTS cannot be reached."


def test_no_network(at: At, monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(*_args: object, **_options: object) -> None:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    failure = fails(Edge())
    assert isinstance(failure, EngineUnavailable)
    assert failure.message == "Edge TTS has no address. Is there a network?"


def test_a_name_that_is_looked_up_for_ever(at: At, monkeypatch: pytest.MonkeyPatch) -> None:
    found = threading.Event()

    def resolve(*_args: object, **_options: object) -> None:
        found.wait(60)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    started = time.monotonic()
    failure = fails(Edge(**HURRIED))
    assert time.monotonic() - started < 30
    assert isinstance(failure, EngineTimeout)
    found.set()


@pytest.mark.parametrize("variable", ["https_proxy", "HTTPS_PROXY"])
def test_the_proxy_of_the_environment_is_used(
    at: At, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.settimeout(60)
        asked_for = []

        def refuse() -> None:
            connection, _address = proxy.accept()
            with connection:
                asked_for.append(connection.recv(4096).split(b"\r\n")[0].decode())
                connection.sendall(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n")

        monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy.getsockname()[1]}")
        at("wss://speech.example/v1?TrustedClientToken=1")
        thread = threading.Thread(target=refuse)
        thread.start()
        failure = fails(Edge())
        thread.join()
        assert asked_for == ["CONNECT speech.example:443 HTTP/1.1"]
        assert failure.message == "Edge TTS fails (407)."


def test_the_environment_may_except_it_from_the_proxy(
    server: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    assert isinstance(fails(Edge()), EngineUnavailable)
    monkeypatch.setenv("no_proxy", "bing.com")
    assert say(Edge()) > 2


# --- threads, and the circuit breaker ------------------------------------------------------


def test_many_are_served_at_once(serving: Serving) -> None:
    with serving(manners.together(8)) as server:
        engine = Edge(slots=8, **PATIENT)
        durations = at_once(*[lambda: say(engine, "Il pleut.")] * 8)
        assert len(set(durations)) == 1
        assert server.handshakes == 8


def test_one_that_stalls_keeps_no_other(serving: Serving) -> None:
    go_on = threading.Event()
    with serving(manners.held(go_on, manners.hangs_up), manners.works) as server:
        engine = Edge(**PATIENT)
        failure: list[EngineError] = []
        stalled = threading.Thread(target=lambda: failure.append(fails(engine)))
        stalled.start()
        until(lambda: server.handshakes == 1)
        assert say(engine) > 2
        assert stalled.is_alive()
        go_on.set()
        stalled.join()
        assert failure


def test_after_failures_in_a_row_it_is_left_alone(serving: Serving) -> None:
    with serving(429) as server:
        engine = Edge(failures=3, rest_s=30)
        for _time in range(3):
            assert not engine.breaker.open
            fails(engine)
        assert engine.breaker.open
        server.manners = [manners.works]
        failure = fails(engine)
        assert isinstance(failure, Resting)
        assert failure.message == "Edge TTS has failed too often and is left alone for a while."
        assert server.handshakes == 3


def test_a_success_in_between_starts_the_count_anew(serving: Serving) -> None:
    with serving(429, manners.works, 429, manners.works):
        engine = Edge(failures=2)
        for succeeds in (False, True, False, True):
            assert say(engine) if succeeds else fails(engine)


@pytest.mark.parametrize("recovered", [True, False])
def test_after_its_rest_a_single_call_finds_out(
    serving: Serving, recovered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, go_on = Clock(), threading.Event()
    monkeypatch.setattr(breaker, "time", clock)
    with serving(429) as server:
        engine = Edge(failures=1, rest_s=60, **PATIENT)
        fails(engine)
        server.manners = [manners.held(go_on, manners.works if recovered else manners.hangs_up)]
        clock.sleep(60)
        assert not engine.breaker.open
        outcome: list[object] = []
        trial = threading.Thread(
            target=lambda: outcome.append((say if recovered else fails)(engine, "Il pleut."))
        )
        trial.start()
        until(lambda: server.handshakes == 2)
        assert isinstance(fails(engine), Resting)  # the others wait for what the first one finds
        go_on.set()
        trial.join()
        assert outcome
        assert engine.breaker.open is not recovered
        assert server.handshakes == 2


def test_a_local_engine_speaks_while_it_is_left_alone(serving: Serving) -> None:
    entries: list[dict[str, object]] = [
        {"BACKEND": "pipeline.tts.edge.Edge", "OPTIONS": {"failures": 2}},
        {"BACKEND": "pipeline.tts.fake.Fake"},
    ]
    with serving(429) as server:
        tts = Fallback(engines=entries)
        told = []
        for _time in range(3):
            [speech] = tts.synthesize("Bonjour.", language="fr")
            told.append((speech.engine, speech.outbound, server.handshakes))
        assert told == [("Fake", True, 1), ("Fake", True, 2), ("Fake", False, 2)]
