"""The speech cache in the admin: what it holds, how much of its limit, and how it sounds."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Count, QuerySet, Sum
from django.http import Http404, HttpRequest, HttpResponse
from django.template.defaultfilters import filesizeformat
from django.urls import URLPattern, path, reverse
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from cache.models import CachedSpeech
from cache.ranges import ranged_response

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[CachedSpeech]  # generic in the stubs alone
else:
    _ModelAdmin = admin.ModelAdmin


@admin.register(CachedSpeech)
class CachedSpeechAdmin(_ModelAdmin):
    list_display = (
        "__str__",
        "player",
        "voice",
        "language",
        "engine",
        "seconds",
        "size",
        "hits",
        "last_used_at",
        "pinned",
    )
    list_filter = ("language", "voice", "engine", "pinned")
    search_fields = ("text",)
    fields = (
        "text",
        "player",
        "voice",
        "language",
        "speed",
        "engine",
        "identity",
        "seconds",
        "size",
        "hits",
        "created_at",
        "last_used_at",
        "key",
        "sha256",
        "pinned",
    )
    readonly_fields = tuple(field for field in fields if field != "pinned")
    actions = ("pin", "unpin", "purge")

    class Media:
        css = {"all": ("cache/admin.css",)}

    @admin.display(description=gettext_lazy("listen"))
    def player(self, speech: CachedSpeech) -> SafeString:
        url = reverse(f"{self.admin_site.name}:cache_cachedspeech_audio", args=[speech.pk])
        return format_html('<audio controls preload="none" src="{}"></audio>', url)

    @admin.display(description=gettext_lazy("duration"), ordering="duration")
    def seconds(self, speech: CachedSpeech) -> str:
        return _("%(seconds)s s") % {"seconds": number_format(speech.duration, 1)}

    @admin.display(description=gettext_lazy("size"), ordering="size_bytes")
    def size(self, speech: CachedSpeech) -> str:
        return filesizeformat(speech.size_bytes)

    @admin.action(description=gettext_lazy("Pin: keep the selected speech"), permissions=["change"])
    def pin(self, request: HttpRequest, selected: QuerySet[CachedSpeech]) -> None:
        count = selected.update(pinned=True)
        self.message_user(
            request, ngettext("%(count)d pinned.", "%(count)d pinned.", count) % {"count": count}
        )

    @admin.action(
        description=gettext_lazy("Unpin: let the selected speech go when room is needed"),
        permissions=["change"],
    )
    def unpin(self, request: HttpRequest, selected: QuerySet[CachedSpeech]) -> None:
        count = selected.update(pinned=False)
        self.message_user(
            request,
            ngettext("%(count)d unpinned.", "%(count)d unpinned.", count) % {"count": count},
        )

    @admin.action(
        description=gettext_lazy("Purge: delete the selected speech and its files"),
        permissions=["delete"],
    )
    def purge(self, request: HttpRequest, selected: QuerySet[CachedSpeech]) -> None:
        self.log_deletions(request, selected)
        count, _per_model = selected.delete()
        self.message_user(
            request, ngettext("%(count)d deleted.", "%(count)d deleted.", count) % {"count": count}
        )

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)  # `purge` is it, without a page to confirm
        return actions

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def get_urls(self) -> list[URLPattern]:
        audio = path(
            "<int:pk>/audio/",
            self.admin_site.admin_view(self.audio_view),
            name="cache_cachedspeech_audio",
        )
        return [audio, *super().get_urls()]

    def audio_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        speech = CachedSpeech.objects.filter(pk=pk).first()
        wav = speech and CachedSpeech.objects.wav(speech.key)
        if not speech or not wav:
            raise Http404
        return ranged_response(request, wav, content_type="audio/wav", etag=speech.sha256)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return super().changelist_view(
            request, {**(extra_context or {}), "cache_totals": self._totals()}
        )

    def _totals(self) -> dict[str, object]:
        totals = CachedSpeech.objects.aggregate(
            entries=Count("pk"),
            size_bytes=Sum("size_bytes", default=0),
            duration=Sum("duration", default=0.0),
            hits=Sum("hits", default=0),
        )
        return {
            **totals,
            "duration": timedelta(seconds=round(totals["duration"])),
            "limit_bytes": settings.VOICEBOT_CACHE_MAX_BYTES,
        }
