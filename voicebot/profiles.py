"""Named sets of engines. ``VOICEBOT_PROFILE`` picks one; the environment can override a part.

``VOICEBOT_STT_BACKEND`` names another class, ``VOICEBOT_STT_OPTIONS`` is a JSON object merged
into its options; likewise for ``LLM`` and ``TTS``.
"""

from __future__ import annotations

from typing import Any

from voicebot import env

Entry = dict[str, Any]

PROFILES: dict[str, dict[str, Entry]] = {
    # Small real weights that package registries carry: nothing to sign up for, nothing leaves
    # the machine, first answer minutes after the clone.
    "embedded": {
        "stt": {
            "BACKEND": "pipeline.stt.faster_whisper.FasterWhisper",
            "OPTIONS": {"weights": "whisper-base"},
        },
        "llm": {
            "BACKEND": "pipeline.llm.llama_cpp.LlamaCpp",
            "OPTIONS": {"weights": "gemma-3-270m-q4"},
        },
        "tts": {
            "BACKEND": "pipeline.tts.kokoro.Kokoro",
            "OPTIONS": {"weights": "kokoro-82m-int8"},
        },
    },
}


def engines(profile: str) -> dict[str, Entry]:
    """The ``ENGINES`` setting of ``profile``, the environment's overrides applied.

    Speech is always cached: the engine that speaks is wrapped by the one that remembers.
    """
    chosen = {role: _overridden(role, entry) for role, entry in PROFILES[profile].items()}
    chosen["tts"] = {
        "BACKEND": "cache.tts.CachedTextToSpeech",
        "OPTIONS": {"engine": chosen["tts"]},
    }
    return chosen


def _overridden(role: str, entry: Entry) -> Entry:
    prefix = f"VOICEBOT_{role.upper()}"
    path = env.text(f"{prefix}_BACKEND", entry["BACKEND"])
    # Another class has other options: the profile's own belong to the profile's class.
    options = entry["OPTIONS"] if path == entry["BACKEND"] else {}
    return {"BACKEND": path, "OPTIONS": {**options, **env.mapping(f"{prefix}_OPTIONS")}}
