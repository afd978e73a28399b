"""Who is let in: whoever has a key for it, and, by the settings, whoever is at this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from access import models, tokens
from access.models import ApiKey
from api.exceptions import KeyNeeded, KeyRefused, ScopeMissing
from pipeline.hosts import is_loopback

if TYPE_CHECKING:
    from rest_framework.views import APIView  # it imports this module

PASSED_ON = ("HTTP_FORWARDED", "HTTP_VIA", "HTTP_X_FORWARDED_FOR", "HTTP_X_REAL_IP")
"""What proxies add: who is asking is then not who has connected."""

VERIFIED: Final = "voicebot.key"
"""Of ASGI's scope: the key of the request, once it was found good."""


class KeyAuthentication(BaseAuthentication):
    """``Authorization: Bearer …`` or ``X-API-Key: …``; ``request.auth`` is the key, or None.

    Some clients send a key whatever happens, and have one made up: where none is needed, what has
    not the form of ours is not looked at. A large body was waited for only as its key was good:
    that key is not looked at twice.
    """

    def authenticate(self, request: Request) -> tuple[None, ApiKey] | None:
        if key := _scope(request).get(VERIFIED):
            return None, key
        text = sent(request)
        if not text or (tokens.prefix(text) is None and not needed(request)):
            return None
        try:
            key = ApiKey.objects.verified(text)
        except models.KeyRefused as exc:
            raise KeyRefused(str(exc)) from exc
        _scope(request)[VERIFIED] = key
        return None, key

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="voicebot"'


class LetIn(BasePermission):
    """A view says ``open`` when it wants no key, else the ``scope`` that the key must have."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        if getattr(view, "open", False):
            return True
        if not let_in(request):
            raise KeyNeeded
        check_scope(request, getattr(view, "scope", ""))
        return True


def _scope(request: Request) -> dict[str, Any]:
    """What ASGI knows of the request, for as long as it takes; elsewhere nothing does."""
    return getattr(request._request, "scope", {})


def let_in(request: Request) -> bool:
    """Whether who asks has a key, or needs none."""
    return request.auth is not None or not needed(request)


def needed(request: HttpRequest | Request) -> bool:
    """Whether who asks needs a key."""
    match settings.VOICEBOT_KEYS:
        case "always":
            return True
        case "never":
            return False
    return not is_here(request)


def sent(request: HttpRequest | Request) -> str:
    """The key that came with the request, if any."""
    scheme, _blank, text = request.META.get("HTTP_AUTHORIZATION", "").strip().partition(" ")
    if scheme.lower() == "bearer":
        return str(text).strip()
    return str(request.META.get("HTTP_X_API_KEY", "")).strip()


def is_here(request: HttpRequest | Request) -> bool:
    """It comes from this machine: from a program, or from a page of ours.

    Pages of other sites that are open in a browser here could ask, too: what they say of
    themselves is believed.
    """
    meta = request.META
    if not is_loopback(meta.get("REMOTE_ADDR", "")) or any(name in meta for name in PASSED_ON):
        return False
    origin = meta.get("HTTP_ORIGIN")
    if origin is not None:
        ours = bool(urlsplit(origin).netloc == request.get_host())
        return ours or origin in settings.CORS_ALLOWED_ORIGINS
    return meta.get("HTTP_SEC_FETCH_SITE", "none") in ("none", "same-origin")


def check_scope(request: Request, scope: str) -> None:
    """:raises ScopeMissing: the key, if there is one, is not for ``scope``; empty is any."""
    if isinstance(request.auth, ApiKey) and scope and scope not in request.auth.scopes:
        raise ScopeMissing(scope)
