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


class StreamRenderer(BaseRenderer):
    """What ``api.encoders`` writes; only its name is needed, to choose it."""

    charset = None
    render_style = "binary"

    def render(
        self,
        data: object,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        raise NotImplementedError


class L16Renderer(StreamRenderer):
    media_type = "audio/L16"
    format = "l16"


class EventsRenderer(StreamRenderer):
    media_type = "text/event-stream"
    format = "events"


class TextRenderer(BaseRenderer):
    """Text that is written already."""

    charset = "utf-8"

    def render(
        self,
        data: str,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        return data.encode()


class SrtRenderer(TextRenderer):
    media_type = "application/x-subrip"
    format = "srt"


class VttRenderer(TextRenderer):
    media_type = "text/vtt"
    format = "vtt"


RESULT_RENDERERS = [JSONRenderer, SrtRenderer, VttRenderer]

TURN_RENDERERS = [
    *(WavRenderer, XWavRenderer, WaveRenderer),
    JSONRenderer,
    *(L16Renderer, EventsRenderer),
]
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
        return chosen

    def _preferred(
        self, request: Request, renderers: Sequence[BaseRenderer]
    ) -> tuple[BaseRenderer, str] | None:
        """The best of ``renderers``, and what the client said of it, with its parameters."""
        if wanted := request.query_params.get("format"):
            return next(((r, r.media_type) for r in renderers if r.format == wanted), None)
        try:
            accepted = [MediaType(part) for part in request.headers.get("Accept", "*/*").split(",")]
        except ValueError:  # it is no list of media types
            return None

        def nearest(renderer: BaseRenderer) -> MediaType:
            offered = MediaType(renderer.media_type)
            fitting = [
                a
                for a in accepted
                if a.main_type in ("*", offered.main_type) and a.sub_type in ("*", offered.sub_type)
            ]
            return max(fitting, key=lambda a: a.specificity, default=MediaType("*/*;q=0"))

        def rank(renderer: BaseRenderer) -> tuple[float, int]:
            return nearest(renderer).quality, nearest(renderer).specificity

        best = max(renderers, key=rank)
        return (best, str(nearest(best))) if rank(best)[0] > 0 else None
