"""What ``manage.py doctor`` finds: what is there, what is missing, and what mends it.

Django's system checks know the settings; the rest is asked of the machine. Nothing is sent
anywhere, and nothing is changed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from django.conf import settings
from django.contrib.auth.models import User
from django.core import checks
from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor
from django.utils.formats import number_format
from django.utils.translation import gettext as _

from console import ports
from pipeline import hosts
from pipeline import weights as store
from pipeline.base import Engine
from pipeline.engines import ROLES, engines
from pipeline.errors import InvalidEngineError

Level = Literal["ok", "warning", "problem"]

LOW_BYTES: Final = 100_000_000
"""Free on the disk: as little as makes a server unready."""
MEMORY_FACTOR: Final = 2
"""What engines take at work, over the size of their weights."""
IMPORT_S: Final = 120.0

ABOUT_TLS: Final = {"security.W004", "security.W008", "security.W012", "security.W016"}

# What a library that the system should have is called there, by its beginning.
SYSTEM_PACKAGES: Final = {"libgomp.so": "libgomp1", "libstdc++.so": "libstdc++6"}


@dataclass(frozen=True)
class Finding:
    level: Level
    subject: str
    text: str
    mend: str = ""
    """A command, a setting, or what else to do; empty where nothing is to be."""


def examine(port: int) -> Iterator[Finding]:
    """All there is to say; the server is expected at ``port``."""
    yield from _checks()
    yield from _data()
    yield from _database()
    yield from _engines()
    yield from _gpu()
    yield _memory()
    yield _outbound()
    yield _token()
    yield from _secret_key()
    yield _port(port)
    yield _microphone()


# --- settings ------------------------------------------------------------------------------


def _checks() -> Iterator[Finding]:
    """Those of Django and ours; those for production too where others can ask."""
    found = checks.run_checks(databases=["default"], include_deployment_checks=_is_open())
    found = [message for message in found if not message.is_silenced()]
    if not settings.VOICEBOT_HTTPS:
        found = [message for message in found if message.id not in ABOUT_TLS]  # see `_microphone`
    for message in found:
        # A server does not start with these, whatever their level.
        fatal = str(message.id).startswith(("pipeline.", "access.")) and message.id != "access.W002"
        level: Level = "problem" if fatal or message.level >= checks.ERROR else "warning"
        engine = re.match(r"ENGINES\['(\w+)'\]: ", message.msg)
        subject, text = (
            (engine[1], message.msg[engine.end() :]) if engine else (_("Settings"), message.msg)
        )
        mend = message.hint or "\n".join(re.findall(r"`(.+?)`", text))
        yield Finding(level, subject, text, mend.replace("python manage.py", _manage()))
    if not found:
        profile = settings.VOICEBOT_PROFILE
        yield Finding("ok", _("Settings"), _("profile “%(profile)s”") % {"profile": profile})


def _names() -> set[str]:
    """Of this server, but for those that only this machine can use."""
    names = {settings.VOICEBOT_HOST, *settings.ALLOWED_HOSTS}
    return {name for name in names if not hosts.is_loopback(name.strip("[]"))}


def _is_open() -> bool:
    return bool(_names())


def _outbound() -> Finding:
    outside = sorted({engine.name for _role, engine in _built() if engine.outbound})
    subject = _("Outbound")
    if not outside:
        return Finding("ok", subject, _("nothing of what is said leaves the machine"))
    text = _("what is said leaves the machine: %(engines)s") % {"engines": ", ".join(outside)}
    return Finding("warning", subject, text, "VOICEBOT_OFFLINE=1")


def _token() -> Finding:
    subject = "HF_TOKEN"
    if not settings.HF_TOKEN:
        return Finding("ok", subject, _("none; the profiles need none"))
    if not settings.HF_TOKEN.startswith("hf_"):
        text = _("it does not look like a token of Hugging Face, which begins with hf_")
        return Finding("warning", subject, text, "https://huggingface.co/settings/tokens")
    return Finding("ok", subject, _("is set"))


def _secret_key() -> Iterator[Finding]:
    path = Path(settings.VOICEBOT_DATA_DIR) / "secret_key"
    try:
        mode = path.stat().st_mode & 0o777
    except FileNotFoundError:
        yield Finding("ok", _("Secret key"), "VOICEBOT_SECRET_KEY")
        return
    if mode & 0o077:
        text = _("others of this machine can read %(path)s") % {"path": path}
        yield Finding("warning", _("Secret key"), text, f"chmod 600 {path}")
    else:
        yield Finding("ok", _("Secret key"), _("readable by its owner alone"))


# --- the machine ---------------------------------------------------------------------------


def _data() -> Iterator[Finding]:
    folder = Path(settings.VOICEBOT_DATA_DIR)
    subject = _("Disk")
    try:
        with tempfile.NamedTemporaryFile(dir=folder):
            pass
    except OSError as exc:
        text = _("%(folder)s cannot be written: %(reason)s")
        mend = f'sudo chown -R "$(id -un)" {folder}'
        yield Finding("problem", subject, text % {"folder": folder, "reason": exc.strerror}, mend)
        return
    free_bytes = shutil.disk_usage(folder).free
    # Archives are kept until what is in them is in place.
    needed_bytes = LOW_BYTES + 2 * sum(weights.size_bytes for weights in _absent())
    values = {
        "folder": folder,
        "free": _gigabytes(free_bytes),
        "needed": _gigabytes(needed_bytes),
    }
    if free_bytes < needed_bytes:
        text = _("%(free)s GB are free in %(folder)s, and %(needed)s GB are needed") % values
        mend = _("make room (python manage.py prune_speech --all), or move the data: %(setting)s")
        setting = "VOICEBOT_DATA_DIR=/big/disk"
        yield Finding("problem", subject, text, mend % {"setting": setting})
    else:
        yield Finding("ok", subject, _("%(free)s GB are free in %(folder)s") % values)


def _database() -> Iterator[Finding]:
    subject = _("Database")
    try:
        executor = MigrationExecutor(connection)
        behind = executor.migration_plan(executor.loader.graph.leaf_nodes())
        accounts = not behind and User.objects.filter(is_superuser=True, is_active=True).exists()
    except Error as exc:
        text = _("it does not answer: %(reason)s") % {
            "reason": str(exc).strip() or type(exc).__name__
        }
        yield Finding("problem", subject, text, _("see VOICEBOT_DATABASE_URL, and whether it runs"))
        return
    if behind:
        text = _("%(count)d migrations are to be applied") % {"count": len(behind)}
        yield Finding("warning", subject, text, f"{_manage()} migrate")
        return
    yield Finding("ok", subject, connection.vendor)
    if accounts:
        yield Finding("ok", _("Admin"), _("there is an account"))
    else:
        text = _("nobody has an account")
        yield Finding("warning", _("Admin"), text, f"{_manage()} first_admin")


def _memory() -> Finding:
    subject = _("Memory")
    needed_bytes = MEMORY_FACTOR * sum(store.find(id_).size_bytes for id_ in _needed())
    free_bytes = _free_memory_bytes()
    if free_bytes is None:
        return Finding("ok", subject, _("this system does not tell how much is free"))
    values = {
        "free": _gigabytes(free_bytes),
        "needed": _gigabytes(needed_bytes),
    }
    if free_bytes < needed_bytes:
        text = _("%(free)s GB are free, and the engines take about %(needed)s GB") % values
        return Finding("warning", subject, text, "VOICEBOT_PROFILE=embedded")
    text = _("%(free)s GB are free; the engines take about %(needed)s GB") % values
    return Finding("ok", subject, text)


def _gigabytes(size_bytes: float) -> str:
    return number_format(size_bytes / 1e9, 1)


def _free_memory_bytes() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    kilobytes = {
        name: int(rest.split()[0]) for name, _colon, rest in (s.partition(":") for s in lines)
    }
    return 1024 * kilobytes["MemAvailable"]


# --- the engines ---------------------------------------------------------------------------


def _built() -> Iterator[tuple[str, Engine]]:
    """Those that their settings describe; the checks tell of the others."""
    for role in ROLES:
        try:
            yield role, engines[role]
        except InvalidEngineError:
            continue


def _needed() -> list[str]:
    """Ids of the weights that the engines read."""
    return list(dict.fromkeys(id_ for _role, engine in _built() for id_ in engine.needs))


def _absent() -> list[store.Weights]:
    return [weights for weights in map(store.find, _needed()) if not weights.present]


def _engines() -> Iterator[Finding]:
    """That their packages can be imported: libraries of the system they stand on, a processor that
    knows their instructions. In processes of their own, which may die of it."""
    at_work = [(role, engine) for role, outer in _built() for engine in outer.workers]
    for role, engine in at_work:
        if fault := _fault(list(engine.packages)):
            mend = _manage().removesuffix("manage.py") + "-m pip install --force-reinstall "
            mend += " ".join(engine.packages.values()) + " -c requirements.txt"
            for beginning, package in SYSTEM_PACKAGES.items():
                if beginning in fault:
                    mend = f"sudo apt install {package}"
            yield Finding("problem", role, f"{engine.name}: {fault}", mend)
        elif not engine.missing():
            yield Finding("ok", role, " ".join([engine.name, *engine.needs]))
    if _absent() and shutil.which("npm") is None:
        text = _("npm is missing, which brings some of the weights")
        yield Finding("problem", "npm", text, "sudo apt install npm")


def _fault(modules: list[str]) -> str:
    """Why ``modules`` cannot be imported, in a line; empty where they can, or are not installed."""
    if not modules:
        return ""
    code = (
        "import importlib, importlib.util, sys\n"
        "for name in sys.argv[1:]:\n"
        "    if importlib.util.find_spec(name): importlib.import_module(name)\n"
    )
    command = [sys.executable, "-c", code, *modules]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=IMPORT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return _("it takes too long to be imported")
    if done.returncode < 0:
        text = _("this processor or system cannot run it (signal %(signal)d)")
        return text % {"signal": -done.returncode}
    return done.stderr.strip().splitlines()[-1] if done.returncode else ""


def _gpu() -> Iterator[Finding]:
    """Of NVIDIA, for Whisper on CTranslate2, which takes one where it finds one."""
    listening = next((engine.bare for role, engine in _built() if role == "stt"), None)
    if listening is None or "faster_whisper" not in listening.packages:
        return
    code = (
        "import ctypes, ctranslate2\n"
        "count = ctranslate2.get_cuda_device_count()\n"
        "print(count)\n"
        "if count: ctypes.CDLL('libcublas.so.12')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=IMPORT_S, check=False
    )
    subject, count = _("GPU"), done.stdout.strip()
    if count in ("", "0"):
        text = _("none that Whisper could use: it runs on the processor")
        yield Finding("ok", subject, text)
    elif done.returncode:
        text = _("there is one, and CUDA 12 is not here to use it: Whisper would fail")
        yield Finding("problem", subject, text, """VOICEBOT_STT_OPTIONS='{"device": "cpu"}'""")
    else:
        yield Finding("ok", subject, _("%(count)s; Whisper uses one") % {"count": count})


# --- how it is reached ---------------------------------------------------------------------


def _port(port: int) -> Finding:
    subject, host = _("Port"), settings.VOICEBOT_HOST
    reason = ports.obstacle(host, port)
    if not reason:
        text = _("%(host)s:%(port)d is free") % {"host": host, "port": port}
        return Finding("ok", subject, text)
    if ports.is_voicebots(host, port):
        return Finding("ok", subject, _("voicebot serves on %(port)d") % {"port": port})
    return Finding("problem", subject, reason, ports.another(port))


def _microphone() -> Finding:
    subject = _("Microphone")
    if _is_open() and not settings.VOICEBOT_HTTPS:
        text = _("browsers on other machines give the page none, and keys can be read on the way")
        mend = _("a proxy with TLS in front, and VOICEBOT_HTTPS=1: docs/deploying.md")
        return Finding("warning", subject, text, mend)
    text = (
        _("browsers give the page one, over https")
        if _is_open()
        else _("browsers here give the page one")
    )
    return Finding("ok", subject, text)


def _manage() -> str:
    """How this very command line is begun, from the folder it lies in."""
    python = os.path.relpath(sys.executable)
    return f"{sys.executable if python.startswith('..') else python} manage.py"
