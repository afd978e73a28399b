"""Conversations in the admin: what was said in them, turn by turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cache import cells
from console import timeline
from console.turns_admin import turns_of
from history.models import Conversation, Turn

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Conversation]  # generic in the stubs alone
else:
    _ModelAdmin = admin.ModelAdmin

TURNS: Final = 100
"""On the page of one: the latest."""


@admin.register(Conversation)
class ConversationAdmin(_ModelAdmin):
    list_display = ("name", "tenant", "language", "taken", "created", "last_used")
    list_display_links = ("name",)
    list_filter = ("language", "tenant")
    list_per_page = 50
    search_fields = ("title", "id")
    show_full_result_count = False
    change_form_template = "admin/history/conversation/change_form.html"
    fields = (
        *("id", "title", "tenant", "language", "voice"),
        *("taken", "created_at", "last_used_at"),
    )

    class Media:
        css = {"all": ("cache/admin.css", "console/history.css")}

    @admin.display(description=gettext_lazy("title"), ordering="title")
    def name(self, conversation: Conversation) -> str:
        return Truncator(conversation.title).chars(60) or str(conversation)

    @admin.display(description=gettext_lazy("created"), ordering="created_at")
    def created(self, conversation: Conversation) -> SafeString:
        return cells.moment(conversation.created_at)

    @admin.display(description=gettext_lazy("last used"), ordering="last_used_at")
    def last_used(self, conversation: Conversation) -> SafeString:
        return cells.moment(conversation.last_used_at)

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        conversation: Conversation = context["original"]
        asked: QuerySet[Turn] = conversation.turns.asked()
        latest = list(asked.order_by("-number")[: TURNS + 1])
        context["said"] = [(turn, timeline.strip(turn)) for turn in reversed(latest[:TURNS])]
        context["all_turns"] = turns_of(conversation)
        context["more"] = len(latest) > TURNS
        context["title"] = Truncator(conversation.title).chars(60) or _("Conversation")
        return super().render_change_form(request, context, *args, **kwargs)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Conversation | None = None) -> bool:
        return False
