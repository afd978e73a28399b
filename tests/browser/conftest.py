"""The page in a real Chromium, whose microphone plays a recording."""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    JSHandle,
    Locator,
    Page,
    Playwright,
    expect,
    sync_playwright,
)

from pipeline.audio import Audio, decode, to_wav
from tests.e2e.conftest import Server, serving
from tests.e2e.conftest import environment as environment

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
EAR = Path(__file__).with_name("ear.js")
RATE = 48_000  # Hz
QUIET = 0.02  # of full scale; below, nothing is heard
MAX_UTTERANCE_S = 30  # nobody is interrupted because a machine is slow
PATIENCE_MS = 60_000  # for what must happen: a busy machine takes its time
GRAVE = {"serious", "critical"}  # of the impacts that axe tells

expect.set_options(timeout=PATIENCE_MS)


# --- the browser ---------------------------------------------------------------------------


@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as driver:
        yield driver


def chromium(playwright: Playwright) -> str | None:
    """The system's, else the one that `playwright install` brought; None: there is none."""
    installed = next(filter(None, map(shutil.which, BROWSERS)), playwright.chromium.executable_path)
    return installed if Path(installed).exists() else None


@pytest.fixture(scope="package")
def executable(playwright: Playwright) -> str:
    installed = chromium(playwright)
    if installed is None:
        pytest.skip(
            "no Chromium to open the page with: install it by `apt install chromium` "
            "or `.venv/bin/playwright install --with-deps chromium`"
        )
    return installed


class Launcher(Protocol):
    def __call__(self, microphone: Path) -> Browser: ...


@pytest.fixture(scope="package")
def launch(playwright: Playwright, executable: str) -> Iterator[Launcher]:
    """Browsers whose microphone plays a WAV, over and over from the moment it is opened."""
    running: dict[Path, Browser] = {}

    def launched(microphone: Path) -> Browser:
        if microphone not in running:
            running[microphone] = playwright.chromium.launch(
                executable_path=executable,
                args=[
                    "--no-sandbox",  # who runs CI is root
                    "--use-fake-device-for-media-stream",
                    f"--use-file-for-fake-audio-capture={microphone}",
                    "--disable-background-networking",
                    "--disable-component-update",
                ],
            )
        return running[microphone]

    yield launched
    for browser in running.values():
        browser.close()


class Opener(Protocol):
    def __call__(
        self, server: Server, *, microphone: Path | None = None, allowed: bool = True, **wishes: Any
    ) -> Page: ...


@pytest.fixture
def visit(launch: Launcher, murmur: Path) -> Iterator[Opener]:
    """Opens the page; ``wishes`` are those of a browser's context. In the end, nothing that the
    page did was against its policy, and no script of its failed."""
    faults: list[str] = []

    def note(line: ConsoleMessage) -> None:
        if "Content Security Policy" in line.text or "Trusted" in line.text:
            faults.append(line.text)

    with ExitStack() as contexts:

        def opened(
            server: Server,
            *,
            microphone: Path | None = None,
            allowed: bool = True,
            **wishes: Any,
        ) -> Page:
            wishes = {"locale": "fr-FR", **wishes}
            if allowed:
                wishes["permissions"] = ["microphone", "clipboard-read", "clipboard-write"]
            context = contexts.enter_context(launch(microphone or murmur).new_context(**wishes))
            context.set_default_timeout(PATIENCE_MS)
            context.add_init_script(path=EAR)
            page = context.new_page()
            page.on("pageerror", lambda error: faults.append(str(error)))
            page.on("console", note)
            page.goto(server.url)
            expect(page.locator("#promise")).not_to_have_text("")
            return page

        yield opened
    assert faults == []


# --- its microphone ------------------------------------------------------------------------


@pytest.fixture(scope="package")
def murmur(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds of something that comes and goes as speech does."""
    time_s = np.arange(3 * RATE) / RATE
    buzz = sum(np.sin(2 * np.pi * 140 * n * time_s) / n for n in range(1, 12))
    syllables = np.clip(np.sin(2 * np.pi * 2.5 * time_s), 0, None)
    samples = (0.3 * buzz * syllables).astype(np.float32)
    return written(tmp_path_factory.mktemp("microphone") / "murmur.wav", Audio(samples, RATE))


@pytest.fixture(scope="package")
def silence(tmp_path_factory: pytest.TempPathFactory) -> Path:
    nothing = Audio(np.zeros(3 * RATE, np.float32), RATE)
    return written(tmp_path_factory.mktemp("microphone") / "silence.wav", nothing)


def written(path: Path, audio: Audio) -> Path:
    path.write_bytes(to_wav([audio]))
    return path


# --- its server ----------------------------------------------------------------------------


@pytest.fixture(scope="package")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """While there is no such file, the language model does not come to the end of its reply."""
    return tmp_path_factory.mktemp("gate") / "gate"


@pytest.fixture(scope="package")
def chosen(gate: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a server on engines whose pace tests decide."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("VOICEBOT_", "DJANGO_"))}
    return {
        **kept,
        "DJANGO_SETTINGS_MODULE": "voicebot.settings",
        "VOICEBOT_DATA_DIR": str(tmp_path_factory.mktemp("browser")),
        "VOICEBOT_ENV_FILE": os.devnull,
        "VOICEBOT_MEMORY_S": "0",
        "VOICEBOT_MAX_UTTERANCE_S": str(MAX_UTTERANCE_S),
        "VOICEBOT_STT_BACKEND": "pipeline.stt.fake.Fake",
        "VOICEBOT_LLM_BACKEND": "tests.e2e.engines.Gated",
        "VOICEBOT_LLM_OPTIONS": json.dumps({"gate": str(gate), "wait_s": 0.1}),
        "VOICEBOT_TTS_BACKEND": "pipeline.tts.fake.Fake",
    }


@pytest.fixture(scope="package")
def server(chosen: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server as it is started, but for its engines."""
    with serving(chosen, tmp_path_factory.mktemp("log") / "server.log") as running:
        yield running


@pytest.fixture(autouse=True)
def open_gate(gate: Path) -> None:
    gate.touch()


# --- what a user does and perceives --------------------------------------------------------


def hold(page: Page, seconds: float = 0.8) -> None:
    """Talk for so long, once the microphone is open; whoever lets go before must tap once more."""
    page.locator("#talk").hover()
    page.mouse.down()
    expect(page.locator("body")).not_to_have_attribute("data-state", "opening")
    page.wait_for_timeout(seconds * 1000)
    page.mouse.up()


def watched(place: Locator) -> JSHandle:
    """A list of all that is said there from now on, be it for a moment."""
    return place.evaluate_handle(
        """(place) => {
          const said = [];
          const look = () => place.hidden || said.push(place.ariaLabel ?? place.innerText);
          const all = { attributes: true, childList: true, characterData: true, subtree: true };
          new MutationObserver(look).observe(place, all);
          return said;
        }"""
    )


def replay(turn: Locator) -> None:
    """Press the button, and listen to the end."""
    names = watched(turn.locator(".play"))
    turn.get_by_role("button", name="Écouter la réponse").click()
    turn.page.wait_for_function("names => names.length > 1", arg=names)
    assert names.json_value() == ["Pause", "Écouter la réponse"]


def turns(page: Page) -> Locator:
    return page.get_by_role("list", name="Conversation").get_by_role("listitem")


def aloud(page: Page) -> Audio:
    """What the loudspeaker has played, from the first sound to the last."""
    recording = base64.b64decode(page.evaluate("heardAloud()"))
    sound = decode(recording, max_duration=60)
    loud = np.flatnonzero(np.abs(sound.samples) > QUIET)
    assert loud.size, "nothing was heard"
    return Audio(sound.samples[loud[0] : loud[-1]], sound.sample_rate)


def assert_accessible(page: Page) -> None:
    """axe finds no grave fault in what is shown."""
    found = Axe().run(page).response
    assert found["passes"]  # it did look
    faults = [
        (fault["id"], fault["help"], [node["html"] for node in fault["nodes"]])
        for fault in found["violations"]
        if fault["impact"] in GRAVE
    ]
    assert faults == []
