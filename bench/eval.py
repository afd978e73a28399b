"""Word error rates: what is heard, and whether what is said is understood.

``make eval``. Recordings are transcribed as the service does it; then the reply to each question
is spoken and its speech transcribed again.
"""

from __future__ import annotations

import bench.setup  # noqa: F401 - first: it sets Django up

# isort: split
import jiwer

from bench.recordings import recordings, words
from pipeline import turn
from pipeline.audio import Audio
from pipeline.engines import engines
from pipeline.errors import NoSpeech


def heard(audio: Audio) -> str:
    try:
        return words(engines.stt.transcribe(audio, language="fr").text)
    except NoSpeech:
        return ""


def main() -> None:
    for folder in ("questions", "fr"):
        known = recordings(folder)
        rate = jiwer.wer([words(r.text) for r in known], [heard(r.audio) for r in known])
        print(f"{folder:10} {len(known):3} recordings   word error rate {rate:.3f}")

    rates = []
    for question in recordings("questions"):
        taken = turn.take(turn.events(question.audio, engines, language="fr"))
        said = " ".join(words(speech.text) for speech in taken.speeches)
        understood = " ".join(heard(audio) for audio in taken.audio)
        rates.append(jiwer.wer(said, understood))
    mean = sum(rates) / len(rates)
    print(f"{'replies':10} {len(rates):3} spoken       word error rate {mean:.3f}  (heard again)")


if __name__ == "__main__":
    main()
