from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class HistoryConfig(AppConfig):
    name = "history"
    verbose_name = _("Conversations")

    def ready(self) -> None:
        from history import retention  # noqa: F401 - what goes with a turn is registered there
