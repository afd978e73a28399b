"""The description itself, and the page that shows it."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.utils import translation
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import (
    OpenApiJsonRenderer,
    OpenApiJsonRenderer2,
    OpenApiYamlRenderer,
    OpenApiYamlRenderer2,
)
from rest_framework.renderers import TemplateHTMLRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from api.description import (  # noqa: F401 - they describe it
    chat,
    conversations,
    jobs,
    openai,
    service,
    turns,
)
from api.views import ApiView

POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",  # its own stylesheet draws with them
        "media-src 'self' blob:",  # speech that was asked for on the page
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    ]
)
"""https://www.w3.org/TR/CSP3/: only what comes from this server."""


@cache
def schema() -> dict[str, Any]:
    """Of the whole API, in English."""
    with translation.override("en"):
        described: dict[str, Any] = SchemaGenerator().get_schema(public=True)
    return described


class SchemaView(ApiView):
    """OpenAPI, as JSON or YAML."""

    open = True
    authentication_classes = ()

    renderer_classes = [
        *(OpenApiJsonRenderer2, OpenApiJsonRenderer),
        *(OpenApiYamlRenderer2, OpenApiYamlRenderer),
    ]

    def get(self, request: Request) -> Response:
        return Response(schema())


class DocsView(ApiView):
    """A page that shows it, and tries it out."""

    open = True
    authentication_classes = ()

    renderer_classes = [TemplateHTMLRenderer]

    def get(self, request: Request) -> Response:
        return Response(template_name="api/docs.html", headers={"Content-Security-Policy": POLICY})
