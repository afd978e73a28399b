"""Turns in the admin: what was said, where the time went, and what another try would give."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import BadRequest, PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.defaultfilters import filesizeformat
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from cache import cells
from console import telling, timeline
from files.ranges import ranged_response
from history import replay, sounds
from history.models import STAGES, Conversation, Turn
from history.recording import Recording
from pipeline import logs, tenants
from pipeline.errors import PipelineError
from pipeline.turn import take

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Turn]  # generic in the stubs alone
else:
    _ModelAdmin = admin.ModelAdmin

NOBODY: Final = 0
"""The status of what failed for nobody who asked over the API."""

SLOW_S: Final = (2, 5, 10)


class Slow(admin.SimpleListFilter):
    title = gettext_lazy("slow")
    parameter_name = "slower"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(str(s), _("longer than %(seconds)d s") % {"seconds": s}) for s in SLOW_S]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value() or ""
        return queryset.filter(total_s__gt=int(value)) if value.isdecimal() else queryset


class Failed(admin.SimpleListFilter):
    title = gettext_lazy("error")
    parameter_name = "error"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        codes = Turn.objects.exclude(code="").order_by("code").values_list("code", flat=True)
        any_of_them = [("none", _("None")), ("any", _("Any"))]
        return [*any_of_them, *((code, code) for code in codes.distinct())]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        match self.value():
            case None:
                return queryset
            case "none":
                return queryset.filter(code="")
            case "any":
                return queryset.exclude(code="")
            case code:
                return queryset.filter(code=code)


class Repeats(admin.SimpleListFilter):
    title = gettext_lazy("kind")
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("said", _("In a conversation")),
            ("alone", _("Alone, its texts not kept")),
            ("again", _("Run again")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        match self.value():
            case "said":
                return queryset.filter(replay_of=None).exclude(conversation=None)
            case "alone":
                return queryset.filter(replay_of=None, conversation=None)
            case "again":
                return queryset.exclude(replay_of=None)
        return queryset


@admin.register(Turn)
class TurnAdmin(_ModelAdmin):
    """What was said is read here, and never written; another try becomes a turn of its own."""

    list_display = ("when", "said", "outcome", "place", "language", "spent", "heard_after", "by")
    list_display_links = ("when",)
    list_filter = (
        *("language", Failed, Slow, Repeats),
        *("stt_engine", "llm_engine", "tts_engine", "tenant"),
    )
    list_per_page = 50
    list_select_related = ("conversation", "replay_of")
    search_fields = ("transcript", "reply", "request_id")
    show_full_result_count = False
    actions = ("compare_selected",)
    actions_on_bottom = False
    change_form_template = "admin/history/turn/change_form.html"
    fields = (
        *("request_id", "tenant", "conversation", "number", "created_at", "said_at"),
        *("upload", "utterance", "speech", "transcript_chars", "reply_chars"),
    )
    readonly_fields = ("upload", "utterance", "speech")

    class Media:
        css = {"all": ("cache/admin.css", "console/history.css")}
        js = ("cache/player.js",)

    # --- the list --------------------------------------------------------------------------

    @admin.display(description=gettext_lazy("time"), ordering="created_at")
    def when(self, row: Turn) -> SafeString:
        return cells.moment(row.created_at)

    @admin.display(description=gettext_lazy("said"))
    def said(self, row: Turn) -> SafeString:
        if not (row.transcript or row.reply):
            return format_html("<small>{}</small>", row.request_id)
        heard, answered = (Truncator(text).chars(80) for text in (row.transcript, row.reply))
        return cells.two_lines(heard, answered)

    @admin.display(description=gettext_lazy("conversation"), ordering="conversation")
    def place(self, row: Turn) -> SafeString | str:
        if row.replay_of is not None:
            again = _("again from %(stage)s") % {"stage": row.replayed_from}
            url = reverse("admin:history_turn_compare", args=[row.replay_of.pk, row.pk])
            return format_html('<a href="{}">{}</a>', url, again)
        if row.conversation is None:
            return "–"
        url = reverse("admin:history_conversation_change", args=[row.conversation.pk])
        return format_html('<a href="{}">{}</a>', url, f"{row.conversation} · {row.number}")

    @admin.display(description=gettext_lazy("in all"), ordering="total_s")
    def spent(self, row: Turn) -> SafeString:
        return format_html("{}{}", timeline.seconds(row.total_s), timeline.strip(row))

    @admin.display(description=gettext_lazy("first audio"), ordering="first_audio_s")
    def heard_after(self, row: Turn) -> str:
        return timeline.seconds(row.first_audio_s)

    @admin.display(description=gettext_lazy("engines"))
    def by(self, row: Turn) -> SafeString:
        names = " · ".join(getattr(row, f"{stage}_engine") or "–" for stage in STAGES)
        states = " · ".join(getattr(row, f"{stage}_cache") for stage in STAGES)
        return cells.two_lines(names, states)

    @admin.display(description=gettext_lazy("error"), ordering="code")
    def outcome(self, row: Turn) -> str:
        return row.code or "–"

    @admin.action(description=gettext_lazy("Compare the two selected"), permissions=["view"])
    def compare_selected(
        self, request: HttpRequest, selected: QuerySet[Turn]
    ) -> HttpResponse | None:
        pair = list(selected.order_by("created_at").values_list("pk", flat=True)[:3])
        if len(pair) != 2:
            self.message_user(request, _("Select two turns to compare."), messages.WARNING)
            return None
        return HttpResponseRedirect(reverse("admin:history_turn_compare", args=pair))

    # --- one turn --------------------------------------------------------------------------

    @admin.display(description=gettext_lazy("upload"))
    def upload(self, row: Turn) -> str:
        return filesizeformat(row.upload_bytes)

    @admin.display(description=gettext_lazy("utterance"))
    def utterance(self, row: Turn) -> str:
        return timeline.seconds(row.utterance_s)

    @admin.display(description=gettext_lazy("speech"))
    def speech(self, row: Turn) -> str:
        return timeline.seconds(row.speech_s)

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        row: Turn = context["original"]
        context["told"] = telling.told(row, may_listen=self.has_listen_permission(request))
        context["may_replay"] = self.has_replay_permission(request)
        context["replays"] = row.replays.order_by("created_at")
        return super().render_change_form(request, context, *args, **kwargs)

    def utterance_view(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        return self._audible(request, pk, sounds.utterance)

    def speech_view(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        return self._audible(request, pk, sounds.speech)

    def _audible(
        self, request: HttpRequest, pk: UUID, sound: Callable[[Turn], bytes | None]
    ) -> HttpResponse:
        if not self.has_listen_permission(request):
            raise PermissionDenied
        wav = sound(self._row(pk))
        if wav is None:
            raise Http404
        return ranged_response(request, wav, content_type="audio/wav", etag=f"{pk}-{len(wav)}")

    def _row(self, pk: UUID) -> Turn:
        row = Turn.objects.select_related("conversation", "replay_of").filter(pk=pk).first()
        if row is None:
            raise Http404
        return row

    # --- another try -----------------------------------------------------------------------

    def replay_view(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """The turn again, from the stage the form says on; then both, side by side."""
        if not self.has_replay_permission(request):
            raise PermissionDenied
        row = self._row(pk)
        stage = next((stage for stage in STAGES if stage == request.POST.get("from")), None)
        if stage is None:
            raise BadRequest("there is no such stage")
        recording = Recording(logs.request_id.get(), row.tenant)
        try:
            with tenants.acting_for(row.tenant):
                take(replay.begin(recording, row, stage))
        except PipelineError as exc:
            recording.keep(NOBODY, exc.code)
            self.message_user(request, exc.message, messages.ERROR)
        if recording.row is None:
            return HttpResponseRedirect(reverse("admin:history_turn_change", args=[pk]))
        said = _("Run again from stage “%(stage)s”.") % {"stage": stage}
        self.log_change(request, row, said)
        pair = [row.pk, recording.row.pk]
        return HttpResponseRedirect(reverse("admin:history_turn_compare", args=pair))

    def compare_view(self, request: HttpRequest, former: UUID, latter: UUID) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        rows = [self._row(former), self._row(latter)]
        whole_s = timeline.span(rows)
        may_listen = self.has_listen_permission(request)
        transcripts = telling.differences(*(row.transcript for row in rows))
        replies = telling.differences(*(row.reply for row in rows))
        columns = [
            {
                **telling.told(row, may_listen=may_listen, whole_s=whole_s),
                "transcript": transcript,
                "reply": reply,
            }
            for row, transcript, reply in zip(rows, transcripts, replies, strict=True)
        ]
        first = replay.original(rows[0])
        context = {
            **self.admin_site.each_context(request),
            "title": _("Compare two turns"),
            "opts": self.opts,
            "media": self.media,
            "columns": columns,
            "stages": list(zip(*(column["stages"] for column in columns), strict=True)),
            "others": [
                again
                for again in (first, *first.replays.order_by("created_at"))
                if again not in rows
            ],
            "may_replay": self.has_replay_permission(request),
        }
        return TemplateResponse(request, "admin/history/turn/compare.html", context)

    # --- who may ---------------------------------------------------------------------------

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Turn | None = None) -> bool:
        return False

    def has_listen_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("history.listen_turn"))

    def has_replay_permission(self, request: HttpRequest) -> bool:
        """To run one again makes another."""
        allowed = self.has_view_permission(request) and request.user.has_perm("history.add_turn")
        return bool(allowed)

    def get_urls(self) -> list[URLPattern]:
        def route(where: str, view: Callable[..., HttpResponse], name: str) -> URLPattern:
            return path(where, self.admin_site.admin_view(view), name=f"history_turn_{name}")

        return [
            route("<uuid:pk>/utterance/", self.utterance_view, "utterance"),
            route("<uuid:pk>/speech/", self.speech_view, "speech"),
            route("<uuid:pk>/replay/", require_POST(self.replay_view), "replay"),
            route("compare/<uuid:former>/<uuid:latter>/", self.compare_view, "compare"),
            *super().get_urls(),
        ]


def turns_of(conversation: Conversation) -> str:
    """The list of its turns."""
    return (
        f"{reverse('admin:history_turn_changelist')}?conversation__id__exact={conversation.pk.hex}"
    )
