"""Whose request it is, by the address it comes from."""

from __future__ import annotations

import ipaddress
from typing import Final

from django.conf import settings
from django.http import HttpRequest

NETWORK_BITS: Final = 64
"""Of an IPv6 address; the rest of it is whatever its owner likes."""


def network(request: HttpRequest) -> str:
    """Where ``request`` comes from: an IPv4 address, or the network of an IPv6 one.

    ``X-Forwarded-For`` can be made up, but for what ``VOICEBOT_PROXIES`` proxies have added to it.
    """
    address = request.META.get("REMOTE_ADDR", "")
    said = [part.strip() for part in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")]
    if settings.VOICEBOT_PROXIES and any(said):
        address = said[-min(settings.VOICEBOT_PROXIES, len(said))]
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:  # nothing, as of a Unix socket, or a proxy's way to name it
        return str(address)
    if ip.version == 4:
        return str(ip)
    return str(ipaddress.ip_network((ip, NETWORK_BITS), strict=False))
