"""Pictures of the page and of the admin, for the documentation.

``make screenshots`` serves as users do, opens the page in Chromium, talks to it and writes
``docs/pictures/*.png``; ``python -m bench.screenshots admin`` those of the admin alone.

What listens and speaks is real; the replies are written in advance, as those of the small default
model are not worth a picture.
"""

from __future__ import annotations

import bench.setup  # noqa: F401 - first: it sets Django up

# isort: split
import io
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal
from urllib.request import Request, urlopen

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright

from bench import admin_pictures
from bench.setup import WEIGHTS
from pipeline.audio import Audio, to_wav
from pipeline.engines import engines
from tests.browser.conftest import chromium
from tests.e2e.conftest import Server, serving

PICTURES: Final = Path(__file__).resolve().parent.parent / "docs" / "pictures"
COLOURS: Final = 256  # a picture with more is five times as large, and looks the same

FIRST: Final = "Pourquoi le ciel est-il bleu ?"
SECOND: Final = "Et pourquoi est-il rouge le soir ?"
REPLIES: Final = {
    "rouge": "Le soir, la lumière traverse beaucoup plus d’air : le bleu s’y perd en chemin, "
    "et il ne reste que le rouge.",
    "bleu": "L’air disperse la lumière bleue du soleil bien plus que la rouge. "
    "Elle nous arrive donc de tout le ciel.",
}

DESKTOP: Final[Mapping[str, Any]] = {"viewport": {"width": 1200, "height": 900}}
PHONE: Final[Mapping[str, Any]] = {
    "viewport": {"width": 390, "height": 780},
    "device_scale_factor": 2,
    "has_touch": True,
    "is_mobile": True,
}

FONTS = """\
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <include>/etc/fonts/fonts.conf</include>
  <alias binding="strong"><family>system-ui</family><prefer><family>Inter</family></prefer></alias>
  <alias binding="strong"><family>sans-serif</family><prefer><family>Inter</family></prefer></alias>
</fontconfig>
"""
"""What desktops have where servers have little: `apt install fonts-inter fonts-urw-base35`."""


def spoken(text: str, path: Path) -> Path:
    """``text`` as a recording, with a pause after it."""
    sounds = [speech.audio for speech in engines.tts.synthesize(text, language="fr")]
    pause = Audio(np.zeros(2 * sounds[0].sample_rate, np.float32), sounds[0].sample_rate)
    path.write_bytes(to_wav([*sounds, pause]))
    return path


class Studio:
    """A browser at a server, whose microphone plays the second question."""

    def __init__(self, browser: Browser, url: str, first: Path) -> None:
        self._browser = browser
        self._url = url
        self._first = first

    def open(self, screen: Mapping[str, Any], scheme: Literal["light", "dark"]) -> Page:
        context = self._browser.new_context(
            locale="fr-FR", permissions=["microphone"], color_scheme=scheme, **screen
        )
        page = context.new_page()
        page.goto(self._url)
        expect(page.locator("#promise")).to_have_attribute("data-state", "stays")
        return page

    def ask_first(self, page: Page) -> None:
        page.locator("#file").set_input_files(self._first)
        self._answered(page)

    def press(self, page: Page) -> None:
        page.locator("#talk").hover()
        page.mouse.down()
        page.wait_for_timeout(1_700)

    def release(self, page: Page) -> None:
        page.wait_for_timeout(700)
        page.mouse.up()

    def _answered(self, page: Page) -> None:
        expect(page.locator(".turn").last).to_have_attribute("data-state", "done", timeout=60_000)
        expect(page.locator("body")).to_have_attribute("data-state", "idle", timeout=60_000)

    def take_all(self) -> None:
        page = self.open(DESKTOP, "light")
        self.ask_first(page)
        self.press(page)
        self.release(page)
        self._answered(page)
        page.locator("summary").last.click()
        page.evaluate("document.getElementById('main').scrollTop = 1e6")
        shoot(page, "desktop-light")

        page = self.open(DESKTOP, "dark")
        self.ask_first(page)
        self.press(page)
        shoot(page, "desktop-dark")

        page = self.open(PHONE, "light")
        shoot(page, "phone-light")

        page = self.open(PHONE, "dark")
        self.press(page)
        self.release(page)
        expect(page.locator(".turn").last).to_have_attribute("data-state", "done", timeout=60_000)
        page.wait_for_timeout(2_500)
        shoot(page, "phone-dark")


def shoot(page: Page, name: str) -> None:
    picture = Image.open(io.BytesIO(page.screenshot(animations="allow"))).convert("RGB")
    path = PICTURES / f"{name}.png"
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    sys.stdout.write(f"{path.relative_to(PICTURES.parent.parent)}: {path.stat().st_size:,} bytes\n")


def launch(playwright: Playwright, microphone: Path, fonts: Path) -> Browser:
    fonts.write_text(FONTS)
    executable = chromium(playwright)
    if executable is None:
        raise SystemExit("No Chromium to take pictures with: `apt install chromium`.")
    return playwright.chromium.launch(
        executable_path=executable,
        env={**os.environ, "FONTCONFIG_FILE": str(fonts)},
        args=[
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-audio-capture={microphone}",
        ],
    )


def converse(server: Server, *questions: Path) -> None:
    """In a conversation, whose turns are kept with their texts."""
    begin = Request(f"{server.url}/api/conversations/", b"", method="POST")
    with urlopen(begin) as response:
        conversation = json.load(response)["id"]
    for question in questions:
        answer = server.ask(question.read_bytes(), conversation=conversation)
        assert answer.status == 200, answer


def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="voicebot-pictures-") as folder:
        place = Path(folder)
        (place / "var").mkdir()
        (place / "var" / "weights").symlink_to(WEIGHTS.resolve())
        first, second = spoken(FIRST, place / "first.wav"), spoken(SECOND, place / "second.wav")
        environment = {
            **os.environ,
            "VOICEBOT_DATA_DIR": str(place / "var"),
            "VOICEBOT_LLM_BACKEND": "bench.prepared.Prepared",
            "VOICEBOT_LLM_OPTIONS": json.dumps({"replies": REPLIES}),
        }
        with serving(environment, place / "server.log") as server, sync_playwright() as p:
            browser = launch(p, second, place / "fonts.conf")
            if "admin" not in sys.argv[1:]:
                Studio(browser, server.url, first).take_all()
            admin_pictures.make_rows(environment)
            admin_pictures.take_dashboard(browser, server.url, shoot)
            converse(server, first, second, first, first)
            admin_pictures.take_what_was_said(browser, server.url, shoot)
            browser.close()


if __name__ == "__main__":
    main()
