from django.contrib import admin
from django.urls import include, path

from api.metrics import MetricsView

urlpatterns = [
    path("", include("web.urls")),
    path("api/", include("api.urls")),
    path("v1/", include("api.openai.urls")),
    path("admin/", admin.site.urls),
    path("metrics", MetricsView.as_view(), name="metrics"),  # where scrapers look
]

# Outside the API's own views, too, whoever asked /api/ or /v1/ is answered in JSON.
handler400 = "api.exceptions.bad_request"
handler403 = "api.exceptions.permission_denied"
handler404 = "api.exceptions.not_found"
handler500 = "api.exceptions.server_error"
