"""The admin in a real Chromium: all of it works under the policy that the server sends."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, expect

from tests.browser.conftest import Launcher, assert_accessible
from tests.browser.test_accessibility import DESKTOP, PHONE
from tests.conftest import ROOT
from tests.e2e.conftest import Server, serving
from tests.e2e.test_stream import QUESTION

PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One that was asked a question in a conversation, with an operator."""
    place = tmp_path_factory.mktemp("admin")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("VOICEBOT_", "DJANGO_"))}
    fakes = {
        f"VOICEBOT_{role.upper()}_BACKEND": f"pipeline.{role}.fake.Fake"
        for role in ("stt", "llm", "tts")
    }
    ours = {"VOICEBOT_DATA_DIR": str(place / "var"), "VOICEBOT_ENV_FILE": os.devnull}
    django = {"DJANGO_SETTINGS_MODULE": "voicebot.settings", "DJANGO_SUPERUSER_PASSWORD": PASSWORD}
    variables = kept | fakes | ours | django
    with serving(variables, place / "server.log") as running:
        words = ("createsuperuser", "--noinput", "--username", "root", "--email", "a@b.example")
        command = [sys.executable, "manage.py", *words]
        subprocess.run(command, cwd=ROOT, env=variables, check=True, capture_output=True)
        begin = Request(f"{running.url}/api/conversations/", b"", method="POST")
        with urlopen(begin) as response:
            conversation = json.load(response)["id"]
        assert running.ask(QUESTION, conversation=conversation).status == 200
        yield running
    assert "Warning:" not in (place / "server.log").read_text("utf-8")


@pytest.fixture
def refused() -> Iterator[list[str]]:
    """What a page did against its policy, and where its scripts failed: nothing, in the end."""
    faults: list[str] = []
    yield faults
    assert faults == []


def entered(context: BrowserContext, server: Server, refused: list[str]) -> Page:
    def note(line: ConsoleMessage) -> None:
        if "Content Security Policy" in line.text or "404" in line.text:
            refused.append(line.text)

    page = context.new_page()
    page.on("console", note)
    page.on("pageerror", lambda error: refused.append(str(error)))
    page.goto(f"{server.url}/admin/")
    page.fill("#id_username", "root")
    page.fill("#id_password", PASSWORD)
    page.click("input[type=submit]")
    expect(page.locator("#user-tools")).to_be_visible()
    return page


def test_no_page_of_the_admin_is_against_its_policy(
    server: Server, launch: Launcher, murmur: Path, refused: list[str]
) -> None:
    with launch(murmur).new_context(locale="en-GB") as context:
        page = entered(context, server, refused)
        lists = page.locator("#content-main th a").evaluate_all("all => all.map(a => a.href)")
        assert len(lists) >= 5
        for url in lists:
            page.goto(url)
            first = page.locator("#result_list tbody th a").first
            if first.count():
                first.click()
                page.wait_for_url("**/change/")
        page.goto(f"{server.url}/admin/access/apikey/add/")
        page.fill("#id_name", "phone")
        page.click("input[name=_save]")
        expect(page.locator("input.vTextField")).to_have_value(re.compile("vb_"))


def test_what_is_written_is_heard_before_it_is_kept(
    server: Server, launch: Launcher, murmur: Path, refused: list[str]
) -> None:
    """In the place of a kept sentence, and of a word: a sound that nobody stored is played."""
    with launch(murmur).new_context(locale="en-GB") as context:
        page = entered(context, server, refused)
        page.add_init_script("""
            const play = Audio.prototype.play;
            Audio.prototype.play = function () {
              const told = document.documentElement.dataset;
              this.addEventListener("playing", () => (told.heard = Number(told.heard || 0) + 1));
              return play.call(this);
            };
        """)
        page.goto(f"{server.url}/admin/cache/cachedspeech/")
        page.locator("#result_list tbody th a").first.click()
        page.get_by_role("link", name="Correct what is said").click()
        page.get_by_role("button", name="Listen first").click()
        expect(page.locator("html")).to_have_attribute("data-heard", "1")
        page.goto(f"{server.url}/admin/cache/pronunciation/add/")
        page.fill("#id_word", "Wi-Fi")
        page.fill("#id_say", "ouifi")
        for times, button in enumerate(page.locator("button.listen").all(), 1):
            button.click()
            expect(page.locator("html")).to_have_attribute("data-heard", str(times))


OVERFLOWING = """cells => cells.filter(cell => cell.scrollWidth > cell.clientWidth + 1).length"""


def test_on_a_phone_a_row_is_a_card(
    server: Server, launch: Launcher, murmur: Path, refused: list[str]
) -> None:
    """Nothing is written over something else, nor beyond the edge."""
    with launch(murmur).new_context(locale="fr-FR", **PHONE) as context:
        page = entered(context, server, refused)
        for what in ("history/turn", "history/conversation", "cache/cachedspeech"):
            page.goto(f"{server.url}/admin/{what}/")
            cells = page.locator("#result_list tbody :is(td, th)")
            assert cells.count()
            assert cells.evaluate_all(OVERFLOWING) == 0, what
            assert page.locator(".results").evaluate("r => r.scrollWidth - r.clientWidth") <= 1


def test_a_list_of_conversations_fits_the_screen(
    server: Server, launch: Launcher, murmur: Path, refused: list[str]
) -> None:
    with launch(murmur).new_context(locale="fr-FR", **DESKTOP) as context:
        page = entered(context, server, refused)
        page.goto(f"{server.url}/admin/history/conversation/")
        assert page.locator(".results").evaluate("r => r.scrollWidth - r.clientWidth") <= 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_dashboard_is_for_everybody(
    server: Server,
    launch: Launcher,
    murmur: Path,
    refused: list[str],
    scheme: str,
    screen: Mapping[str, Any],
) -> None:
    """No grave fault, nothing to scroll sideways for."""
    wishes: dict[str, Any] = {"locale": "fr-FR", "color_scheme": scheme, **screen}
    with launch(murmur).new_context(**wishes) as context:
        page = entered(context, server, refused)
        expect(page.get_by_role("heading", name="Les dernières 24 heures")).to_be_visible()
        page.get_by_role("link", name="Tout le tableau de bord").click()
        page.get_by_role("link", name="7 jours").click()
        expect(page.get_by_role("link", name="7 jours")).to_have_attribute("aria-current", "page")
        expect(page.locator("svg.chart")).to_have_count(3)
        expect(page.locator("svg.chart").first).to_have_attribute(
            "aria-label", "1 tour, 0 en échec"
        )
        page.locator("details.panel summary").click()
        assert_accessible(page)
        across = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.evaluate(across) == 0
        page.locator("details.panel a").first.click()
        expect(page.locator("#result_list tbody tr")).to_have_count(1)
