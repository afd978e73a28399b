"""``manage.py postman``: the collection in ``docs``, made anew from the description."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from api.description import postman
from api.description.views import schema

COLLECTION = "docs/voicebot.postman_collection.json"


class Command(BaseCommand):
    help = "Make the collection for Postman anew from the description of the API."

    def handle(self, *args: Any, **options: Any) -> None:
        path = settings.BASE_DIR / COLLECTION
        path.write_text(postman.text(schema()), "utf-8")
        self.stdout.write(f"{COLLECTION} is up to date.")
