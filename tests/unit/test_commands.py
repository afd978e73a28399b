"""``talk``, ``transcribe`` and ``speak``: files in, files out, and errors in a sentence."""

from __future__ import annotations

import io
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from django.utils import translation
from pytest_django import Settings

from pipeline.audio import SAMPLE_RATE, Audio, from_wav, to_wav
from pipeline.engines import engines
from pipeline.llm import fake as llm
from pipeline.stt import fake as stt
from pipeline.tts.fake import CHARS_PER_S, RATE

FAKES = {role: {"BACKEND": f"pipeline.{role}.fake.Fake"} for role in ("stt", "llm", "tts")}


@pytest.fixture(autouse=True)
def fakes(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.ENGINES = FAKES
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def question(tmp_path: Path) -> Path:
    path = tmp_path / "question.wav"
    tone = np.sin(np.arange(SAMPLE_RATE) / 6).astype(np.float32)
    path.write_bytes(to_wav([Audio(tone, SAMPLE_RATE)]))
    return path


@pytest.fixture
def silence(tmp_path: Path) -> Path:
    path = tmp_path / "silence.wav"
    path.write_bytes(to_wav([Audio(np.zeros(SAMPLE_RATE, np.float32), SAMPLE_RATE)]))
    return path


def run(*arguments: object) -> list[str]:
    """The lines that a command prints."""
    output = io.StringIO()
    call_command(*map(str, arguments), stdout=output)
    return output.getvalue().splitlines()


def refusal(*arguments: object) -> str:
    """What a command says of arguments it cannot use."""
    with translation.override("en"), pytest.raises(CommandError) as caught:
        run(*arguments)
    message = str(caught.value)
    assert "\n" not in message
    return message


def heard() -> list[Audio]:
    return cast("stt.Fake", engines.stt).heard


def test_talk(question: Path, tmp_path: Path) -> None:
    cast("llm.Fake", engines.llm).script.enqueue("Il est midi. Bonne journée !")
    lines = run("talk", question, "-o", tmp_path / "reply.wav")
    assert lines[0].split(maxsplit=2) == ["heard", "[fr]", "Quelle heure est-il ?"]
    assert lines[1].split(maxsplit=1) == ["reply", "Il est midi. Bonne journée !"]
    assert lines[2].startswith("times   stt 0.")
    assert "(off)" in lines[2]
    answer = from_wav((tmp_path / "reply.wav").read_bytes())
    assert lines[3] == f"written {tmp_path / 'reply.wav'} ({answer.duration:.2f} s of speech)"
    assert answer.sample_rate == RATE
    assert answer.duration > 1
    assert heard()[0].duration == pytest.approx(1, abs=0.01)


def test_talk_writes_where_it_is_and_with_the_voice_asked_for(
    question: Path, tmp_path: Path
) -> None:
    run("talk", question, "--voice", "claire")
    run("talk", question, "--voice", "grave", "-o", "grave.wav")
    answers = [(tmp_path / name).read_bytes() for name in ("answer.wav", "grave.wav")]
    assert len(answers[0]) == len(answers[1])
    assert answers[0] != answers[1]


@pytest.mark.parametrize(
    ("arguments", "language"),
    [([], "fr"), (["--language", "en"], "en"), (["--language=auto"], "fr")],
)
def test_languages(question: Path, arguments: list[str], language: str) -> None:
    assert f"[{language}]" in run("talk", question, *arguments)[0]


def test_transcribe(question: Path) -> None:
    cast("stt.Fake", engines.stt).script.enqueue("Un.", "Deux.")
    assert run("transcribe", question, question) == ["Un.", "Deux."]
    assert len(heard()) == 2


def test_transcribe_with_times(question: Path) -> None:
    [line] = run("transcribe", question, "--segments")
    assert line.split(maxsplit=2) == ["0.00", "1.00", "Quelle heure est-il ?"]


def test_speak(tmp_path: Path) -> None:
    lines = run("speak", "Un. Deux.", "--speed", "2", "-o", tmp_path / "said.wav")
    assert [line.split() for line in lines[:2]] == [
        ["0.10", "s", "off", "Un."],
        ["0.17", "s", "off", "Deux."],
    ]
    assert lines[2] == f"written {tmp_path / 'said.wav'}"
    said = from_wav((tmp_path / "said.wav").read_bytes())
    assert said.duration == pytest.approx(len("Un.Deux.") / CHARS_PER_S / 2, abs=0.001)


def test_what_cannot_be_heard_is_said_in_a_sentence(
    question: Path, silence: Path, tmp_path: Path, settings: Settings
) -> None:
    text = tmp_path / "text.wav"
    text.write_text("This is no sound at all.")
    for command in ("talk", "transcribe"):
        assert refusal(command, tmp_path / "absent.wav") == (
            f"{tmp_path / 'absent.wav'}: No such file or directory"
        )
        assert refusal(command, tmp_path) == f"{tmp_path}: Is a directory"
        assert refusal(command, text).endswith("(audio_unreadable)")
        assert refusal(command, silence) == "No speech was heard in the audio. (no_speech)"
        assert refusal(command, question, "--language", "xx").endswith("(unsupported_language)")
    settings.VOICEBOT_MAX_UTTERANCE_S = 0.5
    assert refusal("talk", question).endswith("(audio_too_long)")


def test_what_cannot_be_said_is_said_in_a_sentence(question: Path, tmp_path: Path) -> None:
    assert refusal("talk", question, "--voice", "nobody").endswith("(unknown_voice)")
    assert refusal("speak", "Oui.", "--voice", "nobody").endswith("(unknown_voice)")
    assert refusal("speak", "Oui.", "--language", "xx").endswith("(unsupported_language)")
    assert refusal("speak", "Oui.", "--speed", "9").endswith("(invalid_input)")
    assert refusal("speak", "😀") == "There is nothing to say aloud in this text."
    nowhere = tmp_path / "nowhere" / "said.wav"
    assert refusal("speak", "Oui.", "-o", nowhere) == f"{nowhere}: No such file or directory"


def test_an_engine_that_fails_is_said_in_a_sentence(question: Path) -> None:
    cast("stt.Fake", engines.stt).script.enqueue(RuntimeError("private"))
    assert refusal("talk", question) == "Fake failed. (engine_failed)"
