"""What is asked of the language model."""

from __future__ import annotations

import pytest

from pipeline.llm.base import Message
from pipeline.prompts import PROMPTS, messages
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
