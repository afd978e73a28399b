"""Conversations and turns in the admin."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.admin.models import CHANGE, DELETION, LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import translation
from pytest_django import Settings

from cache.models import CachedSpeech
from console import telling, timeline
from history import files
from history.models import STAGES, Conversation, Turn
from pipeline import tenants
from pipeline.errors import EngineError
from tests.unit.remembered import converse, llm, stt

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Response

pytestmark = pytest.mark.django_db(transaction=True)

TURNS = "/admin/history/turn/"


@pytest.fixture(autouse=True)
def kept(settings: Settings) -> None:
    settings.VOICEBOT_KEEP_UTTERANCES_DAYS = 1


@pytest.fixture
def conversation() -> Conversation:
    return Conversation.objects.create()


@pytest.fixture
def turn(conversation: Conversation) -> Turn:
    return converse(conversation, "Qui est là ?", "C'est moi. Et vous ?")


@pytest.fixture
def operator(client: Client) -> Client:
    """May do everything."""
    client.force_login(User.objects.create_superuser("operator"))
    return client


def one_who(client: Client, *permissions: str) -> Client:
    user = User.objects.create_user("somebody", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client.force_login(user)
    return client


def page(response: Response) -> str:
    assert response.status_code == 200
    return response.content.decode()


def url(row: Turn, name: str = "change") -> str:
    return reverse(f"admin:history_turn_{name}", args=[row.pk])


def compare(former: Turn, latter: Turn) -> str:
    return reverse("admin:history_turn_compare", args=[former.pk, latter.pk])


# --- the list ----------------------------------------------------------------------------------


def test_the_list_tells_what_was_said_and_by_whom(operator: Client, turn: Turn) -> None:
    converse(None, "Un secret ?", "Oui.")
    shown = page(operator.get(TURNS))
    assert "Qui est là ?" in shown
    assert "C&#x27;est moi. Et vous ?" in shown
    assert "secret" not in shown
    assert "Fake · Fake · Fake" in shown
    assert "off · off · miss" in shown
    assert shown.count('<svg class="strip"') == 2
    assert "Add turn" not in shown


def listed(client: Client, query: str) -> set[str]:
    """Ids of the turns that the list shows."""
    return set(
        re.findall(r"/admin/history/turn/([0-9a-f-]{36})/change/", page(client.get(TURNS + query)))
    )


def test_filters(operator: Client, conversation: Conversation) -> None:
    made = {
        "plain": converse(conversation),
        "failed": converse(conversation, "Allô ?", EngineError("Rien.")),
        "alone": converse(None),
        "english": converse(conversation, language="en"),
    }
    Turn.objects.filter(pk=made["plain"].pk).update(total_s=6, stt_engine="Whisper")
    operator.post(url(made["plain"], "replay"), {"from": "tts"})
    again = Turn.objects.exclude(replay_of=None).get()
    ids = {name: str(row.pk) for name, row in made.items()} | {"again": str(again.pk)}
    everything = set(ids.values())
    assert listed(operator, "") == everything
    for query, names in {
        "?language=en": {"english"},
        "?error=any": {"failed"},
        "?error=none": everything - {ids["failed"]},
        "?error=engine_failed": {"failed"},
        "?error=no_speech": set(),
        "?slower=5": {"plain"},
        "?slower=10": set(),
        "?slower=x": everything,
        "?kind=said": {"plain", "failed", "english"},
        "?kind=alone": {"alone"},
        "?kind=again": {"again"},
        "?kind=other": everything,
        "?stt_engine=Whisper": {"plain", "again"},
        "?q=All%C3%B4": {"failed"},
        f"?conversation__id__exact={conversation.pk.hex}": everything - {ids["alone"]},
    }.items():
        assert listed(operator, query) == {ids.get(name, name) for name in names}, query


def test_a_longer_list_costs_no_more_queries(operator: Client, conversation: Conversation) -> None:
    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            operator.get(TURNS)
        return len(captured)

    converse(conversation)
    queries()
    one = queries()
    for _time in range(4):
        converse(conversation)
    assert queries() == one


# --- one turn ----------------------------------------------------------------------------------


def test_the_page_of_a_turn(operator: Client, turn: Turn) -> None:
    shown = page(operator.get(url(turn)))
    assert "Qui est là ?" in shown
    for stage in STAGES:
        assert f'<rect class="{stage}"' in shown
    assert shown.count('class="player"') == 2
    assert shown.count('class="again" name="from"') == 3
    assert "C&#x27;est moi. (" in shown  # what a bar is
    assert 'name="_save"' not in shown
    turn.utterance_s, turn.upload_bytes = 1.5146875, 13_757
    turn.save()
    shown = page(operator.get(url(turn)))
    assert "1.51" in shown
    assert "1.5146875" not in shown
    assert "13.4" in shown
    assert "13757" not in shown
    # Nothing that a strict policy for content refuses.
    assert " style=" not in shown
    assert not re.search(r"\son\w+=", shown)
    assert not re.search(r"<script(?![^>]*(?: src=|application/json))", shown)


def test_sounds(operator: Client, turn: Turn) -> None:
    utterance = operator.get(url(turn, "utterance"))
    assert utterance["Content-Type"] == "audio/wav"
    assert utterance.content == files.read(turn.pk, "utterance")
    assert operator.get(url(turn, "speech")).content[:4] == b"RIFF"
    part = operator.get(url(turn, "speech"), headers={"Range": "bytes=0-3"})
    assert (part.status_code, part.content) == (206, b"RIFF")


def test_sounds_that_are_gone(operator: Client, turn: Turn) -> None:
    files.delete([turn.pk], "utterance")
    CachedSpeech.objects.all().delete()
    assert operator.get(url(turn, "utterance")).status_code == 404
    assert operator.get(url(turn, "speech")).status_code == 404
    shown = page(operator.get(url(turn)))
    assert 'class="player"' not in shown


def test_a_turn_of_which_nothing_is_kept(operator: Client) -> None:
    shown = page(operator.get(url(converse(None))))
    assert shown.count("<em>not kept</em>") == 2
    assert 'class="again"' not in shown


def test_a_turn_that_failed(operator: Client, conversation: Conversation) -> None:
    row = converse(conversation, "Allô ?", EngineError("Rien."))
    shown = page(operator.get(url(row)))
    assert "<code>engine_failed</code>" in shown
    assert shown.count('class="again" name="from"') == 2


def test_what_is_not_there(operator: Client, turn: Turn) -> None:
    gone = Turn(pk="00000000-0000-4000-8000-000000000000")
    for name in ("utterance", "speech"):
        assert operator.get(url(gone, name)).status_code == 404
    assert operator.post(url(gone, "replay"), {"from": "llm"}).status_code == 404
    assert operator.get(compare(turn, gone)).status_code == 404


# --- another try -------------------------------------------------------------------------------


def test_run_again_and_compared(operator: Client, turn: Turn) -> None:
    stt().script.enqueue("Qui est donc là ?")
    llm().script.enqueue("C'est encore moi. Et vous ?")
    response = operator.post(url(turn, "replay"), {"from": "stt"})
    [again] = turn.replays.all()
    assert response["Location"] == compare(turn, again)
    shown = page(operator.get(response["Location"]))
    assert "<ins>donc</ins>" in shown
    assert "<ins>encore</ins>" in shown
    assert "<del>" not in shown
    assert shown.count('<svg class="timeline') == 6
    assert shown.count('class="player"') == 4
    assert " style=" not in shown
    entry = LogEntry.objects.get()
    assert (entry.action_flag, entry.object_id) == (CHANGE, str(turn.pk))
    assert entry.get_change_message() == "Run again from stage “stt”."
    assert compare(turn, again) in page(operator.get(url(turn)))
    assert compare(turn, again) in page(operator.get(url(again)))
    assert compare(turn, again) in page(operator.get(TURNS))


def test_other_tries_are_at_hand(operator: Client, turn: Turn) -> None:
    for stage in ("llm", "tts"):
        operator.post(url(turn, "replay"), {"from": stage})
    first, second = turn.replays.order_by("created_at")
    assert compare(turn, second) in page(operator.get(compare(turn, first)))


def test_it_speaks_for_the_same_tenant(operator: Client) -> None:
    with tenants.acting_for("phone"):
        conversation = Conversation.objects.create(tenant="phone")
        row = converse(conversation)
    Turn.objects.update(tenant="phone")
    count = CachedSpeech.objects.count()
    operator.post(url(row, "replay"), {"from": "tts"})
    assert CachedSpeech.objects.count() == count
    [again] = row.replays.all()
    assert (again.tenant, again.tts_cache) == ("phone", "hit")


def test_a_try_that_fails_says_why(operator: Client, turn: Turn) -> None:
    llm().script.enqueue(RuntimeError("private"))
    response = operator.post(url(turn, "replay"), {"from": "llm"}, follow=True)
    shown = page(response)
    assert "Fake failed." in shown
    [again] = turn.replays.all()
    assert (again.code, again.status) == ("engine_failed", 0)
    assert response.redirect_chain[-1][0] == compare(turn, again)


def test_what_cannot_be_tried_says_why(operator: Client, turn: Turn) -> None:
    files.delete([turn.pk], "utterance")
    shown = page(operator.post(url(turn, "replay"), {"from": "stt"}, follow=True))
    assert "What the user said is not kept" in shown
    assert not turn.replays.exists()
    assert operator.post(url(turn, "replay"), {"from": "end"}).status_code == 400
    assert operator.get(url(turn, "replay")).status_code == 405


def test_any_two_are_compared(operator: Client, conversation: Conversation) -> None:
    rows = [converse(conversation) for _time in range(3)]

    def select(count: int) -> Response:
        chosen = [str(row.pk) for row in rows[:count]]
        asked = {"action": "compare_selected", "_selected_action": chosen}
        return operator.post(TURNS, asked)

    assert select(2)["Location"] == compare(*rows[:2])
    assert select(3)["Location"] == select(1)["Location"] == TURNS
    assert "Select two turns to compare." in page(operator.get(TURNS))


# --- conversations -----------------------------------------------------------------------------


def test_conversations(operator: Client, turn: Turn, conversation: Conversation) -> None:
    converse(conversation, "Allô ?", EngineError("Rien."))
    shown = page(operator.get("/admin/history/conversation/"))
    assert "Qui est là ?" in shown
    where = reverse("admin:history_conversation_change", args=[conversation.pk])
    shown = page(operator.get(where))
    assert "C&#x27;est moi. Et vous ?" in shown
    assert url(turn) in shown
    assert "<code>engine_failed</code>" in shown
    assert " style=" not in shown
    every = re.search(r'href="(/admin/history/turn/\?[^"]+)"', shown)
    assert every
    assert len(listed(operator, every[1].removeprefix(TURNS).replace("&amp;", "&"))) == 2


def test_an_empty_one(operator: Client, conversation: Conversation) -> None:
    where = reverse("admin:history_conversation_change", args=[conversation.pk])
    assert "Nothing was said yet." in page(operator.get(where))


# --- deleted -----------------------------------------------------------------------------------


@pytest.mark.parametrize("many", [True, False])
def test_what_is_deleted_is_gone_and_in_the_log(
    operator: Client, turn: Turn, conversation: Conversation, many: bool
) -> None:
    assert list(files.stored())
    where = reverse("admin:history_conversation_delete", args=[conversation.pk])
    asked: dict[str, Any] = {"post": "yes"}
    if many:
        where = "/admin/history/conversation/"
        asked |= {"action": "delete_selected", "_selected_action": [str(conversation.pk)]}
    assert operator.post(where, asked).status_code == 302
    assert not Turn.objects.exists()
    assert list(files.stored()) == []
    assert not CachedSpeech.objects.exists()
    entry = LogEntry.objects.get()
    assert (entry.action_flag, entry.object_id) == (DELETION, str(conversation.pk))


def test_what_was_said_is_not_in_the_log(operator: Client, turn: Turn) -> None:
    """Which outlives it."""
    operator.post(url(turn, "replay"), {"from": "tts"})
    operator.post(url(turn, "delete"), {"post": "yes"})
    conversation = reverse("admin:history_conversation_delete", args=[turn.conversation_id])
    operator.post(conversation, {"post": "yes"})
    assert LogEntry.objects.count() == 3
    for entry in LogEntry.objects.all():
        assert "Qui" not in entry.object_repr + entry.change_message


# --- who may -----------------------------------------------------------------------------------


def test_read_only(client: Client, turn: Turn) -> None:
    reader = one_who(client, "view_turn", "view_conversation")
    shown = page(reader.get(url(turn)))
    assert "Qui est là ?" in shown
    assert 'class="player"' not in shown
    assert 'class="again"' not in shown
    assert "deletelink" not in shown
    assert page(reader.get(compare(turn, turn))).count('class="player"') == 0
    for name in ("utterance", "speech"):
        assert reader.get(url(turn, name)).status_code == 403
    assert reader.post(url(turn, "replay"), {"from": "tts"}).status_code == 403
    assert reader.post(url(turn, "delete"), {"post": "yes"}).status_code == 403
    assert reader.post(url(turn), {"transcript": "Rien."}).status_code == 403
    assert Turn.objects.get().transcript == "Qui est là ?"


def test_one_who_may_listen(client: Client, turn: Turn) -> None:
    listener = one_who(client, "view_turn", "listen_turn")
    assert page(listener.get(url(turn))).count('class="player"') == 2
    assert listener.get(url(turn, "utterance")).status_code == 200
    assert listener.post(url(turn, "replay"), {"from": "tts"}).status_code == 403


def test_one_who_may_run_again(client: Client, turn: Turn) -> None:
    trier = one_who(client, "view_turn", "add_turn")
    assert 'class="again"' in page(trier.get(url(turn)))
    assert trier.post(url(turn, "replay"), {"from": "tts"}).status_code == 302
    assert turn.replays.exists()
    assert trier.get("/admin/history/turn/add/").status_code == 403


def test_one_who_may_nothing(client: Client, turn: Turn) -> None:
    nobody = one_who(client, "view_cachedspeech")
    for where in (TURNS, url(turn), url(turn, "speech"), compare(turn, turn)):
        assert nobody.get(where).status_code == 403
    client.logout()
    for where in (TURNS, url(turn, "speech"), compare(turn, turn)):
        assert client.get(where).status_code == 302  # to log in


def test_the_groups_know_of_turns() -> None:
    with translation.override("en"):
        names = [set(g.permissions.values_list("codename", flat=True)) for g in Group.objects.all()]
    assert all({"view_turn", "view_conversation"} <= known for known in names)
    assert ["listen_turn" in known for known in names].count(True) == len(names) // 2


# --- in French ---------------------------------------------------------------------------------


def test_pages_speak_french(operator: Client, turn: Turn) -> None:
    shown = page(operator.get(url(turn), headers={"Accept-Language": "fr"}))
    assert "Où le temps est passé" in shown
    assert re.search("\\d,\\d\\d[\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}]s", shown)


def test_what_goes_with_it_is_counted(operator: Client, turn: Turn) -> None:
    where = reverse("admin:history_turn_delete", args=[turn.pk])
    shown = page(operator.get(where, headers={"Accept-Language": "fr"}))
    assert "Phrases: 2" in shown
    assert str(turn.pk) not in shown.partition('id="content-main"')[2].replace(url(turn), "")


# --- drawings ----------------------------------------------------------------------------------


def test_bars_of_a_turn(turn: Turn) -> None:
    bars = timeline.bars(turn)
    assert [bar.what for bar in bars["tts"]] == ["C'est moi.", "Et vous?"]
    assert bars["llm"][0].start == bars["stt"][0].end == turn.stt_s
    last = max(bar.end for done in bars.values() for bar in done)
    assert last <= turn.total_s


def test_a_wait_comes_before_what_was_waited_for(operator: Client, turn: Turn) -> None:
    turn.wait_s, turn.total_s = 2.0, turn.total_s + 2.0
    turn.save()
    bars = timeline.bars(turn)
    [wait], [stt], [llm] = bars["wait"], bars["stt"], bars["llm"]
    assert (wait.start, wait.end, stt.start, stt.end) == (0, 2, 2, 2 + turn.stt_s)
    assert llm.start == stt.end
    assert '<rect class="wait"' in page(operator.get(url(turn)))


def test_what_was_not_done_has_no_bar(operator: Client, turn: Turn) -> None:
    operator.post(url(turn, "replay"), {"from": "tts"})
    [again] = turn.replays.all()
    bars = timeline.bars(again)
    assert (bars["decode"], bars["wait"], bars["stt"], bars["llm"]) == ([], [], [], [])
    assert len(bars["tts"]) == 2


@pytest.mark.parametrize(
    ("former", "latter", "marked"),
    [
        ("a b c", "a b c", ("<span>a b c</span>", "<span>a b c</span>")),
        ("a b", "a c", ("<span>a</span> <del>b</del>", "<span>a</span> <ins>c</ins>")),
        ("", "<b>", ("", "<ins>&lt;b&gt;</ins>")),
    ],
)
def test_differences(former: str, latter: str, marked: tuple[str, str]) -> None:
    assert telling.differences(former, latter) == marked
