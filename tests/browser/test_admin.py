"""The admin in a real Chromium: all of it works under the policy that the server sends."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import ConsoleMessage

from tests.browser.conftest import Launcher
from tests.conftest import ROOT
from tests.e2e.conftest import serving
from tests.e2e.test_stream import QUESTION

PASSWORD = "correct horse battery staple"


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("VOICEBOT_", "DJANGO_"))}
    fakes = {
        f"VOICEBOT_{role.upper()}_BACKEND": f"pipeline.{role}.fake.Fake"
        for role in ("stt", "llm", "tts")
    }
    ours = {"VOICEBOT_DATA_DIR": str(tmp_path / "var"), "VOICEBOT_ENV_FILE": os.devnull}
    django = {"DJANGO_SETTINGS_MODULE": "voicebot.settings", "DJANGO_SUPERUSER_PASSWORD": PASSWORD}
    return kept | fakes | ours | django


def test_no_page_of_the_admin_is_against_its_policy(
    variables: dict[str, str], tmp_path: Path, launch: Launcher, murmur: Path
) -> None:
    refused: list[str] = []

    def note(line: ConsoleMessage) -> None:
        if "Content Security Policy" in line.text:
            refused.append(line.text)

    with serving(variables, tmp_path / "server.log") as server:
        words = ("createsuperuser", "--noinput", "--username", "root", "--email", "a@b.example")
        command = [sys.executable, "manage.py", *words]
        subprocess.run(command, cwd=ROOT, env=variables, check=True, capture_output=True)
        assert server.ask(QUESTION).status == 200
        with launch(murmur).new_context(locale="en-GB") as context:
            page = context.new_page()
            page.on("console", note)
            page.on("pageerror", lambda error: refused.append(str(error)))
            page.goto(f"{server.url}/admin/")
            page.fill("#id_username", "root")
            page.fill("#id_password", PASSWORD)
            page.click("input[type=submit]")
            lists = page.locator("#content-main th a").evaluate_all("all => all.map(a => a.href)")
            assert len(lists) >= 5
            for url in lists:
                page.goto(url)
                first = page.locator("#result_list tbody th a").first
                if first.count():
                    first.click()
            page.goto(f"{server.url}/admin/access/apikey/add/")
            page.fill("#id_name", "phone")
            page.click("input[name=_save]")
            assert re.match(r"vb_", page.locator("input.vTextField").input_value())
    assert refused == []
