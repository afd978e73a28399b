"""What a browser, a guesser of passwords and the settings of production are told."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from access.models import ApiKey
from cache.models import CachedSpeech
from pipeline.stt.fake import Fake as FakeSpeechToText
from tests.api.conftest import Ask
from tests.conftest import ROOT

pytestmark = pytest.mark.django_db

GUIDE = (ROOT / "docs" / "security.md").read_text("utf-8")
PASSWORD = "correct horse battery staple"


# --- settings of production --------------------------------------------------------------------


def production() -> dict[str, str]:
    """The variables that the guide tells to set."""
    [block] = re.findall(r"^```sh\n(VOICEBOT_HTTPS=.*?)```$", GUIDE, re.MULTILINE | re.DOTALL)
    return dict(line.split("=", 1) for line in block.splitlines())


def manage(tmp_path: Path, variables: dict[str, str], *words: str) -> str:
    fakes = {
        f"VOICEBOT_{role.upper()}_BACKEND": f"pipeline.{role}.fake.Fake"
        for role in ("stt", "llm", "tts")
    }
    ours = {"VOICEBOT_DATA_DIR": str(tmp_path), "VOICEBOT_ENV_FILE": os.devnull}
    ours["DJANGO_SETTINGS_MODULE"] = "voicebot.settings"
    done = subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        env=os.environ | fakes | ours | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def test_check_deploy_is_content_with_the_documented_settings(tmp_path: Path) -> None:
    variables = production()
    assert set(variables) > {"VOICEBOT_HTTPS", "VOICEBOT_ALLOWED_HOSTS", "VOICEBOT_PROXIES"}
    check = ("manage.py", "check", "--deploy", "--fail-level", "INFO")
    assert "no issues" in manage(tmp_path, variables, *check)
    said = manage(tmp_path, {}, *check)
    assert "security.W004" in said
    assert "no issues" not in said


PRINT = (
    "from voicebot import settings as s; print(s.SESSION_COOKIE_SECURE, s.CSRF_COOKIE_SECURE,"
    " s.SECURE_HSTS_SECONDS, s.SECURE_SSL_REDIRECT, s.DEBUG, s.VOICEBOT_KEYS,"
    " getattr(s, 'SECURE_PROXY_SSL_HEADER', None))"
)


def test_what_the_documented_settings_do(tmp_path: Path) -> None:
    assert manage(tmp_path, production(), "-c", PRINT) == (
        "True True 31536000 True False always ('HTTP_X_FORWARDED_PROTO', 'https')\n"
    )
    assert manage(tmp_path, {}, "-c", PRINT) == "False False 0 False False auto None\n"
    # Without a proxy nobody may claim that there is TLS.
    alone = manage(tmp_path, {"VOICEBOT_HTTPS": "1"}, "-c", PRINT)
    assert alone == "True True 31536000 True False auto None\n"


# --- pages -------------------------------------------------------------------------------------


class Inline(HTMLParser):
    """What a strict policy keeps a browser from running, or from heeding, inside a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        data = given.get("type") in ("application/json", "text/plain")
        if tag == "style" or (tag == "script" and "src" not in given and not data):
            self.found.append(tag)
        self.found += [
            f"{tag} {name}" for name in given if name.startswith("on") or name == "style"
        ]
        urls = [given.get("href"), given.get("src")]
        self.found += [
            f"{tag} {url}"
            for url in urls
            if url and re.match(r"(?:https?:)?//|javascript:|data:", url)
        ]


def pages() -> list[str]:
    names = ("cache_cachedspeech", "cache_pronunciation", "access_apikey", "auth_user")
    lists = [reverse(f"admin:{name}_changelist") for name in names]
    return ["/", "/admin/", *lists, reverse("admin:access_apikey_add"), "/admin/password_change/"]


def test_pages_of_the_admin_keep_to_a_strict_policy(admin_client: Client, ask: Ask) -> None:
    ask(headers={"authorization": f"Bearer {ApiKey.objects.make('phone').text}"})
    speech = CachedSpeech.objects.get()
    for path in [*pages(), reverse("admin:cache_cachedspeech_change", args=[speech.pk])]:
        response = admin_client.get(path)
        assert response.status_code == 200, path
        policy = response["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert not re.search(r"unsafe|https?:|\*|data:", policy), path
        assert Inline(response.text).found == [], path
        assert response["X-Frame-Options"] == "DENY"
        assert response["X-Content-Type-Options"] == "nosniff"
        assert response["Referrer-Policy"] == "same-origin"


def test_answers_of_the_api_have_the_policy_too(client: Client) -> None:
    for path in ("/api/voices/", "/api/nowhere/", "/admin/login/"):
        assert "default-src 'none'" in client.get(path)["Content-Security-Policy"]


def test_forms_of_the_admin_want_their_token() -> None:
    client = Client(enforce_csrf_checks=True)
    User.objects.create_superuser("root", password=PASSWORD)
    form = {"username": "root", "password": PASSWORD}
    assert client.post("/admin/login/", form).status_code == 403


# --- passwords ---------------------------------------------------------------------------------


def login(client: Client, password: str, address: str = "192.0.2.7") -> int:
    form = {"username": "root", "password": password}
    return client.post("/admin/login/", form, REMOTE_ADDR=address).status_code


def test_who_guesses_passwords_waits(client: Client) -> None:
    User.objects.create_superuser("root", password=PASSWORD)
    assert [login(client, f"guess {n}") for n in range(6)] == [200] * 4 + [429] * 2
    assert login(client, PASSWORD) == 429
    assert login(client, PASSWORD, "192.0.2.8") == 302  # others are not kept out


def test_who_errs_and_then_knows_may_err_again(client: Client) -> None:
    User.objects.create_superuser("root", password=PASSWORD)
    for _time in range(3):
        assert [login(client, "oh") for _error in range(3)] == [200] * 3
        assert login(client, PASSWORD) == 302


def test_guessers_cannot_change_their_address(client: Client, settings: Settings) -> None:
    User.objects.create_superuser("root", password=PASSWORD)
    form = {"username": "root", "password": "guess"}
    seen = [
        client.post("/admin/login/", form, headers={"x-forwarded-for": f"192.0.2.{n}"}).status_code
        for n in range(6)
    ]
    assert seen[-1] == 429
    settings.VOICEBOT_PROXIES = 1
    header = {"x-forwarded-for": "198.51.100.9"}
    assert client.post("/admin/login/", form, headers=header).status_code == 200


# --- what is asked for -------------------------------------------------------------------------


def test_nobody_makes_the_server_ask_an_address(ask: Ask) -> None:
    """Engines' URLs are settings: no field, header or parameter of a request is one."""
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.setblocking(False)
        url = f"http://127.0.0.1:{trap.getsockname()[1]}/v1"
        names = ("base_url", "api_base", "endpoint", "model", "engine", "callback", "weights")
        headers = {"x-forwarded-host": url, "referer": url, "x-base-url": url}
        address = f"/api/voice/?base_url={url}&model={url}"
        response = ask(url=address, headers=headers, **dict.fromkeys(names, url))
        with pytest.raises(BlockingIOError):  # nobody has called
            trap.accept()
    assert response.status_code == 200


def test_what_is_said_cannot_write_headers(ask: Ask, stt: FakeSpeechToText) -> None:
    stt.script.enqueue("a\r\nSet-Cookie: evil=1\r\n\r\n<html>")
    response = ask()
    assert response.status_code == 200
    assert not response.cookies
    assert all("\n" not in value for value in response.headers.values())
