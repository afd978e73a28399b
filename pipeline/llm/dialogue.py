"""A conversation as a text that weights without a chat template go on with.

Two forms, one line a message, and both end where the assistant is to speak:

``dialogue``
    for base weights, which only know how to go on with a text: two speakers take turns.

``instruction``
    for weights tuned on instructions that never saw a conversation, as BLOOMZ. What it was tuned
    on (xP3, https://arxiv.org/abs/2211.01786) are tasks with one answer, mostly short, after which
    the text ends. So every turn is a question and its answer: those that went before are read as
    solved tasks, they carry the language and the habit of whole sentences, and the weights end
    the text, or begin a new line, where the answer is complete.

Either way a line that does not end with a mark gets a full stop: text whose end is not clear is
gone on with instead of answered (https://huggingface.co/bigscience/bloomz-1b1, "Limitations").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from pipeline.llm.base import Message

Form = Literal["dialogue", "instruction"]

SPEAKERS: Final = {
    "dialogue": {"user": "Utilisateur :", "assistant": "Assistant :"},
    "instruction": {"user": "Question :", "assistant": "Réponse :"},
}

END: Final = "\n"
"""Where the reply is over: what follows would be the user's next line."""

MARKS: Final = tuple(".!?…:;»)\"'。！？।")


def write(messages: Sequence[Message], form: Form) -> str:
    """The text to go on with; the reply is what follows, up to ``END``."""
    speakers = SPEAKERS[form]
    lines = []
    for message in messages:
        text = " ".join(message.text.split())
        if not text.endswith(MARKS):
            text += "."
        # What is said by nobody (the instructions) stands apart.
        speaker = speakers.get(message.role)
        lines.append(f"{speaker} {text}" if speaker else f"{text}\n")
    return "\n".join([*lines, speakers["assistant"]])
