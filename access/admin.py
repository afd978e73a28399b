"""API keys in the admin: who is let in, what for and until when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from access.models import ApiKey
from access.scopes import SCOPES, usual

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[ApiKey]  # generic in the stubs alone
    _ModelForm = forms.ModelForm[ApiKey]
else:
    _ModelAdmin = admin.ModelAdmin
    _ModelForm = forms.ModelForm


class ApiKeyForm(_ModelForm):
    scopes = forms.MultipleChoiceField(
        label=gettext_lazy("Scopes"),
        choices=list(SCOPES.items()),
        initial=usual,
        widget=forms.CheckboxSelectMultiple({"class": "radiolist"}),  # a line each, in Django's CSS
    )


@admin.register(ApiKey)
class ApiKeyAdmin(_ModelAdmin):
    form = ApiKeyForm
    fields = ("name", "tenant", "scopes", "per_minute", "expires_at")
    list_display = ("name", "usable", "begins", "tenant", "opens", "expires_at", "last_used_at")
    list_filter = ("tenant",)
    search_fields = ("name", "prefix")
    actions = ("revoke",)

    @admin.display(description=gettext_lazy("begins with"), ordering="prefix")
    def begins(self, key: ApiKey) -> str:
        return f"vb_{key.prefix}_…"

    @admin.display(description=gettext_lazy("scopes"))
    def opens(self, key: ApiKey) -> str:
        return ", ".join(key.scopes)

    @admin.display(description=gettext_lazy("opens"), boolean=True)
    def usable(self, key: ApiKey) -> bool:
        return key.revoked_at is None and not key.expired

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> list[Any]:
        told = ("begins", "created_at", "last_used_at", "revoked_at") if obj else ()
        return [*self.fields, *told]

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> list[str]:
        # Another tenant would be let in to what was said to this one.
        return ["tenant", "begins", "created_at", "last_used_at", "revoked_at"] if obj else []

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        if not change:
            obj.renew()
        super().save_model(request, obj, form, change)

    def response_add(
        self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None
    ) -> HttpResponse:
        """The key, on a page that cannot be had again."""
        context = {
            **self.admin_site.each_context(request),
            "title": _("The key of %(name)s") % {"name": obj.name},
            "opts": self.opts,
            "key": obj.text,
        }
        return TemplateResponse(request, "admin/access/apikey/made.html", context)

    @admin.action(description=gettext_lazy("Revoke, for good"), permissions=["change"])
    def revoke(self, request: HttpRequest, keys: QuerySet[ApiKey]) -> None:
        for key in keys:
            key.revoke()
            self.log_change(request, key, _("Revoked"))
        count = len(keys)
        text = ngettext("%(count)d key revoked.", "%(count)d keys revoked.", count)
        self.message_user(request, text % {"count": count})
