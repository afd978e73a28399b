"""A conversation with real engines, over HTTP."""

from __future__ import annotations

import json
import urllib.request

import pytest

from pipeline.audio import to_wav
from pipeline.engines import Engines
from tests.e2e.conftest import Server

pytestmark = pytest.mark.weights


def said(engines: Engines, text: str) -> bytes:
    """``text`` as a recording."""
    speeches = engines.tts.synthesize(text, voice="ff_siwis")
    return to_wav(speech.audio for speech in speeches)


def test_a_question_is_answered_in_the_light_of_the_first(
    server: Server, embedded: Engines
) -> None:
    begun = urllib.request.Request(server.url + "/api/conversations/", method="POST")
    with urllib.request.urlopen(begun) as response:
        conversation = json.load(response)
    name, question = (
        said(embedded, text)
        for text in ("Bonjour, je m'appelle Alice.", "Comment est-ce que je m'appelle ?")
    )
    asked = {"accept": "application/json", "conversation": conversation["id"]}
    first, second = server.ask(name, **asked), server.ask(question, **asked)
    assert "Alice" in first.json["transcript"]["text"]
    assert "Alice" in second.json["reply"]
    alone = server.ask(question, accept="application/json")
    assert "Alice" not in alone.json["reply"]
    told = server.get(conversation["url"]).json
    assert [turn["reply"] for turn in told["turns"]] == [first.json["reply"], second.json["reply"]]
