from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class SiteConfig(AdminConfig):
    """Django's admin, with the site of ours."""

    default_site = "console.site.Console"


class ConsoleConfig(AppConfig):
    name = "console"
    verbose_name = _("Console")

    def ready(self) -> None:
        from console.groups import share

        # The last app: by then, all the others have their permissions.
        post_migrate.connect(share, sender=self, dispatch_uid="console.groups")
