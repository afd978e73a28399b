"""What the page says when something goes wrong, and what can be done then."""

from __future__ import annotations

import urllib.request
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, expect

from pipeline.audio import Audio
from tests.browser.conftest import MAX_UTTERANCE_S, RATE, Opener, hold, turns, watched, written
from tests.e2e.conftest import Server


def assert_told(page: Page, what: str, advice: str) -> None:
    alert = page.get_by_role("alert")
    expect(alert.locator(".what")).to_have_text(what)
    expect(alert.locator(".advice")).to_contain_text(advice)
    expect(page.locator("body")).to_have_attribute("data-state", "idle")


def test_the_microphone_is_refused(server: Server, visit: Opener) -> None:
    page = visit(server, allowed=False)
    hold(page)
    assert_told(page, "Le micro est refusé.", "Vous pouvez aussi envoyer un fichier.")
    page.get_by_role("button", name="Fermer").click()
    expect(page.get_by_role("alert")).to_be_hidden()


def test_nobody_speaks(server: Server, visit: Opener, silence: Path) -> None:
    page = visit(server, microphone=silence)
    hold(page)
    assert_told(page, "Je n’ai entendu personne parler.", "Rapprochez-vous du micro")
    expect(turns(page)).to_have_count(0)


def test_the_microphone_is_mute(server: Server, visit: Opener, silence: Path) -> None:
    page = visit(server, microphone=silence)
    page.keyboard.down("Space")
    expect(page.get_by_role("status")).to_contain_text("le micro est-il coupé")
    page.keyboard.press("Escape")
    page.keyboard.up("Space")


def test_too_short(server: Server, visit: Opener) -> None:
    page = visit(server)
    page.get_by_role("button", name="Parler").focus()
    page.evaluate("""() => {  // at once: who comes back later has said something
      const sent = new MutationObserver(() => {
        if (document.body.dataset.state !== "recording") return;
        sent.disconnect();
        document.getElementById("talk").click();
      });
      sent.observe(document.body, { attributeFilter: ["data-state"] });
    }""")
    page.keyboard.press("Enter")
    assert_told(page, "C’était trop court.", "Maintenez")


def test_too_long(server: Server, visit: Opener, tmp_path: Path) -> None:
    page = visit(server)
    noise = np.random.default_rng(0).normal(0, 0.1, (MAX_UTTERANCE_S + 2) * RATE)
    long = Audio(noise.astype(np.float32), RATE)
    page.locator("#file").set_input_files(written(tmp_path / "long.wav", long))
    assert_told(page, "C’était trop long.", str(MAX_UTTERANCE_S))


def test_no_recording_at_all(server: Server, visit: Opener, tmp_path: Path) -> None:
    page = visit(server)
    note = tmp_path / "note.wav"
    note.write_text("Ceci n'est pas un son.")
    page.locator("#file").set_input_files(note)
    assert_told(page, "Ce n’est pas un enregistrement que je sais lire.", "WebM, Ogg, MP4")


def test_busy_then_answered_by_itself(
    server: Server, visit: Opener, gate: Path, murmur: Path
) -> None:
    page = visit(server)
    gate.unlink()
    question = server.question(murmur.read_bytes(), stream="true")
    notices = watched(page.locator("#notice"))
    with urllib.request.urlopen(question, timeout=60) as somebody_else:
        somebody_else.read(1000)  # the only slot is theirs
        hold(page)
        page.wait_for_function("notices => notices.length", arg=notices)
        gate.touch()
        somebody_else.read()
    expect(turns(page).last).to_have_attribute("data-state", "done")
    expect(page.get_by_role("alert")).to_be_hidden()
    busy = notices.json_value()[0]
    for told in ("Je suis occupé avec d’autres.", "Votre question est gardée", "Renvoi dans"):
        assert told in busy


def test_stopped_while_it_answers(server: Server, visit: Opener, gate: Path) -> None:
    page = visit(server)
    gate.unlink()
    hold(page)
    expect(turns(page).last.locator(".text")).to_contain_text("Bonjour à vous tous.")
    page.get_by_role("button", name="Arrêter").click()
    expect(page.locator("body")).to_have_attribute("data-state", "idle")
    expect(turns(page).last.locator(".remark")).to_have_text("Arrêté.")


def test_the_server_is_gone(server: Server, visit: Opener) -> None:
    page = visit(server)
    page.context.set_offline(True)
    hold(page)
    assert_told(page, "Le serveur ne répond pas.", "Votre question est gardée.")
    page.context.set_offline(False)
    page.get_by_role("button", name="Renvoyer").click()
    expect(turns(page).last).to_have_attribute("data-state", "done")
