"""Typed reading of environment variables.

A malformed value stops the start with an error that names the variable: a setting that is
silently replaced by its default is worse than none.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1", "[::1]"})
"""This machine, by its usual names."""

BUCKET_OPTIONS = ("endpoint_url", "region_name", "addressing_style")

TRUE, FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}


def text(name: str, default: str = "") -> str:
    """The value, stripped; an empty one counts as absent."""
    return os.environ.get(name, "").strip() or default


def language() -> str:
    """Of the terminal, as POSIX tells it: “en” of ``en_US.UTF-8``; of ``C``, none that there is."""
    name = text("LC_ALL") or text("LC_MESSAGES") or text("LANG")
    return name.partition(".")[0].partition("_")[0].lower()


def flag(name: str, default: bool) -> bool:
    value = text(name).lower()
    if not value:
        return default
    if value not in TRUE | FALSE:
        raise ImproperlyConfigured(f"{name}={value!r} is neither 1 nor 0.")
    return value in TRUE


def integer(name: str, default: int, *, minimum: int) -> int:
    value = text(name)
    try:
        number = int(value) if value else default
    except ValueError:
        raise ImproperlyConfigured(f"{name}={value!r} is not a whole number.") from None
    if number < minimum:
        raise ImproperlyConfigured(f"{name}={number} is below {minimum}.")
    return number


def choice(name: str, default: str, valid: Collection[str]) -> str:
    value = text(name, default)
    if value not in valid:
        raise ImproperlyConfigured(f"{name}={value!r} is not one of {', '.join(sorted(valid))}.")
    return value


def names(name: str, default: str) -> list[str]:
    """A comma-separated list."""
    return [part.strip() for part in text(name, default).split(",") if part.strip()]


def database(name: str) -> dict[str, Any] | None:
    """A URL of a PostgreSQL, as an entry of Django's ``DATABASES``; None where there is none.

    It is never shown, as it may hold a password. Its query is for libpq: ``?sslmode=verify-full``.
    """
    value = text(name)
    if not value:
        return None
    try:
        parts = urlsplit(value)
        port = parts.port or ""
        options = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
    except ValueError:
        raise ImproperlyConfigured(f"{name} is not a URL.") from None
    database = unquote(parts.path.removeprefix("/"))
    if parts.scheme not in {"postgresql", "postgres"} or not database or parts.fragment:
        raise ImproperlyConfigured(f"{name} is not like postgresql://user:password@host:5432/name.")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": database,
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        # The folder of a socket can be no host of a URL.
        "HOST": options.pop("host", unquote(parts.hostname or "")),
        "PORT": port,
        "OPTIONS": options,
    }


def bucket(name: str) -> dict[str, Any] | None:
    """A URL of a bucket, as options of a storage of django-storages; None where there is none.

    ``s3://bucket/folder?endpoint_url=https://host:9000``, the folder and the rest as wanted.
    """
    value = text(name)
    if not value:
        return None
    try:
        parts = urlsplit(value)
        options = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
    except ValueError:
        raise ImproperlyConfigured(f"{name} is not a URL.") from None
    bucket, folder = parts.netloc, unquote(parts.path.strip("/"))
    if parts.scheme != "s3" or not bucket or {*bucket} & {*"@:"} or parts.fragment:
        raise ImproperlyConfigured(f"{name} is not like s3://bucket/folder.")
    if unknown := options.keys() - BUCKET_OPTIONS:
        known = ", ".join(BUCKET_OPTIONS)
        raise ImproperlyConfigured(f"{name} has {', '.join(sorted(unknown))}, not one of {known}.")
    return {"bucket_name": bucket, "location": folder, **options}


def mapping(name: str) -> dict[str, Any]:
    """A JSON object, never shown: it may hold a key."""
    value = text(name, "{}")
    try:
        parsed = json.loads(value)
    except ValueError as exc:
        raise ImproperlyConfigured(f"{name} is not JSON: {exc}.") from None
    if not isinstance(parsed, dict):
        raise ImproperlyConfigured(f"{name} is not a JSON object.")
    return parsed
