"""API keys: who may ask, what for, and whose data it is."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final, Self

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator, RegexValidator
from django.db import Error, models
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from access import tokens
from access.scopes import usual
from pipeline.tenants import MAX_CHARS

SEEN_EVERY: Final = timedelta(minutes=1)
"""How exact ``last_used_at`` is: a write for each request would be dear."""

fit_name = RegexValidator(
    r"\A[\w.-]+( [\w.-]+)*\Z", gettext_lazy("Letters, digits, “.”, “-”, “_” and single blanks.")
)


class KeyRefused(Exception):
    """The message is for whoever sent the key."""


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def usable(self) -> Self:
        unexpired = models.Q(expires_at=None) | models.Q(expires_at__gt=timezone.now())
        return self.filter(unexpired, revoked_at=None)

    def make(
        self,
        name: str,
        *,
        tenant: str = "",
        scopes: Iterable[str] | None = None,
        expires_at: datetime | None = None,
        per_minute: int | None = None,
    ) -> ApiKey:
        """A new key, which has its text as long as it is in hand.

        :raises ValidationError: ``name`` is taken or unfit.
        """
        key = ApiKey(
            name=name,
            tenant=tenant,
            scopes=usual() if scopes is None else list(scopes),
            expires_at=expires_at,
            per_minute=per_minute,
        )
        key.renew()
        key.full_clean()
        key.save()
        return key

    def verified(self, text: str) -> ApiKey:
        """The key that ``text`` is. It was used just now.

        :raises KeyRefused: there is none, or it may not be used any more.
        """
        prefix = tokens.prefix(text)
        key = self.filter(prefix=prefix).first() if prefix else None
        if key is None or not tokens.same(key.digest, tokens.digest(text)):
            raise KeyRefused(_("There is no such key."))
        if key.revoked_at is not None:
            raise KeyRefused(_("The key was revoked."))
        if key.expired:
            raise KeyRefused(_("The key has expired."))
        key.seen()
        return key


class ApiKey(models.Model):
    """What a program shows to be let in. Of the key itself, a digest is kept."""

    name = models.CharField(
        gettext_lazy("name"),
        max_length=MAX_CHARS,
        unique=True,
        validators=[fit_name],
        help_text=gettext_lazy("Who or what has it."),
    )
    prefix = models.CharField(
        gettext_lazy("begins with"), max_length=tokens.PREFIX_CHARS, unique=True, editable=False
    )
    digest = models.CharField(max_length=64, editable=False)
    tenant = models.CharField(
        gettext_lazy("tenant"),
        max_length=MAX_CHARS,
        blank=True,
        validators=[fit_name],
        help_text=gettext_lazy("Whose data it is; keys of one tenant share it. Empty: the name."),
    )
    scopes = models.JSONField(gettext_lazy("scopes"), default=usual)
    per_minute = models.PositiveIntegerField(
        gettext_lazy("requests a minute"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=gettext_lazy("Empty: as the settings say."),
    )
    created_at = models.DateTimeField(gettext_lazy("created"), default=timezone.now, editable=False)
    expires_at = models.DateTimeField(
        gettext_lazy("expires"), null=True, blank=True, help_text=gettext_lazy("Empty: never.")
    )
    revoked_at = models.DateTimeField(gettext_lazy("revoked"), null=True, editable=False)
    last_used_at = models.DateTimeField(gettext_lazy("last used"), null=True, editable=False)

    text = ""  # the key itself, where it was made just now

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        verbose_name = gettext_lazy("API key")
        verbose_name_plural = gettext_lazy("API keys")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def save(self, **options: Any) -> None:
        self.tenant = self.tenant or self.name
        super().save(**options)

    def clean(self) -> None:
        """A key gets what others were told only where somebody says so."""
        others = ApiKey.objects.exclude(pk=self.pk)
        if not self.tenant and others.filter(tenant=self.name).exists():
            text = _(
                "“%(name)s” is the tenant of another key: name a tenant, or take another name."
            )
            raise ValidationError({"tenant": text % {"name": self.name}}, code="taken")

    @property
    def expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= timezone.now()

    def renew(self) -> None:
        """Give it another text, and keep no more of it than tells it from others. To be saved."""
        token = tokens.make()
        self.text, self.prefix, self.digest = token.text, token.prefix, tokens.digest(token.text)

    def revoke(self) -> None:
        """It opens nothing from now on."""
        self.revoked_at = self.revoked_at or timezone.now()
        self.save(update_fields=["revoked_at"])

    def seen(self) -> None:
        """It was used just now; that this cannot be written keeps nobody out."""
        now = timezone.now()
        if self.last_used_at is not None and now - self.last_used_at < SEEN_EVERY:
            return
        self.last_used_at = now
        with suppress(Error):
            ApiKey.objects.filter(pk=self.pk).update(last_used_at=now)
