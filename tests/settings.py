"""The service with fake engines, on data of its own."""

import contextlib
import os
import tempfile
from pathlib import Path

# Whatever the shell or .env says, the tests run on what is written here.
for name in [name for name in os.environ if name.startswith("VOICEBOT_") and "TEST" not in name]:
    del os.environ[name]
# A process that a test starts shares its data.
DATA_DIR = Path(os.environ.get("VOICEBOT_TEST_DATA") or tempfile.mkdtemp(prefix="voicebot-tests-"))
os.environ |= {"VOICEBOT_DATA_DIR": str(DATA_DIR), "VOICEBOT_ENV_FILE": os.devnull}
if "VOICEBOT_TEST_DATABASE_URL" in os.environ:  # as tests.cluster.postgresql sets it
    os.environ["VOICEBOT_DATABASE_URL"] = os.environ["VOICEBOT_TEST_DATABASE_URL"]

from voicebot.settings import *  # noqa: E402, F403
from voicebot.settings import BASE_DIR, CACHES, DATABASES, LOCMEM  # noqa: E402

# Real weights are read where `make run` put them.
WEIGHTS = Path(os.environ.get("VOICEBOT_TEST_WEIGHTS", BASE_DIR / "var" / "weights"))
with contextlib.suppress(FileExistsError):
    (DATA_DIR / "weights").symlink_to(WEIGHTS)

ENGINES = {
    "stt": {"BACKEND": "pipeline.stt.fake.Fake"},
    "llm": {"BACKEND": "pipeline.llm.fake.Fake"},
    "tts": {
        "BACKEND": "cache.tts.CachedTextToSpeech",
        "OPTIONS": {"engine": {"BACKEND": "pipeline.tts.fake.Fake"}},
    },
}
VOICEBOT_MAX_WAIT_S = 60  # fakes are quick, and what a test holds up would be late
LANGUAGE_CODE = TERMINAL_LANGUAGE = (
    "en"  # tests read the source strings; translations have tests of their own
)
# A file, as in production: in memory, threads would share one connection's locks.
if "sqlite3" in DATABASES["default"]["ENGINE"]:
    DATABASES["default"]["TEST"] = {"NAME": DATA_DIR / "test.sqlite3"}
    # No power cut is to be survived.
    DATABASES["default"]["OPTIONS"]["init_command"] += " PRAGMA synchronous=OFF;"
else:
    # The transaction around a test outlives the requests in it.
    del DATABASES["default"]["OPTIONS"]["pool"]
    DATABASES["default"]["CONN_MAX_AGE"] = None
    CACHES["requests"]["BACKEND"] = LOCMEM  # emptied before tests that know no database
TASKS = {"default": {"BACKEND": "django_tasks.backends.immediate.ImmediateBackend"}}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# Static files are looked for when one is asked for, not by each test that asks for anything.
WHITENOISE_AUTOREFRESH = True
