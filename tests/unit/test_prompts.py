"""What is asked of the language model."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pipeline.llm.base import MAX_MESSAGES_CHARS, Message
from pipeline.llm.fake import Fake
from pipeline.prompts import PROMPTS, fitting, messages
from pipeline.tts.kokoro import Kokoro


def test_every_language_that_is_spoken_has_a_prompt_of_its_own() -> None:
    assert PROMPTS.keys() == Kokoro.default_voices.keys()


@pytest.mark.parametrize("language", PROMPTS)
def test_instructions_then_examples_then_the_question(language: str) -> None:
    asked = messages("…", language)
    assert asked[0] == Message("system", PROMPTS[language].system)
    assert asked[-1] == Message("user", "…")
    roles = [message.role for message in asked[1:]]
    assert roles == ["user", "assistant"] * len(PROMPTS[language].examples) + ["user"]
    assert len(roles) > 1
    assert all(message.text == message.text.strip() != "" for message in asked)


def test_what_was_said_before_comes_after_the_examples() -> None:
    history = [Message("user", "Bonjour."), Message("assistant", "Bonjour !")]
    asked = messages("Et demain ?", "fr", history)
    assert asked[-3:] == (*history, Message("user", "Et demain ?"))
    assert asked[:-3] == messages("Autre chose ?", "fr")[:-1]


def test_prompts_of_different_languages_differ() -> None:
    assert len({messages("", language) for language in [*PROMPTS, "nl", "pl"]}) == len(PROMPTS) + 2


def test_another_language_is_named() -> None:
    system, question = messages("Hoe laat is het?", "nl")
    assert "(nl)" in system.text
    assert question == Message("user", "Hoe laat is het?")


# --- as far as the context reaches -------------------------------------------------------------


def spoken(turns: int, words: int = 4) -> list[Message]:
    """``turns`` of a conversation, of ``words`` each."""
    half = words // 2
    return [
        message
        for number in range(1, turns + 1)
        for message in (
            Message("user", " ".join([f"{number}"] * half)),
            Message("assistant", " ".join([f"{number}"] * half)),
        )
    ]


def kept(context_tokens: int, history: Sequence[Message]) -> list[int]:
    """Numbers of the turns of ``history`` that are told, in a context of ``context_tokens``
    besides the instructions, the examples and the question."""
    preface = sum(len(message.text.split()) for message in messages("Alors ?", "fr"))
    llm = Fake(context_tokens=preface + context_tokens)
    told = fitting(llm, "Alors ?", "fr", history)
    assert told[-1] == Message("user", "Alors ?")
    assert llm.fits(told) or context_tokens < 0
    preface_messages = len(messages("", "fr")) - 1
    assert told[:preface_messages] == messages("", "fr")[:-1]
    return [int(message.text.split()[0]) for message in told[preface_messages:-1:2]]


def test_all_of_it_while_it_fits() -> None:
    assert kept(40, spoken(10)) == list(range(1, 11))
    assert kept(40, []) == []


@pytest.mark.parametrize(
    ("context_tokens", "first"),
    [(39, 5), (36, 5), (16, 7), (8, 9), (4, 10), (3, 11), (0, 11), (-5, 11)],
)
def test_the_oldest_goes_first(context_tokens: int, first: int) -> None:
    assert kept(context_tokens, spoken(10)) == list(range(first, 11))


def test_what_is_told_begins_the_same_for_some_turns() -> None:
    """Engines compute a prompt whose beginning has changed from there on."""
    beginnings = [kept(400, spoken(turns))[0] for turns in range(101, 164)]
    assert beginnings == sorted(beginnings)
    assert len(set(beginnings)) <= 3
    fewest = min(len(kept(400, spoken(turns))) for turns in range(101, 164))
    assert fewest >= 50


def test_what_cannot_be_counted_is_no_conversation() -> None:
    assert not Fake(context_tokens=10**9).fits([Message("user", "a" * (MAX_MESSAGES_CHARS + 1))])
