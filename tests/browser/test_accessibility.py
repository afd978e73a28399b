"""The page to those who do not see it, or not well: axe's rules, by day and night."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Opener, assert_accessible, hold, turns
from tests.e2e.conftest import Server

DESKTOP: Mapping[str, Any] = {"viewport": {"width": 1280, "height": 800}}
PHONE: Mapping[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("language", ["fr-FR", "en-GB"])
def test_no_grave_fault(
    server: Server, visit: Opener, scheme: str, screen: Mapping[str, Any], language: str
) -> None:
    page = visit(server, locale=language, color_scheme=scheme, reduced_motion="reduce", **screen)
    assert_accessible(page)
    hold(page)
    expect(turns(page).last).to_have_attribute("data-state", "done")
    turns(page).last.locator("summary").click()
    assert_accessible(page)
    page.locator("#settings-open").click()
    assert_accessible(page)
    page.keyboard.press("Escape")


def test_no_grave_fault_where_something_went_wrong(server: Server, visit: Opener) -> None:
    page = visit(server, allowed=False, reduced_motion="reduce")
    hold(page)
    expect(page.get_by_role("alert")).to_be_visible()
    assert_accessible(page)


def test_what_happens_is_told_aloud(server: Server, visit: Opener) -> None:
    """A screen reader is told what was heard, and what goes on."""
    page = visit(server)
    hold(page)
    expect(page.locator("[aria-live]")).to_have_text("Entendu : Quelle heure est-il ?")
    expect(page.get_by_role("status")).to_have_text("Maintenez pour parler")
    turn = turns(page).last
    for name in ("Écouter la réponse", "Copier la réponse"):
        expect(turn.get_by_role("button", name=name)).to_be_visible()
    position = turn.get_by_role("slider", name="Position dans la réponse")
    expect(position).to_have_attribute("aria-valuetext", "0:00 sur 0:02")
