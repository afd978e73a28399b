from __future__ import annotations

import re

import pytest
from django.test import Client

from cache.models import CachedSpeech
from pipeline.audio import Audio, from_wav, to_wav
from pipeline.llm.fake import Fake as FakeLanguageModel
from pipeline.tts.fake import Fake as FakeTextToSpeech
from tests.api.conftest import Ask

pytestmark = pytest.mark.django_db


@pytest.fixture
def url(ask: Ask, llm: FakeLanguageModel) -> str:
    """The address of a reply of two sentences."""
    llm.script.enqueue("Il est midi. Bon appétit !")
    return str(ask(headers={"accept": "application/json"}).json()["speech"]["url"])


def test_sentences_are_joined(client: Client, url: str) -> None:
    keys = re.findall("[0-9a-f]{64}", url)
    sentences = [CachedSpeech.objects.audio(key) for key in keys]
    response = client.get(url)
    assert response.status_code == 200
    assert response["Content-Type"] == "audio/wav"
    assert response["Content-Length"] == str(len(response.content))
    assert response["Accept-Ranges"] == "bytes"
    assert response["Cache-Control"] == "private, no-cache"
    assert response["X-Request-Id"]
    assert response.content == to_wav([sentence for sentence in sentences if sentence])
    assert from_wav(response.content).duration > 1


def test_an_audio_element_is_served(client: Client, url: str) -> None:
    accept = "audio/webm,audio/ogg,audio/wav,audio/*;q=0.9,application/ogg;q=0.7"
    assert client.get(url, headers={"accept": accept}).status_code == 200


def test_head(client: Client, url: str) -> None:
    head, get = client.head(url), client.get(url)
    assert head.status_code == 200
    assert head.content == b""
    for name in ("Content-Length", "Content-Type", "ETag", "Accept-Ranges"):
        assert head[name] == get[name]


def test_what_the_client_has_is_not_sent_again(client: Client, url: str) -> None:
    etag = client.get(url)["ETag"]
    response = client.get(url, headers={"if-none-match": etag})
    assert response.status_code == 304
    assert response.content == b""
    assert response["ETag"] == etag
    assert client.get(url, headers={"if-none-match": '"other"'}).status_code == 200


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ("bytes=0-1", slice(0, 2)),
        ("bytes=100-", slice(100, None)),
        ("bytes=-44", slice(-44, None)),
    ],
)
def test_a_part_of_it(client: Client, url: str, asked: str, part: slice) -> None:
    whole = client.get(url).content
    response = client.get(url, headers={"range": asked})
    assert response.status_code == 206
    assert response.content == whole[part]
    assert response["Content-Length"] == str(len(response.content))
    assert response["Content-Range"].endswith(f"/{len(whole)}")
    assert response["Cache-Control"] == "private, no-cache"


def test_a_part_that_is_not_there(client: Client, url: str) -> None:
    size_bytes = len(client.get(url).content)
    response = client.get(url, headers={"range": f"bytes={size_bytes}-"})
    assert response.status_code == 416
    assert response["Content-Range"] == f"bytes */{size_bytes}"
    assert response["Content-Type"] == "application/json"
    assert response.json()["code"] == "range_not_satisfiable"


def test_purged_speech(client: Client, url: str) -> None:
    CachedSpeech.objects.all()[:1].get().delete()
    response = client.get(url, headers={"accept": "audio/*"})
    assert response.status_code == 404
    assert response["Content-Type"] == "application/json"
    assert response.json()["code"] == "speech_not_found"
    assert response["Cache-Control"] == "no-store"


def test_speeches_of_different_sample_rates_are_one_sound(
    client: Client, ask: Ask, url: str, llm: FakeLanguageModel, tts: FakeTextToSpeech
) -> None:
    first = CachedSpeech.objects.audio(re.findall("[0-9a-f]{64}", url)[0])
    assert first is not None
    tts.script.enqueue(Audio(first.samples, first.sample_rate // 2))
    llm.script.enqueue("Autre chose.")
    other = ask(headers={"accept": "application/json"}).json()["speech"]
    mixed = url.removesuffix(".wav") + "+" + other["url"].rpartition("/")[2]
    alone, together = from_wav(client.get(url).content), from_wav(client.get(mixed).content)
    assert together.sample_rate == alone.sample_rate == first.sample_rate
    assert together.duration == pytest.approx(alone.duration + other["duration"], abs=0.002)


def test_speech_of_another_is_not_found(client: Client, url: str) -> None:
    assert client.get(url).status_code == 200
    CachedSpeech.objects.filter(text__startswith="Bon").update(tenant="alice")  # half of it
    response = client.get(url)
    assert response.status_code == 404
    assert response.json()["code"] == "speech_not_found"


@pytest.mark.parametrize(
    "name", ["0" * 63, "g" * 64, "A" * 64, "0" * 64 + "+", "+".join(["0" * 64] * 51), "../" * 9]
)
def test_what_is_no_address(client: Client, name: str) -> None:
    response = client.get(f"/api/speech/{name}.wav")
    assert response.status_code == 404
    assert response.json()["code"] == "not_found"
