"""What of a turn can still be heard."""

from __future__ import annotations

from history import files
from history.models import Turn
from pipeline.audio import Audio, to_wav
from pipeline.engines import engines


def utterance(row: Turn) -> bytes | None:
    """A WAV; None when it is not kept."""
    return files.read(row.pk, "utterance") if row.utterance_bytes else None


def speech(row: Turn) -> bytes | None:
    """The kept copy, as a WAV, else what the speech cache has; None when a part of it is gone."""
    copy = files.read(row.pk, "speech") if row.speech_bytes else None
    if copy is not None:
        return copy
    audio = _cached(row)
    return to_wav(piece.resampled(audio[0].sample_rate) for piece in audio) if audio else None


def has_speech(row: Turn) -> bool:
    return bool(row.speech_bytes or _cached(row))


def _cached(row: Turn) -> list[Audio]:
    """Sentence after sentence; empty when one is not kept."""
    pieces = []
    for key in row.sentences.values_list("key", flat=True):
        piece = engines.tts.recall(key) if key else None
        if piece is None:
            return []
        pieces.append(piece)
    return pieces
