"""Rows as months of use would leave them, made: nobody has said any of it.

Their sounds are not: what is heard of them in the admin would be made elsewhere.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from django.utils import timezone

from cache.models import CachedSpeech, DailyHits
from history.models import Conversation, Sentence, Turn

DAYS: Final = 90
BATCH: Final = 2_000
RARE: Final = "ornithorynque"
"""A word that is said once in all."""

WORDS: Final = [
    *("bonjour", "heure", "demain", "réunion", "dossier", "facture", "client", "adresse", "matin"),
    *("téléphone", "question", "réponse", "bureau", "semaine", "soir", "service", "commande"),
    *("livraison", "prix", "train", "voiture", "maison", "merci", "possible", "ouvrir", "fermer"),
    *("appeler", "rappeler", "horaire", "samedi", "lundi", "mardi", "jeudi", "contrat"),
]
ENGINES: Final = {"stt": "FasterWhisper", "llm": "LlamaCpp", "tts": "Kokoro"}
VOICES: Final = ("ff_siwis", "fr-FR-DeniseNeural", "fr-FR-HenriNeural", "af_heart")
TENANTS: Final = ("", "site", "accueil", "atelier")
ERRORS: Final = {
    "": 960,
    "no_speech": 24,
    "engine_busy": 9,
    "audio_too_long": 4,
    "engine_timeout": 2,
    "audio_decode_error": 1,
}


class Maker:
    """Always makes the same, in relation to now. ``identity`` is that of the engine that spoke."""

    def __init__(self, identity: Mapping[str, str]) -> None:
        self._identity = dict(identity)
        self._random = random.Random(1)
        self._now = timezone.now()

    # --- conversations and their turns ---------------------------------------------------------

    def history(self, turns: int, conversations: int) -> None:
        """Conversations share two thirds of the turns; the rest are alone."""
        begun = [self._conversation() for _number in range(conversations)]
        Conversation.objects.bulk_create(begun, BATCH)
        spoken_in = 2 * turns // 3
        made: list[Turn] = []
        for number in range(turns):
            own = begun[number % conversations] if number < spoken_in and conversations else None
            made.append(self._turn(own, 1 + number // max(conversations, 1)))
        if made:
            made[len(made) // 3].transcript = f"Qu’est-ce qu’un {RARE} ?"
        made.sort(key=lambda row: row.created_at)  # as they come to lie in a table
        Turn.objects.bulk_create(made, BATCH)
        sentences = (sentence for row in made if not row.code for sentence in self._sentences(row))
        for batch in _batches(sentences):
            Sentence.objects.bulk_create(batch)

    def _conversation(self) -> Conversation:
        at = self._moment()
        return Conversation(
            title=self._text(3, 9).rstrip("."),
            tenant=self._random.choice(TENANTS),
            language="fr",
            taken=1,
            created_at=at,
            last_used_at=at,
        )

    def _turn(self, conversation: Conversation | None, number: int) -> Turn:
        chosen = self._random
        at = self._moment() if conversation is None else conversation.created_at
        [code] = chosen.choices(list(ERRORS), list(ERRORS.values()))
        hit = chosen.random() < 0.35
        stt_s = chosen.lognormvariate(-1.3, 0.3)
        llm_s = chosen.lognormvariate(-0.7, 0.35)
        tts_s = 0.02 if hit else chosen.lognormvariate(0.0, 0.4)
        first_s = stt_s + 0.4 * llm_s + 0.4 * tts_s
        answered = not code
        return Turn(
            conversation=conversation,
            number=None if conversation is None else number,
            tenant="" if conversation is None else conversation.tenant,
            request_id=f"{chosen.getrandbits(128):032x}",
            created_at=at,
            said_at=at,
            status=200 if answered else 422,
            code=code,
            language=chosen.choices(["fr", "en", ""], [90, 8, 2])[0],
            transcript="" if conversation is None else self._text(3, 12),
            reply=self._text(8, 30) if conversation is not None and answered else "",
            voice=VOICES[0],
            upload_bytes=chosen.randrange(20_000, 400_000),
            utterance_s=chosen.uniform(1.0, 8.0),
            speech_s=chosen.uniform(2.0, 12.0) if answered else 0.0,
            engines={
                role: {"engine": name, "weights": "made", "sha256": "0" * 64}
                for role, name in ENGINES.items()
            },
            stt_engine=ENGINES["stt"],
            llm_engine=ENGINES["llm"] if answered else "",
            tts_engine=ENGINES["tts"] if answered else "",
            stt_cache="miss",
            llm_cache="miss" if answered else "off",
            tts_cache="off" if code else "hit" if hit else "miss",
            decode_s=0.01,
            stt_s=stt_s,
            llm_s=llm_s if answered else 0.0,
            llm_first_s=0.1 if answered else None,
            tts_s=tts_s if answered else 0.0,
            first_audio_s=first_s if answered else None,
            total_s=stt_s + (llm_s + tts_s if answered else 0.0),
        )

    def _sentences(self, row: Turn) -> Iterator[Sentence]:
        for place in range(2):
            yield Sentence(
                turn=row,
                place=place,
                text=self._text(4, 12) if row.conversation_id else "",
                key=self._key(self._random.randrange(100_000)),
                voice=row.voice,
                engine=ENGINES["tts"],
                cache=row.tts_cache,
                outbound=False,
                duration=row.speech_s / 2,
                start_s=row.stt_s + place * row.tts_s / 2,
                end_s=row.stt_s + (place + 1) * row.tts_s / 2,
            )

    # --- cached speech -----------------------------------------------------------------------

    def speech(self, rows: int) -> None:
        made = [self._cached(number) for number in range(rows)]
        CachedSpeech.objects.bulk_create(made, BATCH)
        today = timezone.localdate()
        for batch in _batches(
            DailyHits(
                speech=row,
                day=today - timedelta(days=ago),
                hits=self._random.randrange(1, 9),
            )
            for row in made[: rows // 5]
            for ago in self._random.sample(range(DAYS), 10)
        ):
            DailyHits.objects.bulk_create(batch)

    def _cached(self, number: int) -> CachedSpeech:
        chosen = self._random
        text = f"Un {RARE}." if number == 77 else self._text(3, 14)
        at = self._moment()
        return CachedSpeech(
            key=self._key(number),
            tenant=chosen.choices(TENANTS, [70, 10, 10, 10])[0],
            text=text,
            language="en" if number % 12 == 0 else "fr",
            voice=chosen.choice(VOICES),
            engine="Edge" if number % 5 == 0 else "Kokoro",
            identity=self._identity,
            speed=1.0,
            duration=len(text) / 15,
            size_bytes=3_200 * len(text),
            sha256=hashlib.sha256(text.encode()).hexdigest(),
            hits=int(chosen.paretovariate(1.2)) - 1,
            created_at=at,
            last_used_at=min(self._now, at + timedelta(days=chosen.expovariate(0.2))),
            pinned=number % 50 == 0,
            corrected_text=self._text(3, 9) if number % 200 == 0 else "",
            peaks=bytes(chosen.randrange(20, 256) for _bar in range(64)),
        )

    @staticmethod
    def _key(number: int) -> str:
        return hashlib.sha256(str(number).encode()).hexdigest()

    # --- what all of them have -----------------------------------------------------------------

    def _moment(self) -> datetime:
        """More of them by day than by night, on working days than at weekends."""
        while True:
            at = self._now - timedelta(days=DAYS * self._random.random() ** 1.3)
            busy = 0.25 if at.weekday() >= 5 else 1.0
            busy *= 0.15 + 0.85 * max(0.0, math.sin(math.pi * (at.hour - 6) / 15))
            if self._random.random() < busy:
                return at

    def _text(self, least: int, most: int) -> str:
        words = self._random.choices(WORDS, k=self._random.randint(least, most))
        return f"{' '.join(words).capitalize()}."


def _batches(rows: Iterator[Any]) -> Iterator[list[Any]]:
    batch: list[Any] = []
    for row in rows:
        batch.append(row)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
