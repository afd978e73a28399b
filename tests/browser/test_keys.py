"""A server that opens to those who have a key alone."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Route, expect

from tests.browser.conftest import Opener, assert_accessible, hold, turns
from tests.conftest import ROOT
from tests.e2e.conftest import Server, serving

MADE_UP = "vb_00000000_" + "0" * 43


@pytest.fixture(scope="module")
def data(chosen: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return {**chosen, "VOICEBOT_DATA_DIR": str(tmp_path_factory.mktemp("locked"))}


@pytest.fixture(scope="module")
def key(data: dict[str, str]) -> str:
    """One that opens the server, as its operator makes it."""
    for command in (["migrate", "--verbosity", "0"], ["make_key", "phone"]):
        made = subprocess.run(
            [sys.executable, "manage.py", *command],
            cwd=ROOT, env=data, check=True, capture_output=True, text=True,
        )  # fmt: skip
    found = re.search(r"vb_\S+", made.stdout)
    assert found
    return found[0]


@pytest.fixture(scope="module")
def locked(
    data: dict[str, str], key: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("log") / "server.log"
    with serving({**data, "VOICEBOT_KEYS": "always"}, log) as running:
        yield running


def test_the_key_is_asked_for_once(locked: Server, key: str, visit: Opener) -> None:
    page = visit(locked)
    dialog = page.get_by_role("dialog", name="Ce serveur demande une clé")
    dialog.get_by_label("Clé").fill(MADE_UP)
    dialog.get_by_role("button", name="Ouvrir").click()
    expect(dialog.get_by_role("alert")).to_contain_text("Cette clé n’existe pas.")
    assert_accessible(page)
    dialog.get_by_label("Clé").fill(key)
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    expect(page.locator("#promise")).to_have_attribute("data-state", "stays")
    hold(page)
    expect(turns(page).last).to_have_attribute("data-state", "done")
    page.reload()
    expect(page.locator("#promise")).to_have_attribute("data-state", "stays")
    expect(dialog).to_be_hidden()
    assert page.evaluate("JSON.stringify(localStorage)").count("vb_") == 0


def test_a_late_refusal_of_another_key_asks_for_none(
    locked: Server, key: str, visit: Opener
) -> None:
    page = visit(locked)
    wrong: list[Route] = []

    def keep_back(route: Route) -> None:
        """The second question for voices that shows the wrong key."""
        if MADE_UP in route.request.headers.get("authorization", ""):
            wrong.append(route)
            if len(wrong) == 2:
                return
        route.continue_()

    page.route("**/api/voices/", keep_back)
    dialog = page.get_by_role("dialog", name="Ce serveur demande une clé")
    dialog.get_by_label("Clé").fill(MADE_UP)
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("alert")).to_contain_text("Cette clé n’existe pas.")
    dialog.get_by_label("Clé").fill(key)
    page.keyboard.press("Enter")
    expect(page.locator("#promise")).to_have_attribute("data-state", "stays")
    _first, second = wrong
    with page.expect_response("**/api/voices/"):
        second.continue_()
    expect(page.get_by_label("Qui vous répond")).to_contain_text("Claire")
    hold(page)
    expect(turns(page).last).to_have_attribute("data-state", "done")
    expect(dialog).to_be_hidden()


def test_a_question_waits_for_the_key(locked: Server, key: str, visit: Opener) -> None:
    page = visit(locked)
    dialog = page.get_by_role("dialog", name="Ce serveur demande une clé")
    dialog.get_by_role("button", name="Fermer").click()
    expect(page.locator("#promise")).to_have_text("Ce serveur s’ouvre à qui a une clé.")
    hold(page)
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("alert").locator(".what")).to_contain_text("s’ouvre à qui a une clé")
    page.get_by_role("button", name="Renvoyer").click()
    dialog.get_by_label("Clé").fill(key)
    page.keyboard.press("Enter")
    expect(turns(page).last).to_have_attribute("data-state", "done")
    page.get_by_role("button", name="Réglages").click()
    expect(page.get_by_label("Qui vous répond")).to_contain_text("Claire")
