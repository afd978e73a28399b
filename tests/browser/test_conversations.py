"""What was said before: known to the next answer, shown again, left, deleted."""

from __future__ import annotations

import json
import re
import urllib.request
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.conftest import Opener, aloud, assert_accessible, hold, replay, turns
from tests.browser.test_talking import HEARD, REPLY, assert_answered
from tests.e2e.conftest import Server


def told(server: Server, path: str, method: str = "GET") -> Any:
    request = urllib.request.Request(f"{server.url}/api/{path}", method=method)
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.loads(response.read() or "null")


def conversation(page: Page) -> str:
    """Its id, as the browser keeps it."""
    return str(page.evaluate("localStorage.getItem('voicebot.conversation')"))


def ask(page: Page) -> None:
    hold(page)
    assert_answered(page)
    expect(page.locator("body")).to_have_attribute("data-state", "idle")


def test_questions_belong_to_one_conversation(server: Server, visit: Opener) -> None:
    page = visit(server)
    ask(page)
    ask(page)
    kept = told(server, f"conversations/{conversation(page)}/")
    assert [turn["number"] for turn in kept["turns"]] == [1, 2]
    assert [turn["reply"] for turn in kept["turns"]] == [REPLY] * 2


def test_it_is_shown_and_heard_again_after_a_reload(server: Server, visit: Opener) -> None:
    page = visit(server)
    ask(page)
    page.reload()
    turn = turns(page).last
    expect(turns(page)).to_have_count(1)
    expect(turn.locator(".heard")).to_have_text(HEARD)
    expect(turn.locator(".text")).to_have_text(REPLY)
    expect(turn.locator("summary")).to_contain_text("rien n’a quitté le serveur")
    replay(turn)
    assert aloud(page).duration > 1
    ask(page)
    expect(turns(page)).to_have_count(2)
    assert len(told(server, f"conversations/{conversation(page)}/")["turns"]) == 2


def test_what_was_said_last_is_in_view_after_a_reload(server: Server, visit: Opener) -> None:
    """Though what is shown grows, as its sounds come after its texts."""
    page = visit(server, viewport={"width": 390, "height": 560}, reduced_motion="reduce")
    ask(page)
    ask(page)
    page.reload()
    last = turns(page).last
    expect(turns(page).first.locator(".speech")).to_be_visible()
    expect(last.locator(".speech")).to_be_visible()
    expect(last.locator("summary")).to_be_in_viewport(ratio=1)
    page.mouse.move(200, 200)
    page.mouse.wheel(0, -300)
    expect(last.locator("summary")).not_to_be_in_viewport()


def test_what_lies_further_back_is_shown_on_demand(server: Server, visit: Opener) -> None:
    page = visit(server)
    ask(page)
    earlier = f"{server.url}/api/conversations/{conversation(page)}/?before=9"
    shown = told(server, f"conversations/{conversation(page)}/")
    page.route(
        re.compile(rf"/api/conversations/{conversation(page)}/$"),
        lambda route: route.fulfill(json={**shown, "earlier": earlier}),
    )
    page.reload()
    page.get_by_role("button", name="Ce qui s’est dit avant").click()
    expect(turns(page)).to_have_count(2)
    expect(page.get_by_role("button", name="Ce qui s’est dit avant")).to_be_hidden()


def test_a_new_one_leaves_the_old_one_to_the_server(server: Server, visit: Opener) -> None:
    page = visit(server)
    ask(page)
    former = conversation(page)
    page.get_by_role("button", name="Nouvelle conversation").click()
    expect(turns(page)).to_have_count(0)
    expect(page.get_by_role("heading", name=re.compile("Demandez"))).to_be_visible()
    page.reload()
    expect(turns(page)).to_have_count(0)
    ask(page)
    assert conversation(page) != former
    assert len(told(server, f"conversations/{former}/")["turns"]) == 1


def test_it_is_deleted(server: Server, visit: Opener) -> None:
    page = visit(server, reduced_motion="reduce")
    ask(page)
    former = conversation(page)
    page.get_by_role("button", name="Supprimer").click()
    dialog = page.get_by_role("dialog", name="Supprimer cette conversation")
    assert_accessible(page)
    dialog.get_by_role("button", name="La garder").click()
    expect(turns(page)).to_have_count(1)
    page.get_by_role("button", name="Supprimer").click()
    dialog.get_by_role("button", name="Supprimer").click()
    expect(turns(page)).to_have_count(0)
    expect(page.get_by_role("button", name="Supprimer")).to_be_hidden()
    assert former not in json.dumps(told(server, "conversations/"))


def test_one_that_is_gone_is_begun_anew(server: Server, visit: Opener) -> None:
    page = visit(server)
    ask(page)
    former = conversation(page)
    told(server, f"conversations/{former}/", "DELETE")
    hold(page)
    expect(turns(page)).to_have_count(2)
    assert_answered(page)
    assert conversation(page) != former


def test_questions_that_are_to_stand_alone(server: Server, visit: Opener) -> None:
    page = visit(server)
    page.get_by_role("button", name="Réglages").click()
    page.get_by_label("Se souvenir de la conversation").uncheck()
    page.get_by_role("button", name="C’est bon").click()
    before = told(server, "conversations/")
    ask(page)
    assert told(server, "conversations/") == before
    page.reload()
    expect(page.get_by_label("Se souvenir de la conversation")).not_to_be_checked()
    expect(turns(page)).to_have_count(0)


def test_a_server_that_can_keep_nothing_answers_all_the_same(server: Server, visit: Opener) -> None:
    page = visit(server)
    refusal = {"detail": "…", "code": "database_unavailable"}
    page.route("**/api/conversations/", lambda route: route.fulfill(status=503, json=refusal))
    ask(page)
    expect(turns(page).last.locator(".remark")).to_contain_text("ceci n’a pas été retenu")
    page.unroute("**/api/conversations/")
    ask(page)
    expect(turns(page).last.locator(".remark")).to_be_hidden()
    assert len(told(server, f"conversations/{conversation(page)}/")["turns"]) == 1
