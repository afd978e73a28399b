"""Whether what is sent to an address leaves the machine, or the house."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from django.conf import settings


def host_of(url: str) -> str:
    """The host that ``url`` names, in lower case.

    :raises ValueError: not a plain ``http`` or ``https`` URL. It does not name the URL, in which a
        key may have been written.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("a URL must begin with http:// or https:// and name a host")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("a URL must hold no user, password, query or fragment")
    return parts.hostname


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_outside(host: str) -> bool:
    """Neither this machine nor one of ``VOICEBOT_OWN_HOSTS``.

    By its name alone: what a name resolves to can change at any time.
    """
    if is_loopback(host):
        return False
    return host not in {own.lower() for own in settings.VOICEBOT_OWN_HOSTS}
