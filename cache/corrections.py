"""The page of the admin that lets another text be said in the place of a kept one."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.widgets import AdminTextareaWidget
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cache.models import CachedSpeech
from cache.tts import FAILURES, CachedTextToSpeech, speaker
from pipeline.audio import Audio, to_wav
from pipeline.errors import PipelineError
from pipeline.tts.base import MAX_TEXT_CHARS, Voice

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[CachedSpeech]  # generic in the stubs alone

logger = logging.getLogger(__name__)


class CorrectionForm(forms.Form):
    text = forms.CharField(
        label=capfirst(gettext_lazy("say")),
        max_length=MAX_TEXT_CHARS,
        widget=AdminTextareaWidget(attrs={"rows": 3, "autofocus": True}),
    )
    voice = forms.ChoiceField(label=capfirst(gettext_lazy("voice")))

    def __init__(self, speech: CachedSpeech, tts: CachedTextToSpeech, data: Any = None) -> None:
        initial = {"text": speech.said, "voice": speech.corrected_voice or speech.voice}
        super().__init__(data, initial=initial)
        self.voices = {v.id: v for v in tts.voices if v.language == speech.language}
        field = self.fields["voice"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(v.id, f"{v.name} ({v.id})") for v in self.voices.values()]

    def chosen(self) -> Voice:
        return self.voices[self.cleaned_data["voice"]]


def page(model_admin: _ModelAdmin, request: HttpRequest, speech: CachedSpeech) -> HttpResponse:
    """Shows the form; what it is sent is said from then on."""
    change = reverse("admin:cache_cachedspeech_change", args=[speech.pk])
    tts = speaker(speech)
    if tts is None:
        text = _("%(engine)s does not speak as it did then: nobody is given this speech any more.")
        messages.error(request, text % {"engine": speech.engine})
        return HttpResponseRedirect(change)
    form = CorrectionForm(speech, tts, request.POST if request.method == "POST" else None)
    back = "_own_text" in request.POST
    if request.method == "POST" and (back or form.is_valid()):
        said = "" if back else form.cleaned_data["text"]
        voice = form.voices[speech.voice] if back else form.chosen()
        if refusal := _correct(tts, speech, said, voice):
            messages.error(request, refusal)
        else:
            told = _told(speech, said, voice)
            model_admin.log_change(request, speech, told)
            messages.success(request, told)
            return HttpResponseRedirect(change)
    context = {
        **model_admin.admin_site.each_context(request),
        "title": _("Correct what is said"),
        "opts": model_admin.model._meta,
        "original": speech,
        "form": form,
        "media": model_admin.media,
    }
    return TemplateResponse(request, "admin/cache/cachedspeech/correct.html", context)


def _correct(tts: CachedTextToSpeech, speech: CachedSpeech, said: str, voice: Voice) -> str:
    """Why it could not be done; empty when it is."""
    try:
        done = tts.correct(speech, said, voice)
    except PipelineError as exc:
        return exc.message
    except FAILURES:
        logger.exception("A correction cannot be kept")
        return _("It cannot be kept: the log says why.")
    return "" if done else _("This speech has been deleted meanwhile.")


def _told(speech: CachedSpeech, said: str, voice: Voice) -> str:
    if not said:
        return _("“%(text)s” is said as it is written again.") % {"text": speech.text}
    text = _("“%(said)s” is said in the place of “%(text)s” by %(voice)s.")
    return text % {"said": said, "text": speech.text, "voice": voice.id}


def rehearsal(request: HttpRequest, speech: CachedSpeech) -> HttpResponse:
    """What the form would say, to listen to before it is kept."""
    tts = speaker(speech)
    if tts is None:
        return HttpResponse(status=409)
    form = CorrectionForm(speech, tts, request.POST)
    if not form.is_valid():
        return refused(" ".join(str(error) for errors in form.errors.values() for error in errors))
    try:
        return sound(tts.rehearse(form.cleaned_data["text"], form.chosen(), speech.speed))
    except PipelineError as exc:
        return refused(exc.message)


def sound(audio: Audio) -> HttpResponse:
    return HttpResponse(to_wav([audio]), "audio/wav", headers={"Cache-Control": "no-store"})


def refused(why: str) -> HttpResponse:
    """For the script that asked: a sentence to show."""
    return HttpResponse(why, "text/plain; charset=utf-8", status=400)
