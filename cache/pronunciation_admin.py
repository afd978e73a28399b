"""The dictionary of pronunciation in the admin, with its tables and something to listen to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import get_language_info, gettext_lazy, ngettext
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from cache.corrections import refused, sound
from cache.models import Pronunciation
from cache.pronunciation import COLUMNS, from_csv, to_csv
from cache.tts import speaker_of
from pipeline.engines import engines
from pipeline.errors import PipelineError

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Pronunciation]  # generic in the stubs alone
    _ModelForm = forms.ModelForm[Pronunciation]
else:
    _ModelAdmin, _ModelForm = admin.ModelAdmin, forms.ModelForm

MAX_TABLE_BYTES = 1_000_000


def language_name(code: str) -> str:
    try:
        return str(get_language_info(code)["name_translated"])
    except KeyError:  # one that Django does not know
        return code


class PronunciationForm(_ModelForm):
    language = forms.ChoiceField(label=capfirst(gettext_lazy("language")), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["language"]
        assert isinstance(field, forms.ChoiceField)
        spoken = {*engines.tts.languages, *filter(None, [self.instance.language])}
        names = sorted((language_name(code), code) for code in spoken)
        field.choices = [("", _("every language")), *((code, name) for name, code in names)]


class TableForm(forms.Form):
    table = forms.FileField(label=capfirst(gettext_lazy("table (CSV)")))

    def entries(self) -> list[Pronunciation]:
        """What the file says, each entry checked; all errors are those of the field."""
        file, entries = self.cleaned_data["table"], []
        try:
            if file.size > MAX_TABLE_BYTES:
                raise ValidationError(_("The file is too large."))
            for line, entry in from_csv(file.read().decode("utf-8-sig")):
                try:
                    entry.full_clean(validate_constraints=False)
                except ValidationError as exc:
                    text = _("Line %(line)d: %(problem)s")
                    told = text % {"line": line, "problem": " ".join(exc.messages)}
                    self.add_error("table", told)
                entries.append(entry)
        except UnicodeDecodeError:
            self.add_error("table", _("The file is not text in UTF-8."))
        except ValueError as exc:
            text = _("The first line must name the columns %(names)s.")
            self.add_error("table", text % {"names": exc})
        except ValidationError as exc:
            self.add_error("table", exc)
        return entries


@admin.register(Pronunciation)
class PronunciationAdmin(_ModelAdmin):
    form = PronunciationForm
    list_display = ("word", "say", "spoken_in", "whole_word", "match_case", "listen")
    list_filter = ("language",)
    search_fields = ("word", "say")
    fields = ("word", "say", "language", "whole_word", "match_case")
    actions = ("to_csv",)

    class Media:
        css = {"all": ("cache/admin.css",)}
        js = ("cache/player.js",)

    @admin.display(description=gettext_lazy("language"), ordering="language")
    def spoken_in(self, entry: Pronunciation) -> str:
        return language_name(entry.language) if entry.language else _("every language")

    @admin.display(description=gettext_lazy("listen"))
    def listen(self, entry: Pronunciation) -> SafeString:
        url = reverse("admin:cache_pronunciation_rehearse", args=[entry.pk])
        return format_html(
            '<button type="button" class="listen" hidden data-url="{}">{}</button>',
            *(url, _("Listen")),
        )

    @admin.action(description=gettext_lazy("Export the selection as CSV"), permissions=["view"])
    def to_csv(self, request: HttpRequest, selected: QuerySet[Pronunciation]) -> HttpResponse:
        return HttpResponse(
            "\ufeff" + to_csv(selected),  # without the mark, spreadsheets guess the encoding
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": 'attachment; filename="pronunciations.csv"'},
        )

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        title = str(self.opts.verbose_name_plural).capitalize()
        return super().changelist_view(request, {**(extra_context or {}), "title": title})

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        rehearse = view(require_POST(self.rehearse_view))
        return [
            path("rehearse/", rehearse, name="cache_pronunciation_rehearse_form"),
            path("<int:pk>/rehearse/", rehearse, name="cache_pronunciation_rehearse"),
            path("import/", view(self.import_view), name="cache_pronunciation_import"),
            *super().get_urls(),
        ]

    def rehearse_view(self, request: HttpRequest, pk: int | None = None) -> HttpResponse:
        """An entry, or what the form says of one: how it is to be said, or the word itself."""
        if not self.has_change_permission(request) and not self.has_add_permission(request):
            raise PermissionDenied
        entry = Pronunciation.objects.filter(pk=pk).first() if pk else None
        if pk and entry is None:
            raise Http404
        if entry is None:
            asked = {name: request.POST.get(name, "") for name in ("word", "say", "language")}
            entry = Pronunciation(**asked)
        text = entry.word if "word" in request.GET else entry.say
        language = entry.language or settings.VOICEBOT_LANGUAGE
        try:
            tts = speaker_of(language)
            return sound(tts.aloud(text, tts.choose_voice(language=language)))
        except PipelineError as exc:
            return refused(exc.message)

    def import_view(self, request: HttpRequest) -> HttpResponse:
        """Entries of a table, added to the dictionary or put in the place of those it has."""
        if not (self.has_add_permission(request) and self.has_change_permission(request)):
            raise PermissionDenied
        form = TableForm(request.POST or None, request.FILES or None)
        if form.is_valid() and (entries := form.entries()) and form.is_valid():
            with transaction.atomic():
                for entry in entries:
                    self._put(request, entry)
            count = len(entries)
            text = ngettext("%(count)d entry brought.", "%(count)d entries brought.", count)
            messages.success(request, text % {"count": count})
            return HttpResponseRedirect(reverse("admin:cache_pronunciation_changelist"))
        context = {
            **self.admin_site.each_context(request),
            "title": _("Bring a table"),
            "opts": self.opts,
            "form": form,
            "columns": COLUMNS,
            "media": self.media,
        }
        return TemplateResponse(request, "admin/cache/pronunciation/import.html", context)

    def _put(self, request: HttpRequest, entry: Pronunciation) -> None:
        known = Pronunciation.objects.filter(word=entry.word, language=entry.language).first()
        if known is not None:
            entry.pk = known.pk
        entry.save()
        if known is None:
            self.log_addition(request, entry, _("Brought by a table."))
        else:
            self.log_change(request, entry, _("Brought by a table."))
