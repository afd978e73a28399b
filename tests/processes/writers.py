"""``python -m tests.processes.writers COUNT``: so many threads that keep and forget at once."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import django

django.setup()

from django.db import connection  # noqa: E402

from cache.keys import speech_key  # noqa: E402
from cache.models import CachedSpeech  # noqa: E402
from history import memory  # noqa: E402
from history.models import Conversation, Sentence, Turn  # noqa: E402
from pipeline.audio import to_wav  # noqa: E402
from pipeline.tts.base import Voice  # noqa: E402

ROUNDS = 4
VOICE = Voice("grave", "fr", "Grave")
IDENTITY = {"engine": "Fake"}


def write(writer: str) -> None:
    """As a turn of a conversation does, and its end."""
    conversation = Conversation.objects.create(tenant=writer)
    for number in range(ROUNDS):
        with memory.taking(conversation) as place:
            turn = Turn(conversation=conversation, number=place, request_id=writer, status=200)
            sentence = Sentence(
                turn=turn, place=0, voice="", engine="", cache="miss", outbound=False,
                duration=1, start_s=0, end_s=1,
            )  # fmt: skip
            Turn.objects.keep(turn, [sentence], {})
        text = f"{writer} {number}"
        key = speech_key(
            text, voice=VOICE.id, language="fr", speed=1.0, identity=IDENTITY, tenant=writer
        )
        CachedSpeech.objects.keep(
            key, to_wav([]), text=text, voice=VOICE, speed=1.0, identity=IDENTITY, tenant=writer
        )
        CachedSpeech.objects.used(CachedSpeech.objects.get(key=key))
    conversation.delete()


def main() -> None:
    count = int(sys.argv[1])
    together = threading.Barrier(count)
    failed: list[str] = []

    def run(number: int) -> None:
        together.wait()
        try:
            write(f"{sys.argv[2]}-{number}")
        except Exception as exc:
            failed.append(repr(exc))
        finally:
            connection.close()

    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    with ThreadPoolExecutor(count) as pool:
        list(pool.map(run, range(count)))
    sys.stdout.write("\n".join(failed))


if __name__ == "__main__":
    main()
