"""Django for the scripts: the embedded profile on data of its own, the real weights.

Import it first.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import django

WEIGHTS = Path(__file__).resolve().parent.parent / "var" / "weights"

_data = tempfile.TemporaryDirectory(prefix="voicebot-bench-")
os.environ |= {
    "DJANGO_SETTINGS_MODULE": "voicebot.settings",
    "VOICEBOT_DATA_DIR": _data.name,
    "VOICEBOT_ENV_FILE": os.devnull,
    "VOICEBOT_LOG_LEVEL": "WARNING",
}
os.environ.setdefault("VOICEBOT_PROFILE", "embedded")
(Path(_data.name) / "weights").symlink_to(WEIGHTS)
django.setup()

from django.core.management import call_command  # noqa: E402

call_command("migrate", verbosity=0)
