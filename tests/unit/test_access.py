"""API keys: how they are made, checked, told once and taken back."""

from __future__ import annotations

import io
import logging
import re
import secrets
from datetime import timedelta

import pytest
from django.core.checks import ERROR, run_checks
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from access import tokens
from access.logs import Discreet
from access.models import SEEN_EVERY, ApiKey, KeyRefused
from access.scopes import SCOPES

pytestmark = pytest.mark.django_db


# --- as text ---------------------------------------------------------------------------------


def test_a_key_has_a_name_and_a_secret() -> None:
    one, other = tokens.make(), tokens.make()
    assert tokens.prefix(one.text) == one.prefix != other.prefix
    assert one.text.startswith(f"vb_{one.prefix}_")
    assert len(one.text) == len(other.text) == 55
    assert tokens.digest(one.text) != tokens.digest(other.text)


@pytest.mark.parametrize("text", ["", "sk-none", "vb_", "vb_0123456g_" + "a" * 43, "é" * 55])
def test_what_is_no_key(text: str) -> None:
    assert tokens.prefix(text) is None
    with pytest.raises(KeyRefused):
        ApiKey.objects.verified(text)


# --- in the database -------------------------------------------------------------------------


def test_what_is_kept_cannot_be_used() -> None:
    text = ApiKey.objects.make("phone").text
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM access_apikey")
        [row] = cursor.fetchall()
    assert text[12:] not in repr(row)
    assert ApiKey.objects.get(name="phone").text == ""


def test_a_key_is_known_again() -> None:
    key = ApiKey.objects.make("phone")
    ApiKey.objects.make("other")
    assert ApiKey.objects.verified(key.text) == key
    assert (key.tenant, key.scopes) == ("phone", ["talk", "conversations"])


@pytest.mark.parametrize("place", [12, 30, 54])
def test_another_secret_is_refused(place: int) -> None:
    text = ApiKey.objects.make("phone").text
    wrong = text[:place] + ("a" if text[place] != "a" else "b") + text[place + 1 :]
    with pytest.raises(KeyRefused, match=r"no such key"):
        ApiKey.objects.verified(wrong)


def test_digests_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[str, str]] = []

    def watched(one: str, other: str) -> bool:
        compared.append((one, other))
        return one == other

    monkeypatch.setattr(secrets, "compare_digest", watched)
    key = ApiKey.objects.make("phone")
    ApiKey.objects.verified(key.text)
    assert compared == [(key.digest, tokens.digest(key.text))]


def test_a_key_ends_when_it_says() -> None:
    key = ApiKey.objects.make("phone", expires_at=timezone.now() + timedelta(hours=1))
    assert ApiKey.objects.verified(key.text) == key
    assert key in ApiKey.objects.usable()
    ApiKey.objects.update(expires_at=timezone.now())
    with pytest.raises(KeyRefused, match="expired"):
        ApiKey.objects.verified(key.text)
    assert key not in ApiKey.objects.usable()


def test_a_revoked_key_opens_nothing() -> None:
    key = ApiKey.objects.make("phone")
    key.revoke()
    first = key.revoked_at
    key.revoke()
    assert key.revoked_at == first
    with pytest.raises(KeyRefused, match="revoked"):
        ApiKey.objects.verified(key.text)
    assert key not in ApiKey.objects.usable()


def test_its_use_is_noted_once_a_minute(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    text = ApiKey.objects.make("phone").text
    with django_assert_num_queries(2):
        noted = ApiKey.objects.verified(text).last_used_at
    assert noted is not None
    with django_assert_num_queries(1):
        assert ApiKey.objects.verified(text).last_used_at == noted
    ApiKey.objects.update(last_used_at=timezone.now() - SEEN_EVERY)
    assert (ApiKey.objects.verified(text).last_used_at or noted) > noted


def test_a_database_that_cannot_be_written_keeps_nobody_out() -> None:
    text = ApiKey.objects.make("phone").text

    def read_only(execute: object, sql: str, *args: object) -> object:
        if sql.startswith("UPDATE"):
            raise DatabaseError("attempt to write a readonly database")
        assert callable(execute)
        return execute(sql, *args)

    with connection.execute_wrapper(read_only):
        assert ApiKey.objects.verified(text).name == "phone"


@pytest.mark.parametrize("name", ["", " ", "a  b", "a\nb", "<b>", "x" * 65, "phone"])
def test_names_that_are_refused(name: str) -> None:
    ApiKey.objects.make("phone")
    with pytest.raises(ValidationError):
        ApiKey.objects.make(name)


def test_nobody_gets_the_data_of_others_by_its_name() -> None:
    ApiKey.objects.make("phone", tenant="home")
    with pytest.raises(ValidationError, match="tenant of another key"):
        ApiKey.objects.make("home")
    assert ApiKey.objects.make("home", tenant="home").tenant == "home"


# --- commands --------------------------------------------------------------------------------


def command(*words: str) -> tuple[str, str]:
    """What is said on the standard output, and beside it."""
    out, err = io.StringIO(), io.StringIO()
    call_command(*words, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_make_key() -> None:
    out, err = command("make_key", "phone")
    key = ApiKey.objects.verified(out.strip())
    assert (key.name, key.tenant, key.expires_at, key.per_minute) == ("phone", "phone", None, None)
    assert "phone (talk, conversations)" in err
    assert out.strip() not in err


def test_make_key_with_all_there_is() -> None:
    words = ["make_key", "scraper", "--scope", "metrics", "--scope", "talk", "--days", "30"]
    out, _err = command(*words, "--tenant", "home", "--per-minute", "9")
    key = ApiKey.objects.verified(out.strip())
    assert (key.tenant, key.scopes, key.per_minute) == ("home", ["metrics", "talk"], 9)
    assert key.expires_at is not None
    assert timedelta(29) < key.expires_at - timezone.now() <= timedelta(30)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["phone"], "already exists"),
        (["<b>"], "Letters, digits"),
        (["b", "--scope", "all"], "all"),
        (["b", "--days", "0"], "a day at least"),
        (["b", "--days", "99999999999"], "too large|must have magnitude"),
        (["b", "--per-minute", "0"], "greater than or equal to 1"),
    ],
)
def test_make_key_refuses(words: list[str], said: str) -> None:
    ApiKey.objects.make("phone")
    with pytest.raises(CommandError, match=said):
        command("make_key", *words)
    assert ApiKey.objects.count() == 1


def test_revoke_key() -> None:
    text = ApiKey.objects.make("phone").text
    with pytest.raises(CommandError, match=r"no key “tablet”. The keys are: phone\."):
        command("revoke_key", "tablet")
    assert "phone" in command("revoke_key", "phone")[0]
    with pytest.raises(KeyRefused):
        ApiKey.objects.verified(text)


# --- admin -----------------------------------------------------------------------------------


def test_the_admin_shows_a_key_once(admin_client: Client) -> None:
    form = {"name": "phone", "tenant": "", "scopes": ["talk"], "per_minute": ""}
    form |= {"expires_at_0": "", "expires_at_1": ""}
    made = admin_client.post("/admin/access/apikey/add/", form)
    assert made.status_code == 200
    assert "no-store" in made["Cache-Control"]
    [text] = set(re.findall(r"vb_[0-9a-f]{8}_[\w-]{43}", made.text))
    key = ApiKey.objects.verified(text)
    assert (key.name, key.tenant, key.scopes) == ("phone", "phone", ["talk"])
    assert text not in str(made.cookies)
    for path in ("", f"{key.pk}/change/", f"{key.pk}/history/"):
        page = admin_client.get(f"/admin/access/apikey/{path}")
        assert page.status_code == 200
        assert text not in page.text
        assert key.digest not in page.text


def test_the_admin_offers_the_usual_scopes(admin_client: Client) -> None:
    page = admin_client.get("/admin/access/apikey/add/").text
    checked = re.findall(r'name="scopes" value="(\w+)"[^>]* checked', page)
    assert checked == ["talk", "conversations"]


def test_the_admin_changes_and_revokes(admin_client: Client) -> None:
    key = ApiKey.objects.make("phone")
    form = {"name": "phone", "scopes": list(SCOPES), "per_minute": "5", "tenant": "another"}
    form |= {"expires_at_0": "", "expires_at_1": ""}
    admin_client.post(f"/admin/access/apikey/{key.pk}/change/", form)
    changed = ApiKey.objects.verified(key.text)  # the same text opens it
    assert (changed.scopes, changed.per_minute) == (list(SCOPES), 5)
    assert changed.tenant == "phone"
    chosen = {"action": "revoke", "_selected_action": [key.pk]}
    page = admin_client.post("/admin/access/apikey/", chosen, follow=True)
    assert "1 key revoked." in page.text
    with pytest.raises(KeyRefused, match="revoked"):
        ApiKey.objects.verified(key.text)


# --- log -------------------------------------------------------------------------------------


def test_the_log_never_shows_a_key() -> None:
    text = tokens.make().text
    stream = io.StringIO()
    handler = Discreet(stream)
    logger = logging.Logger("somebody.elses")
    logger.addHandler(handler)
    logger.warning("Authorization: Bearer %s", text)
    logger.warning("%r", {"headers": [(b"x-api-key", text.encode())]})
    try:
        raise ValueError(f"bad header {text}")
    except ValueError:
        logger.exception("failed")
    assert text[12:] not in stream.getvalue()
    assert stream.getvalue().count(f"{text[:12]}…") == 3


def test_the_log_is_written_so(settings: Settings) -> None:
    assert {handler["class"] for handler in settings.LOGGING["handlers"].values()} == {
        "access.logs.Discreet"
    }


# --- checks ----------------------------------------------------------------------------------


def found(*, deploy: bool = False) -> list[str | None]:
    tags = ["access"]
    databases = ["default"]
    checks = run_checks(tags=tags, databases=databases, include_deployment_checks=deploy)
    return [message.id for message in checks]


def test_where_keys_are_needed_there_must_be_one(settings: Settings) -> None:
    assert found() == []
    settings.VOICEBOT_KEYS = "always"
    assert found() == ["access.W001"]
    [message] = run_checks(tags=["access"], databases=["default"])
    assert message.level < ERROR  # the database can be migrated all the same
    assert "make_key" in str(message.hint)
    assert run_checks(tags=["access"]) == []  # the database may not be asked
    key = ApiKey.objects.make("phone")
    assert found() == []
    key.revoke()
    assert found() == ["access.W001"]


def test_a_database_without_tables_has_no_key(settings: Settings) -> None:
    settings.VOICEBOT_KEYS = "always"

    def no_table(*_args: object) -> object:
        raise DatabaseError("no such table")

    with connection.execute_wrapper(no_table):
        assert found() == ["access.W001"]


def test_a_server_open_to_all_is_warned_of(settings: Settings) -> None:
    assert found(deploy=True) == []
    settings.VOICEBOT_KEYS = "never"
    assert found(deploy=True) == ["access.W002"]
