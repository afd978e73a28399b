"""The page: a template, the words of its scripts, and what a browser lets it do."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.templatetags.static import static
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_safe

from web.words import words

POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        # A script that wrote text into the page as HTML would fail, were it to be written.
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    ]
)
"""https://www.w3.org/TR/CSP3/: only what comes from this server, and no script or style inside
the page itself. Sound is decoded by the script and needs no ``media-src``."""

PERMISSIONS = "microphone=(self), camera=(), geolocation=()"

MODULES = (
    *("main", "words", "api", "events", "key", "recorder", "output", "playback"),
    *("waveform", "line", "turn", "conversation", "settings", "notice", "gestures", "service"),
)
"""Fetched along with the page, not one after the other as they name each other."""


ADDRESSES = ("voice", "voices", "conversations", "ready")


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    context = {
        "modules": [f"web/{name}.js" for name in MODULES],
        "languages": settings.LANGUAGES,
        "kept": _kept(),
        "data": _data(),
    }
    response = render(request, "web/page.html", context)
    response["Content-Security-Policy"] = POLICY
    response["Permissions-Policy"] = PERMISSIONS
    # It carries a token, and the words of one language.
    response["Cache-Control"] = "private, no-cache"
    return response


def _kept() -> str:
    """How long what is said is there."""
    days = settings.VOICEBOT_KEEP_TEXTS_DAYS
    text = ngettext(
        "What is said is kept on this server for %(days)d day, or until you delete it.",
        "What is said is kept on this server for %(days)d days, or until you delete it.",
        days,
    )
    return text % {"days": days}


def _data() -> dict[str, Any]:
    """What the scripts are told."""
    return {
        "language": translation.get_language(),
        "words": words(),
        "addresses": {name: reverse(f"api:{name}") for name in ADDRESSES},
        "max_utterance_s": settings.VOICEBOT_MAX_UTTERANCE_S,
        "max_upload_bytes": settings.VOICEBOT_MAX_UPLOAD_BYTES,
        "spoken_language": settings.VOICEBOT_LANGUAGE,
    }


@require_safe
def icon(request: HttpRequest) -> HttpResponse:
    """What browsers ask for by themselves, of whatever names no icon: that of the page."""
    return HttpResponseRedirect(static("web/icon.svg"))


@require_safe
def manifest(request: HttpRequest) -> JsonResponse:
    """How the page is put on a phone's home screen: https://www.w3.org/TR/appmanifest/"""
    content = {
        "name": "voicebot",
        "description": _("A voice assistant: ask aloud, hear the answer."),
        "lang": translation.get_language(),
        "start_url": reverse("web:page"),
        "display": "standalone",
        "background_color": "#f1f4ee",
        "theme_color": "#f1f4ee",
        "icons": [{"src": static("web/icon.svg"), "sizes": "any", "type": "image/svg+xml"}],
    }
    return JsonResponse(content, content_type="application/manifest+json")
