"""The speech cache in the admin: what it holds, how it sounds, and how to put it right."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.utils import flatten_fieldsets
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Prefetch, QuerySet, Sum
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.defaultfilters import filesizeformat
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

import cache.pronunciation_admin  # noqa: F401 - it registers itself
from cache import cells, corrections, drawing, exports
from cache.models import DAYS_COUNTED, CachedSpeech, CachedSpeechQuerySet
from files.ranges import ranged_response

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[CachedSpeech]  # generic in the stubs alone
else:
    _ModelAdmin = admin.ModelAdmin

DAYS_IN_LIST = 30

DETAILS = (
    *("tenant", "voice", "language", "speed", "engine", "identity", "seconds", "hits"),
    *("created_at", "last_used_at", "key", "sha256"),
)


class Corrected(admin.SimpleListFilter):
    title = gettext_lazy("corrected")
    parameter_name = "corrected"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("1", _("Yes")), ("0", _("No"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        match self.value():
            case "1":
                return queryset.exclude(corrected_text="")
            case "0":
                return queryset.filter(corrected_text="")
        return queryset


@admin.register(CachedSpeech)
class CachedSpeechAdmin(_ModelAdmin):
    list_display = (
        "says",
        "player",
        "spoken_by",
        "tenant",
        "seconds",
        "uses",
        "last_used",
        "pinned",
    )
    list_filter = ("tenant", "language", "voice", "engine", "pinned", Corrected)
    list_per_page = 50
    search_fields = ("text", "corrected_text")
    actions = ("pin", "unpin", "export", "purge")
    actions_on_bottom = False

    class Media:
        css = {"all": ("cache/admin.css",)}
        js = ("cache/player.js",)

    # --- what is shown ---------------------------------------------------------------------

    @admin.display(description=gettext_lazy("text"), ordering="text")
    def says(self, speech: CachedSpeech) -> str | SafeString:
        if not speech.corrected_text:
            return str(speech)
        return format_html(
            '<ins title="{}">{}</ins> <del>{}</del>',
            *(_("corrected"), Truncator(speech.corrected_text).chars(60), speech),
        )

    @admin.display(description=gettext_lazy("listen"))
    def player(self, speech: CachedSpeech) -> SafeString:
        url = reverse(f"{self.admin_site.name}:cache_cachedspeech_audio", args=[speech.pk])
        return drawing.player(f"{url}?{speech.sha256[:8]}", self.outline(speech))

    @admin.display(description=gettext_lazy("waveform"))
    def outline(self, speech: CachedSpeech) -> SafeString:
        if not speech.peaks and (audio := speech.audio()):  # kept before there were any
            speech.peaks = drawing.peaks(audio.samples)
            speech.save(update_fields=["peaks"])
        return drawing.waveform(bytes(speech.peaks))

    @admin.display(description=gettext_lazy("voice"), ordering="voice")
    def spoken_by(self, speech: CachedSpeech) -> SafeString:
        by = speech.corrected_voice or speech.voice
        return cells.two_lines(by, f"{speech.language} · {speech.engine}")

    @admin.display(description=gettext_lazy("duration"), ordering="duration")
    def seconds(self, speech: CachedSpeech) -> SafeString:
        seconds = _("%(seconds)s s") % {"seconds": number_format(speech.duration, 1)}
        return cells.two_lines(seconds, filesizeformat(speech.size_bytes))

    @admin.display(description=gettext_lazy("hits"), ordering="hits")
    def uses(self, speech: CachedSpeech) -> SafeString:
        return format_html("{} {}", speech.hits, self._by_day(speech, DAYS_IN_LIST))

    @admin.display(description=gettext_lazy("last used"), ordering="last_used_at")
    def last_used(self, speech: CachedSpeech) -> SafeString:
        return cells.moment(speech.last_used_at)

    @admin.display(description=gettext_lazy("hits by day"))
    def hits_by_day(self, speech: CachedSpeech) -> SafeString:
        since = _("the last %(days)d days") % {"days": DAYS_COUNTED}
        return format_html("{} {}", self._by_day(speech, DAYS_COUNTED), since)

    def _by_day(self, speech: CachedSpeech, days: int) -> SafeString:
        """A bar a day, today's last; nothing when there was no hit."""
        today = timezone.localdate()
        counts = {(today - day.day).days: day.hits for day in speech.daily_hits.all()}
        shown = [counts.get(ago, 0) for ago in reversed(range(days))]
        return drawing.sparkline(shown) if any(shown) else SafeString()

    def get_list_display(self, request: HttpRequest) -> Any:
        return self._audible(request, self.list_display)

    def get_fieldsets(self, request: HttpRequest, obj: CachedSpeech | None = None) -> Any:
        correction = ["corrected_text", "corrected_voice"] if obj and obj.corrected_text else []
        first = ["text", *correction, "player", "hits_by_day", "pinned"]
        return [
            (None, {"fields": self._audible(request, first)}),
            (_("Details"), {"fields": DETAILS}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: CachedSpeech | None = None) -> Any:
        shown = flatten_fieldsets(self.get_fieldsets(request, obj))
        return [name for name in shown if name != "pinned"]

    def _audible(self, request: HttpRequest, names: Sequence[str]) -> list[str]:
        """Who may not listen sees what it looks like."""
        if self.has_listen_permission(request):
            return list(names)
        return ["outline" if name == "player" else name for name in names]

    def get_queryset(self, request: HttpRequest) -> QuerySet[CachedSpeech]:
        return super().get_queryset(request).prefetch_related(Prefetch("daily_hits"))

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        own = {"cache_totals": self._totals()}
        return super().changelist_view(request, {**(extra_context or {}), **own})

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

    # --- what can be done ------------------------------------------------------------------

    @admin.action(description=gettext_lazy("Pin: keep the selected speech"), permissions=["change"])
    def pin(self, request: HttpRequest, selected: QuerySet[CachedSpeech]) -> None:
        self._log(request, selected, _("Pinned."))
        count = selected.update(pinned=True)
        self.message_user(
            request, ngettext("%(count)d pinned.", "%(count)d pinned.", count) % {"count": count}
        )

    @admin.action(
        description=gettext_lazy("Unpin: let the selected speech go when room is needed"),
        permissions=["change"],
    )
    def unpin(self, request: HttpRequest, selected: QuerySet[CachedSpeech]) -> None:
        self._log(request, selected, _("Unpinned."))
        count = selected.update(pinned=False)
        self.message_user(
            request,
            ngettext("%(count)d unpinned.", "%(count)d unpinned.", count) % {"count": count},
        )

    @admin.action(
        description=gettext_lazy("Export: download the selected speech as a ZIP"),
        permissions=["listen"],
    )
    def export(
        self, request: HttpRequest, selected: CachedSpeechQuerySet
    ) -> HttpResponseBase | None:
        return exports.response(request, selected)

    @admin.action(
        description=gettext_lazy("Purge: delete the selected speech and its files"),
        permissions=["delete"],
    )
    def purge(self, request: HttpRequest, selected: QuerySet[CachedSpeech]) -> None:
        self.log_deletions(request, selected)
        count, per_model = selected.delete()
        count = per_model.get("cache.CachedSpeech", 0)
        self.message_user(
            request, ngettext("%(count)d deleted.", "%(count)d deleted.", count) % {"count": count}
        )

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)  # `purge` is it, without a page to confirm
        return actions

    def _log(self, request: HttpRequest, selected: QuerySet[CachedSpeech], said: str) -> None:
        assert request.user.pk is not None  # the admin has been entered
        LogEntry.objects.log_actions(
            user_id=request.user.pk, queryset=selected, action_flag=CHANGE, change_message=said
        )

    # --- who may ---------------------------------------------------------------------------

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_listen_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("cache.listen_cachedspeech"))

    # --- pages of its own ------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("<int:pk>/audio/", view(self.audio_view), name="cache_cachedspeech_audio"),
            path("<int:pk>/correct/", view(self.correct_view), name="cache_cachedspeech_correct"),
            path(
                "<int:pk>/rehearse/", view(self.rehearse_view), name="cache_cachedspeech_rehearse"
            ),
            *super().get_urls(),
        ]

    def audio_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        if not self.has_listen_permission(request):
            raise PermissionDenied
        speech = CachedSpeech.objects.filter(pk=pk).first()
        wav = speech and speech.wav()
        if not speech or not wav:
            raise Http404
        return ranged_response(request, wav, content_type="audio/wav", etag=speech.sha256)

    def correct_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        return corrections.page(self, request, self._to_correct(request, pk))

    def rehearse_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        return corrections.rehearsal(request, self._to_correct(request, pk))

    def _to_correct(self, request: HttpRequest, pk: int) -> CachedSpeech:
        if not self.has_change_permission(request):
            raise PermissionDenied
        speech = CachedSpeech.objects.filter(pk=pk).first()
        if speech is None:
            raise Http404
        return speech
