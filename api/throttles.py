"""How often one may ask: a key, or an address that shows none."""

from __future__ import annotations

import threading
import time
from abc import abstractmethod
from typing import TYPE_CHECKING, Final, cast

from django.conf import settings
from django.core.cache import caches
from django.utils.connection import ConnectionProxy
from rest_framework.exceptions import Throttled
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

from access import addresses
from access.models import ApiKey
from api.authentication import is_here
from files import locks

if TYPE_CHECKING:
    from django.core.cache import BaseCache
    from rest_framework.views import APIView

MINUTE_S: Final = 60
_counting = threading.Lock()
"""What is counted is read and written: two requests at once would count as one."""
WAIT_S: Final = 2.0
"""For requests of the same key at other machines to be counted."""


class PerMinute(SimpleRateThrottle):
    """So many requests in any minute, counted in this process, or in PostgreSQL for all of them."""

    cache = cast("BaseCache", ConnectionProxy(caches, "requests"))  # of the thread that asks
    timer = time.time  # which machines share
    duration = MINUTE_S
    rate = "as the settings say"  # each request has a limit of its own
    num_requests: int

    def __init__(self) -> None:
        pass

    def allow_request(self, request: Request, view: APIView) -> bool:
        self.num_requests = self.limit(request)
        if not self.num_requests:
            return True
        key = self.get_cache_key(request, view)
        try:
            with locks.among_machines(f"requests/{key}", WAIT_S), _counting:
                return super().allow_request(request, view)
        except TimeoutError:
            raise Throttled(wait=1) from None

    @abstractmethod
    def limit(self, request: Request) -> int:
        """Requests a minute; 0 is any number."""


class ByKey(PerMinute):
    def limit(self, request: Request) -> int:
        if not isinstance(request.auth, ApiKey):
            return 0
        return request.auth.per_minute or int(settings.VOICEBOT_KEY_REQUESTS_PER_MINUTE)

    def get_cache_key(self, request: Request, view: APIView) -> str:
        return f"key-{request.auth.pk}"


class ByAddress(PerMinute):
    """Those without a key, or with a wrong one; not who is at this machine."""

    def limit(self, request: Request) -> int:
        if isinstance(request.auth, ApiKey) or is_here(request):
            return 0
        return int(settings.VOICEBOT_ADDRESS_REQUESTS_PER_MINUTE)

    def get_cache_key(self, request: Request, view: APIView) -> str:
        # As hexadecimal digits: a proxy may have passed on anything.
        return f"address-{addresses.network(request._request).encode().hex()[:200]}"
