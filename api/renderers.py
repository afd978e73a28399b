"""What the API answers in, and how that is chosen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.http.request import MediaType
from django.utils.translation import gettext as _
from rest_framework.exceptions import NotAcceptable
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request


class WavRenderer(BaseRenderer):
    """Bytes that are a WAV already."""

    media_type = "audio/wav"
    format = "wav"
    charset = None
    render_style = "binary"

    def render(
        self,
        data: bytes,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        return data


class XWavRenderer(WavRenderer):
    media_type = "audio/x-wav"


class WaveRenderer(WavRenderer):
    media_type = "audio/wave"


WAV_OR_JSON = [WavRenderer, XWavRenderer, WaveRenderer, JSONRenderer]
"""WAV by all its names; it is also what ``*/*`` gets."""


class Negotiation(DefaultContentNegotiation):
    """Chooses what the client prefers, by its quality values, which DRF ignores.

    Among equals, what the client names goes before what it covers by ``*``, as in axios's
    ``application/json, text/plain, */*``; then goes our own order. ``?format=`` goes before
    ``Accept``. A view with one representation gives that one to whoever asks: a probe that wants
    HTML is better served with JSON than with an error.
    """

    def select_renderer(
        self,
        request: Request,
        renderers: Iterable[BaseRenderer],
        format_suffix: str | None = None,
    ) -> tuple[BaseRenderer, str]:
        renderers = list(renderers)
        if len(renderers) == 1:
            return renderers[0], renderers[0].media_type
        chosen = self._preferred(request, renderers)
        if chosen is None:
            raise NotAcceptable(
                _("This address answers in %(types)s.")
                % {"types": ", ".join(renderer.media_type for renderer in renderers)}
            )
        return chosen, chosen.media_type

    def _preferred(
        self, request: Request, renderers: Sequence[BaseRenderer]
    ) -> BaseRenderer | None:
        if wanted := request.query_params.get("format"):
            return next((r for r in renderers if r.format == wanted), None)
        try:
            accepted = [MediaType(part) for part in request.headers.get("Accept", "*/*").split(",")]
        except ValueError:  # it is no list of media types
            return None

        def rank(renderer: BaseRenderer) -> tuple[float, int]:
            main, _slash, sub = renderer.media_type.partition("/")
            fitting = [
                a for a in accepted if a.main_type in ("*", main) and a.sub_type in ("*", sub)
            ]
            nearest = max(fitting, key=lambda a: a.specificity, default=MediaType("*/*;q=0"))
            return nearest.quality, nearest.specificity

        best = max(renderers, key=rank)
        return best if rank(best)[0] > 0 else None
