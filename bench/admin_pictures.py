"""Pictures of the admin, for the documentation: the last part of ``make screenshots``.

The rows behind the dashboard are made (see ``bench.made``); the turn with its timeline, and the
speech that can be heard, are those that the server was asked for just before.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

from playwright.sync_api import Browser, Page

from tests.conftest import ROOT

Shoot = Callable[[Page, str], None]
"""Is given a page and the name of its picture."""

NAME: Final = "accueil"
PASSWORD: Final = "seen in a picture at most"
TALL: Final[Mapping[str, Any]] = {"viewport": {"width": 1200, "height": 1450}}
WIDE: Final[Mapping[str, Any]] = {"viewport": {"width": 1500, "height": 900}}

MAKE: Final = """
from bench.made import Maker
from pipeline.engines import engines
maker = Maker(engines.tts.identity)
maker.history(turns=9_000, conversations=1_500)
"""


def make_rows(environment: Mapping[str, str]) -> None:
    """An operator, and months of use."""
    operator = ("createsuperuser", "--noinput", "--username", NAME, "--email", "a@b.example")
    _manage(environment, *operator)
    _manage(environment, "shell", "--verbosity", "0", "--command", MAKE)


def _manage(environment: Mapping[str, str], *words: str) -> None:
    variables = {**environment, "DJANGO_SUPERUSER_PASSWORD": PASSWORD}
    command = [sys.executable, "manage.py", *words]
    subprocess.run(command, cwd=ROOT, env=variables, check=True, stdout=subprocess.DEVNULL)


def take_dashboard(browser: Browser, url: str, shoot: Shoot) -> None:
    for scheme in ("light", "dark"):
        page = _entered(browser, url, **TALL, color_scheme=scheme)
        page.goto(f"{url}/admin/dashboard/?days=30")
        shoot(page, f"admin-dashboard-{scheme}")


def take_what_was_said(browser: Browser, url: str, shoot: Shoot) -> None:
    page = _entered(browser, url, **WIDE)
    page.goto(f"{url}/admin/cache/cachedspeech/")
    shoot(page, "admin-speech")
    page.goto(f"{url}/admin/history/turn/?kind=said&o=-1")
    page.locator("#result_list tbody th a").nth(2).click()  # the second question
    page.locator(".stages").wait_for()
    shoot(page, "admin-turn")


def _entered(browser: Browser, url: str, **wishes: Any) -> Page:
    page = browser.new_context(locale="fr-FR", **wishes).new_page()
    page.goto(f"{url}/admin/")
    page.fill("#id_username", NAME)
    page.fill("#id_password", PASSWORD)
    page.click("input[type=submit]")
    return page
