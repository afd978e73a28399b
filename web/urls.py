"""The page, and the choice of its language."""

from django.urls import path
from django.views.i18n import set_language

from web import views

app_name = "web"

urlpatterns = [
    path("", views.page, name="page"),
    path("manifest.webmanifest", views.manifest, name="manifest"),
    path("language/", set_language, name="language"),
    path("favicon.ico", views.icon, name="icon"),
]
