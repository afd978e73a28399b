"""The names under which engines are asked for: OpenAI's API calls them models."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

from django.utils.translation import gettext as _
from rest_framework.exceptions import NotFound

from api.serializers import voice_json
from pipeline import provenance
from pipeline.engines import ROLES, engines

TASKS: Final = {
    "stt": "automatic-speech-recognition",
    "llm": "text-generation",
    "tts": "text-to-speech",
}

STARTED: Final = int(time.time())


class ModelNotFound(NotFound):
    default_code = "model_not_found"


def model_ids() -> dict[str, str]:
    """Role → name: of the weights, of the model behind a URL, or else of the engine."""
    names = {}
    for role, identity in provenance.identities(engines).items():
        name = identity.get("weights") or identity.get("model") or identity["engine"]
        names[role] = Path(name).name  # weights of the user's own are a path, which is theirs
    return names


def model_of(role: str, asked: str) -> str:
    """The name of the engine of ``role``, which answers to any name but that of another role's.

    There is one for each role, and clients have names of OpenAI's built in.

    :raises ModelNotFound: ``asked`` is one of ours that is for something else.
    """
    names = model_ids()
    if asked != names[role] and asked in names.values():
        other = next(role for role in ROLES if names[role] == asked)
        text = _("The model “%(name)s” is for %(task)s; here it would be “%(right)s”.")
        right = {"name": asked, "task": TASKS[other], "right": names[role]}
        raise ModelNotFound(text % right)
    return names[role]


def models_json() -> list[dict[str, Any]]:
    """Each model once, with what it is for, and its voices where it has some."""
    listed: dict[str, dict[str, Any]] = {}
    for role, name in model_ids().items():
        model = {
            "id": name,
            "object": "model",
            "created": STARTED,
            "owned_by": "voicebot",
            "task": TASKS[role],
        }
        if role == "tts":
            model["voices"] = [voice_json(voice) for voice in engines.tts.voices]
        listed.setdefault(name, model)
    return list(listed.values())
