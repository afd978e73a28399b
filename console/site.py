"""The admin's site: Django's, with a dashboard, and for lists of any length."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import AdminSite, ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, path

from console import dashboard
from console.paging import LongLists


class Console(AdminSite):
    site_header = site_title = "voicebot"

    def index(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        told = dashboard.glance() if request.user.has_perm(dashboard.PERMISSION) else {}
        return super().index(request, {**told, **(extra_context or {})})

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        own = admin_class or ModelAdmin
        quick = type(own.__name__, (LongLists, own), {"__module__": own.__module__})
        super().register(model_or_iterable, quick, **options)

    def get_urls(self) -> list[URLPattern | URLResolver]:
        view = self.admin_view(self.dashboard)
        return [path("dashboard/", view, name="dashboard"), *super().get_urls()]

    def dashboard(self, request: HttpRequest) -> HttpResponse:
        if not request.user.has_perm(dashboard.PERMISSION):
            raise PermissionDenied
        context = {**self.each_context(request), **dashboard.context(request)}
        return TemplateResponse(request, "admin/dashboard.html", context)
