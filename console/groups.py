"""Two groups for those who look but do not touch; ``migrate`` makes and completes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import Group, Permission
from django.db import connections
from django.utils import translation
from django.utils.translation import gettext as _


def share(*, using: str, **_kwargs: Any) -> None:
    """Give the groups all that can be seen of our apps, and the second what can be listened to."""
    if Group._meta.db_table not in connections[using].introspection.table_names():
        return  # only some apps are migrated
    known = Permission.objects.using(using).filter(content_type__app_label__in=_ours())
    seen, heard = (list(known.filter(codename__startswith=verb)) for verb in ("view_", "listen_"))
    with translation.override(settings.LANGUAGE_CODE):
        groups = {_("Read only"): seen, _("Read and listen"): [*seen, *heard]}
    for name, permissions in groups.items():
        group, _made = Group.objects.using(using).get_or_create(name=name)
        group.permissions.add(*permissions)


def _ours() -> list[str]:
    """Labels of the apps that are not somebody else's."""
    return [a.label for a in apps.get_app_configs() if Path(a.path).parent == settings.BASE_DIR]
