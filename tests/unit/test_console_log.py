"""What an operator deletes is in the log of the admin, whatever it is and however it is done."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.admin import site
from django.contrib.admin.models import DELETION, LogEntry
from django.contrib.auth.models import Group, User
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from access.models import ApiKey
from cache.models import CachedSpeech, Pronunciation
from history.models import Conversation, Turn
from jobs.models import Job, Status
from tests.unit.remembered import converse

pytestmark = pytest.mark.django_db

MAKE: dict[type[Model], Callable[[], Model]] = {
    ApiKey: lambda: ApiKey.objects.make("phone"),
    CachedSpeech: lambda: CachedSpeech.objects.create(
        key="0" * 64,
        text="Bonjour.",
        identity={},
        speed=1.0,
        duration=1.0,
        size_bytes=1,
    ),
    Conversation: Conversation.objects.create,
    Group: lambda: Group.objects.create(name="Accueil"),
    Job: lambda: Job.objects.create(status=Status.DONE, request_id="r", locale="fr"),
    Pronunciation: lambda: Pronunciation.objects.create(word="GIF", say="jif"),
    Turn: lambda: converse(None),
    User: lambda: User.objects.create_user("somebody"),
}


@pytest.fixture(autouse=True)
def operator(client: Client) -> User:
    user = User.objects.create_superuser("operator")
    client.force_login(user)
    return user


def test_there_is_nothing_else() -> None:
    assert set(site._registry) == set(MAKE)


@pytest.mark.parametrize("at_once", [False, True], ids=["one", "selected"])
@pytest.mark.parametrize("model", MAKE, ids=lambda model: model.__name__)
def test_what_is_deleted_is_in_the_log(
    client: Client, operator: User, model: type[Model], at_once: bool
) -> None:
    made = MAKE[model]()
    opts = model._meta
    name = f"admin:{opts.app_label}_{opts.model_name}"
    if at_once:
        action = "purge" if model is CachedSpeech else "delete_selected"
        form = {"action": action, "_selected_action": str(made.pk), "post": "yes"}
        response = client.post(reverse(f"{name}_changelist"), form)
    else:
        response = client.post(reverse(f"{name}_delete", args=[made.pk]), {"post": "yes"})
    assert response.status_code == 302
    assert not model._default_manager.filter(pk=made.pk).exists()
    entry = LogEntry.objects.get(action_flag=DELETION)
    assert entry.content_type is not None
    assert (entry.user, entry.content_type.model_class()) == (operator, model)


@pytest.mark.parametrize("model", MAKE, ids=lambda model: model.__name__)
def test_a_list_is_named_by_what_it_lists(client: Client, model: type[Model]) -> None:
    opts = model._meta
    shown = client.get(reverse(f"admin:{opts.app_label}_{opts.model_name}_changelist"))
    title = str(opts.verbose_name_plural)
    assert f"<h1>{title[:1].upper()}{title[1:]}</h1>" in shown.content.decode()
