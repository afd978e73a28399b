"""Named sets of engines. ``VOICEBOT_PROFILE`` picks one; the environment can override a part.

``VOICEBOT_STT_BACKEND`` names another class, ``VOICEBOT_STT_OPTIONS`` is a JSON object merged
into its options; likewise for ``LLM`` and ``TTS``. On a cluster ``VOICEBOT_STT_REPLICAS`` says how
many there are of it: see ``pipeline.ray.client.Replicas``.
"""

from __future__ import annotations

from typing import Any

from voicebot import env

Entry = dict[str, Any]

FALLBACK = "pipeline.tts.fallback.Fallback"

REMEMBERING = {
    "stt": "cache.stt.CachedSpeechToText",
    "llm": "cache.llm.CachedLanguageModel",
    "tts": "cache.tts.CachedTextToSpeech",
}

DISTANT = {
    "stt": "pipeline.ray.SpeechToText",
    "llm": "pipeline.ray.LanguageModel",
    "tts": "pipeline.ray.TextToSpeech",
}

ELSEWHERE = {
    "pipeline.stt.openai_compatible.OpenAICompatible",
    "pipeline.llm.openai_compatible.OpenAICompatible",
    "pipeline.tts.openai_compatible.OpenAICompatible",
    "pipeline.tts.edge.Edge",
}
"""They compute nothing themselves: a server is asked, from wherever they are."""

KOKORO: Entry = {
    "BACKEND": "pipeline.tts.kokoro.Kokoro",
    "OPTIONS": {"weights": "kokoro-82m-int8"},
}
EDGE: Entry = {"BACKEND": "pipeline.tts.edge.Edge", "OPTIONS": {}}

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
        "tts": KOKORO,
    },
    # Whisper medium and bloomz-1b1 on the fastest runtimes for plain processors.
    "standard": {
        "stt": {
            "BACKEND": "pipeline.stt.faster_whisper.FasterWhisper",
            "OPTIONS": {"weights": "whisper-medium"},
        },
        "llm": {
            "BACKEND": "pipeline.llm.llama_cpp.LlamaCpp",
            "OPTIONS": {"weights": "bloomz-1b1-q4", "prompt": "instruction"},
        },
        # Offline there is Kokoro alone: see `engines`.
        "tts": {"BACKEND": FALLBACK, "OPTIONS": {"engines": [EDGE, KOKORO]}},
    },
    # The same models on the packages of their authors: slow, and the yardstick.
    "reference": {
        "stt": {"BACKEND": "pipeline.stt.whisper.Whisper", "OPTIONS": {"weights": "medium"}},
        "llm": {
            "BACKEND": "pipeline.llm.transformers.Transformers",
            "OPTIONS": {"weights": "bloomz-1b1", "prompt": "instruction"},
        },
        "tts": EDGE,
    },
}


def engines(profile: str, *, offline: bool, cluster: bool = False) -> dict[str, Entry]:
    """The ``ENGINES`` setting of ``profile``, the environment's overrides applied.

    On a ``cluster`` each engine that computes is asked there. Each is wrapped by one that remembers
    what it has heard, replied or said. ``offline`` chooses what `standard` speaks with; where
    nothing local is at hand to choose, as in `reference`, the system check has the last word.
    """
    chosen = dict(PROFILES[profile])
    if offline and chosen["tts"]["BACKEND"] == FALLBACK:
        chosen["tts"] = chosen["tts"]["OPTIONS"]["engines"][-1]
    chosen = {role: _overridden(role, entry) for role, entry in chosen.items()}
    replicas = {role: env.mapping(f"VOICEBOT_{role.upper()}_REPLICAS") for role in chosen}
    if cluster:
        chosen = {role: _distant(role, entry, replicas[role]) for role, entry in chosen.items()}
    return {role: _remembering(role, entry) for role, entry in chosen.items()}


def _distant(role: str, entry: Entry, replicas: Entry) -> Entry:
    """``entry`` as it is asked on the cluster; of several that speak, each, as they differ."""
    if entry["BACKEND"] == FALLBACK:
        inner = [_distant(role, engine, replicas) for engine in entry["OPTIONS"].get("engines", [])]
        return {**entry, "OPTIONS": {**entry["OPTIONS"], "engines": inner}}
    if entry["BACKEND"] in ELSEWHERE:
        return entry
    return {"BACKEND": DISTANT[role], "OPTIONS": {"engine": entry, "replicas": replicas}}


def _remembering(role: str, entry: Entry) -> Entry:
    """``entry`` behind its cache; of several that speak, each, as they sound different."""
    if entry["BACKEND"] == FALLBACK:
        inner = [_remembering(role, engine) for engine in entry["OPTIONS"].get("engines", [])]
        return {**entry, "OPTIONS": {**entry["OPTIONS"], "engines": inner}}
    return {"BACKEND": REMEMBERING[role], "OPTIONS": {"engine": entry}}


def _overridden(role: str, entry: Entry) -> Entry:
    prefix = f"VOICEBOT_{role.upper()}"
    path = env.text(f"{prefix}_BACKEND", entry["BACKEND"])
    # Another class has other options: the profile's own belong to the profile's class.
    options = entry["OPTIONS"] if path == entry["BACKEND"] else {}
    return {"BACKEND": path, "OPTIONS": {**options, **env.mapping(f"{prefix}_OPTIONS")}}
