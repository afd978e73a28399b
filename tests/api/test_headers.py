from __future__ import annotations

from urllib.parse import unquote

import pytest

from api import headers


@pytest.mark.parametrize(
    "text", ["", "Quelle heure est-il ?", "a\r\nSet-Cookie: b=c\0", "100 % d'été 🎉/+&="]
)
def test_text_survives(text: str) -> None:
    encoded = headers.encoded(text)
    assert unquote(encoded) == text
    assert encoded.isascii()
    assert encoded.isprintable()


@pytest.mark.parametrize("char", ["a", "é", "€", "🎉"])
@pytest.mark.parametrize("offset", range(12))
def test_long_text_is_cut_between_characters(char: str, offset: int) -> None:
    text = "x" * offset + char * 10_000
    encoded = headers.encoded(text)
    kept = unquote(encoded, errors="strict")
    assert kept.endswith("…")
    assert text.startswith(kept[:-1])
    one_more = len(encoded) + len(headers.encoded(char))
    assert len(encoded) <= headers.MAX_TEXT_BYTES < one_more


def test_the_longest_whole_text_is_not_cut() -> None:
    text = "x" * headers.MAX_TEXT_BYTES
    assert headers.encoded(text) == text
    assert headers.encoded(text + "x") == "x" * (headers.MAX_TEXT_BYTES - 9) + "%E2%80%A6"


def test_half_a_surrogate_pair_is_replaced() -> None:
    assert headers.encoded("\ud83c" * 2_000) == "%3F" * 663 + "%E2%80%A6"
    assert headers.encoded("a\ud83c") == "a%3F"


@pytest.mark.parametrize("given", ["7", "a" * 64, "A-b_c.9"])
def test_a_fit_request_id_is_kept(given: str) -> None:
    assert headers.request_id(given) == given


@pytest.mark.parametrize("given", [None, "", "a" * 65, "a b", "é", "a\n", "a\r\nX: y", "<b>"])
def test_an_unfit_request_id_is_replaced(given: str | None) -> None:
    made = headers.request_id(given)
    assert len(made) == 32
    assert int(made, 16)
    assert made != headers.request_id(given)


def test_server_timing() -> None:
    times = {"stt": 0.31234, "llm_first": 0.00004, "total": 2.0}
    assert headers.server_timing(times) == "stt;dur=312.3, llm-first;dur=0.0, total;dur=2000.0"


def test_per_stage() -> None:
    assert headers.per_stage({"stt": "off", "tts": "hit"}) == "stt=off, tts=hit"
    assert headers.per_stage({"stt": False, "tts": True}) == "stt=no, tts=yes"
