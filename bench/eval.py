"""Word error rates: what is heard, and whether what is said is understood.

``make eval`` writes ``bench/results/eval.json``. Recordings are transcribed as the service does it,
in a window as long as they are, and in Whisper's own of 30 s; then the reply to each question is
spoken and its speech transcribed again.
"""

from __future__ import annotations

import bench.setup  # noqa: F401 - first: it sets Django up

# isort: split
import time
from collections.abc import Mapping

import jiwer

from bench import results
from bench.contenders import Padded
from bench.recordings import Recording, recordings, words
from pipeline import turn
from pipeline.audio import Audio
from pipeline.engines import engines
from pipeline.errors import NoSpeech
from pipeline.stt.base import SpeechToText

FOLDERS = ("questions", "fr")


def heard(stt: SpeechToText, audio: Audio) -> str:
    try:
        return words(stt.transcribe(audio, language="fr").text)
    except NoSpeech:
        return ""


def rates(stt: SpeechToText, known: Mapping[str, list[Recording]]) -> dict[str, dict[str, float]]:
    """Of each folder, and of all of them."""
    figures = {}
    said: list[str] = []
    got: list[str] = []
    took_s = 0.0
    for folder, all_of_it in known.items():
        started = time.monotonic()
        texts = [heard(stt, recording.audio) for recording in all_of_it]
        each_s = (time.monotonic() - started) / len(texts)
        spoken = [words(recording.text) for recording in all_of_it]
        figures[folder] = {"word_error_rate": jiwer.wer(spoken, texts), "each_s": each_s}
        said, got, took_s = said + spoken, got + texts, took_s + each_s * len(texts)
    together = {"word_error_rate": jiwer.wer(said, got), "each_s": took_s / len(said)}
    return {**figures, "all": together}


def replies() -> dict[str, float]:
    """Of the assistant's own replies, heard again."""
    wrong = []
    for question in recordings("questions"):
        taken = turn.take(turn.events(question.audio, engines, language="fr"))
        said = " ".join(words(speech.text) for speech in taken.speeches)
        understood = " ".join(heard(engines.bare.stt, audio) for audio in taken.audio)
        wrong.append(jiwer.wer(said, understood))
    return {"recordings": len(wrong), "word_error_rate": sum(wrong) / len(wrong)}


def main() -> None:
    engines.warm_up()
    padded = Padded()
    padded.warm_up()
    known = {folder: recordings(folder) for folder in FOLDERS}
    figures = {
        "processor": results.processor(),
        "recordings": {folder: len(those) for folder, those in known.items()},
        "window": rates(engines.bare.stt, known),
        "window_of_30_s": rates(padded, known),
        "replies": replies(),
    }
    results.write("eval", figures)


if __name__ == "__main__":
    main()
