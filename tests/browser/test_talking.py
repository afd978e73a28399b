"""Held, released, heard: the page as somebody uses it."""

from __future__ import annotations

import base64
import time
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from pipeline.tts.fake import CHARS_PER_S, Fake
from tests.browser.conftest import PATIENCE_MS, Opener, aloud, hold, replay, turns, watched
from tests.e2e.conftest import Server, serving
from tests.uploads import dominant_hz

HEARD = "Quelle heure est-il ?"
REPLY = "Bonjour à vous tous. Il fait beau."
SPEECH_S = len(REPLY.replace(". ", ".")) / CHARS_PER_S


def assert_answered(page: Page) -> None:
    turn = turns(page).last
    expect(turn.locator(".heard")).to_have_text(HEARD)
    expect(turn.locator(".text")).to_have_text(REPLY)
    expect(turn).to_have_attribute("data-state", "done")


def test_held_and_released_the_answer_is_shown_and_heard(server: Server, visit: Opener) -> None:
    page = visit(server)
    hold(page)
    assert_answered(page)
    expect(page.locator("body")).to_have_attribute("data-state", "idle")
    speech = aloud(page)
    assert speech.duration == pytest.approx(SPEECH_S, abs=0.25)
    assert np.std(speech.samples) > 0.1


def test_the_space_bar_held(server: Server, visit: Opener) -> None:
    page = visit(server)
    page.keyboard.down("Space")
    expect(page.get_by_role("status")).to_have_text("Je vous écoute")
    page.wait_for_timeout(800)
    page.keyboard.up("Space")
    assert_answered(page)


def test_enter_begins_and_enter_sends(server: Server, visit: Opener) -> None:
    page = visit(server)
    page.get_by_role("button", name="Parler").focus()
    page.keyboard.press("Enter")
    expect(page.locator("body")).to_have_attribute("data-state", "recording")
    page.wait_for_timeout(800)
    page.keyboard.press("Enter")
    assert_answered(page)


def test_escape_throws_what_was_said_away(server: Server, visit: Opener) -> None:
    page = visit(server)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.keyboard.down("Space")
    page.wait_for_timeout(600)
    page.keyboard.press("Escape")
    page.keyboard.up("Space")
    expect(page.locator("body")).to_have_attribute("data-state", "idle")
    page.wait_for_timeout(300)
    assert [url for url in asked if "/api/voice" in url] == []


def test_who_talks_too_long_is_sent_before_it_is_too_long(
    chosen: dict[str, str], visit: Opener, tmp_path: Path
) -> None:
    brief = {"VOICEBOT_DATA_DIR": str(tmp_path / "var"), "VOICEBOT_MAX_UTTERANCE_S": "4"}
    with serving({**chosen, **brief}, tmp_path / "server.log") as server:
        page = visit(server)
        page.evaluate("""() => {  // timers of a page that is hidden
          const { setTimeout } = window;
          window.setTimeout = (work, ms) => setTimeout(work, Math.max(ms, 1000));
        }""")
        elapsed = watched(page.locator("#elapsed"))
        page.keyboard.down("Space")
        assert_answered(page)
        page.keyboard.up("Space")
        assert any("encore" in text for text in elapsed.json_value())


def test_the_line_swings_while_somebody_talks(server: Server, visit: Opener) -> None:
    """What is drawn around the button shows how loud it is."""
    page = visit(server)
    page.keyboard.down("Space")
    expect(page.locator("body")).to_have_attribute("data-state", "recording")
    page.wait_for_timeout(700)
    picture = page.locator("#line").screenshot()
    give_up = time.monotonic() + PATIENCE_MS / 1000
    while page.locator("#line").screenshot() == picture:
        assert time.monotonic() < give_up
        page.wait_for_timeout(100)
    page.keyboard.press("Escape")
    page.keyboard.up("Space")


def test_a_file_is_dropped(server: Server, visit: Opener, murmur: Path) -> None:
    page = visit(server)
    dropped = page.evaluate_handle(
        """(encoded) => {
          const bytes = Uint8Array.from(atob(encoded), (char) => char.charCodeAt(0));
          const data = new DataTransfer();
          data.items.add(new File([bytes], "question.wav", { type: "audio/wav" }));
          return data;
        }""",
        base64.b64encode(murmur.read_bytes()).decode(),
    )
    page.dispatch_event("body", "dragenter", {"dataTransfer": dropped})
    expect(page.get_by_text("Déposez votre enregistrement")).to_be_visible()
    page.dispatch_event("body", "drop", {"dataTransfer": dropped})
    assert_answered(page)
    expect(page.get_by_text("Déposez votre enregistrement")).to_be_hidden()


def test_a_file_is_chosen(server: Server, visit: Opener, murmur: Path) -> None:
    page = visit(server, allowed=False)
    page.locator("#file").set_input_files(murmur)
    assert_answered(page)


def test_the_answer_is_replayed_and_copied(server: Server, visit: Opener) -> None:
    page = visit(server)
    hold(page)
    assert_answered(page)
    expect(page.locator("body")).to_have_attribute("data-state", "idle")
    first_s = aloud(page).duration
    turn = turns(page).last
    replay(turn)
    assert aloud(page).duration > 2 * first_s
    turn.get_by_role("button", name="Copier la réponse").click()
    assert page.evaluate("navigator.clipboard.readText()") == REPLY


def test_where_the_time_went_and_that_nothing_left(server: Server, visit: Opener) -> None:
    page = visit(server)
    expect(page.locator("#promise")).to_have_text("Rien de ce qui se dit ne quitte ce serveur.")
    hold(page)
    account = turns(page).last.get_by_role("group")
    expect(account.locator("summary")).to_contain_text("rien n’a quitté le serveur")
    account.locator("summary").click()
    terms = account.get_by_role("term")
    expect(terms).to_have_count(4)
    for width in account.locator(".filled").evaluate_all("bars => bars.map(b => b.clientWidth)"):
        assert width > 0


def test_what_is_opened_is_seen(server: Server, visit: Opener, murmur: Path) -> None:
    page = visit(server, viewport={"width": 390, "height": 664}, reduced_motion="reduce")
    page.locator("#file").set_input_files(murmur)
    assert_answered(page)
    account = turns(page).last.get_by_role("group")
    account.locator("summary").click()
    expect(account.get_by_role("term").last).to_be_in_viewport(ratio=1)


def test_voice_language_and_speed_are_those_chosen(server: Server, visit: Opener) -> None:
    page = visit(server)
    page.get_by_role("button", name="Réglages").click()
    page.get_by_label("Qui vous répond").select_option("claire")
    page.get_by_label("À quelle vitesse").fill("2")
    page.get_by_role("button", name="C’est bon").click()
    hold(page)
    assert_answered(page)
    expect(page.locator("body")).to_have_attribute("data-state", "idle")
    speech = aloud(page)
    assert dominant_hz(speech) == pytest.approx(Fake.pitches["claire"], abs=2)
    assert speech.duration == pytest.approx(SPEECH_S / 2, abs=0.25)
    page.reload()
    expect(page.get_by_label("Qui vous répond")).to_have_value("claire")


def test_in_english(server: Server, visit: Opener) -> None:
    page = visit(server, locale="en-GB")
    page.get_by_role("button", name="Talk").focus()
    page.keyboard.down("Space")
    expect(page.get_by_role("status")).to_have_text("I am listening")
    page.wait_for_timeout(600)
    page.keyboard.up("Space")
    assert_answered(page)
    page.get_by_role("button", name="Français").click()
    expect(page.get_by_role("button", name="Parler")).to_be_visible()
    expect(turns(page).locator(".heard")).to_have_text(HEARD)  # it goes on in another language
    expect(page.locator("#welcome")).to_be_hidden()


def tap(page: Page) -> None:
    """At once: ``Locator.tap`` would wait until the button, which bobs with a voice, is still."""
    page.touchscreen.tap(*middle(page))


def middle(page: Page) -> tuple[float, float]:
    """Of the button."""
    box = page.locator("#talk").bounding_box()
    assert box
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_a_tap_is_one_however_long_the_microphone_takes(server: Server, visit: Opener) -> None:
    page = visit(server, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page.evaluate("""() => {
      const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
      navigator.mediaDevices.getUserMedia = (wishes) => {
        const until = performance.now() + 1000;
        while (performance.now() < until);
        return open(wishes);
      };
    }""")
    tap(page)
    expect(page.locator("#hint")).to_have_text("touchez pour envoyer")
    expect(page.locator("body")).to_have_attribute("data-state", "recording")
    page.wait_for_timeout(800)
    tap(page)
    assert_answered(page)


def test_a_finger_holds_or_taps(server: Server, visit: Opener) -> None:
    page = visit(server, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    devtools = page.context.new_cdp_session(page)
    finger = dict(zip("xy", middle(page), strict=True))
    devtools.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [finger]})
    expect(page.get_by_role("status")).to_have_text("Je vous écoute")
    page.wait_for_timeout(800)
    devtools.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert_answered(page)
    expect(page.locator("body")).to_have_attribute("data-state", "idle")
    tap(page)
    expect(page.locator("#hint")).to_have_text("touchez pour envoyer")
    page.wait_for_timeout(800)
    tap(page)
    expect(turns(page)).to_have_count(2)
    assert_answered(page)
