"""``/v1/models``."""

from __future__ import annotations

from django.utils.translation import gettext as _
from rest_framework.request import Request
from rest_framework.response import Response

from api.openai.listing import ModelNotFound, models_json
from api.views import ApiView


class ModelsView(ApiView):
    """What answers, one for each role."""

    def get(self, request: Request) -> Response:
        return Response({"object": "list", "data": models_json()})


class ModelView(ApiView):
    """One of them."""

    def get(self, request: Request, name: str) -> Response:
        for model in models_json():
            if model["id"] == name:
                return Response(model)
        text = _("There is no model “%(name)s”.")
        raise ModelNotFound(text % {"name": name[:64]})
