"""Who may enter the admin, and what they may do there."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.management import CommandError, call_command

ADDRESS = "http://localhost:1234/admin/"


# --- groups --------------------------------------------------------------------------------


@pytest.mark.django_db
def test_groups_hold_all_that_can_be_seen_and_heard() -> None:
    look, listen = Group.objects.get(name="Read only"), Group.objects.get(name="Read and listen")
    seen = set(look.permissions.values_list("codename", flat=True))
    heard = set(listen.permissions.values_list("codename", flat=True)) - seen
    assert seen >= {"view_cachedspeech", "view_pronunciation", "view_turn", "view_conversation"}
    assert all(codename.startswith("view_") for codename in seen)
    assert "view_user" not in seen
    assert heard == {"listen_cachedspeech", "listen_turn"}


@pytest.mark.django_db(transaction=True)
def test_they_are_made_complete_again() -> None:
    group = Group.objects.get(name="Read only")
    group.permissions.clear()
    own = Permission.objects.get(codename="change_pronunciation")
    group.permissions.add(own)
    call_command("migrate", verbosity=0)
    assert {own.codename, "view_turn"} <= {p.codename for p in group.permissions.all()}
    assert Group.objects.count() == 2


# --- the first account, nobody asked ---------------------------------------------------------


@pytest.mark.django_db
def test_without_a_terminal_a_password_is_made(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    call_command("first_admin", address=ADDRESS)
    first, last = capsys.readouterr().out.splitlines()
    assert last == f"The admin is at {ADDRESS}, for admin."
    user = User.objects.get()
    assert user.is_superuser
    assert user.check_password(first.split("password ")[1].removesuffix(": note it down."))


@pytest.mark.django_db
def test_an_account_that_is_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    User.objects.create_superuser("zoe")
    call_command("first_admin", address=ADDRESS)
    first, last = capsys.readouterr().out.splitlines()
    assert first == "Forgot the password? python manage.py changepassword zoe"
    assert last == f"The admin is at {ADDRESS}, for zoe."
    assert User.objects.count() == 1


@pytest.mark.django_db
def test_without_a_terminal_nothing_is_asked_before_serving(
    capsys: pytest.CaptureFixture[str],
) -> None:
    call_command("first_admin", if_none=True)
    assert capsys.readouterr().out == ""
    assert not User.objects.exists()


@pytest.mark.django_db
def test_a_name_that_is_taken() -> None:
    User.objects.create_user("admin")
    with pytest.raises(CommandError, match="There is an account admin"):
        call_command("first_admin")
