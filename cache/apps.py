from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class CacheConfig(AppConfig):
    name = "cache"
    verbose_name = _("Speech cache")

    def ready(self) -> None:
        import cache.checks  # noqa: F401 - they register themselves
