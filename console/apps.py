from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class ConsoleConfig(AppConfig):
    name = "console"
    verbose_name = _("Console")

    def ready(self) -> None:
        from console.groups import share

        # The last app: by then, all the others have their permissions.
        post_migrate.connect(share, sender=self, dispatch_uid="console.groups")
