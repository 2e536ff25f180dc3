"""Limits of one visitor of a public server in a minute: requests, operations of selections, bytes.

All are off by default. A visitor is an address (of IPv6 its /64, which one household has), as the trusted proxies tell
it. Counts are kept where the cache is: in Redis for all processes and machines, else in each process by itself. Where
Redis is away nobody is limited.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import redis
from flask import Flask, Response, abort, has_request_context, request
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import FixedWindowRateLimiter
from werkzeug.wsgi import ClosingIterator

from atlas.errors import InputError

from ..cache.locks import NAMESPACE, redis_options
from ..settings import Settings

EXEMPT = {"/healthz", "/readyz", "/metrics"}
OPERATIONS_A_COUNT = 1_000_000
_log = logging.getLogger(__name__)


class VisitorLimits:
    """Counts of what each visitor has had in this minute. Safe to share between threads.

    Parameters
    ----------
    settings : Settings
        Of these: `visitor_requests visitor_operations visitor_bytes cache_type redis_url`.
    """

    def __init__(self, settings: Settings) -> None:
        shared = settings.cache_type == "RedisCache"
        storage = (
            RedisStorage(settings.redis_url, wrap_exceptions=False, key_prefix=NAMESPACE + "limits", **redis_options())
            if shared
            else MemoryStorage()
        )
        self._window = FixedWindowRateLimiter(storage)
        operations = -(-settings.visitor_operations // OPERATIONS_A_COUNT)
        self._items = {
            name: RateLimitItemPerMinute(most, namespace=name)
            for name, most in (
                ("requests", settings.visitor_requests),
                ("operations", operations),
                ("bytes", settings.visitor_bytes),
            )
            if most
        }

    def counts(self, what: str) -> bool:
        """Whether there is such a limit."""
        return what in self._items

    def spend(self, what: str, amount: int = 1, who: str = "") -> bool:
        """Count something that a visitor, the one of this request if none is named, is given; whether that is within
        the limit."""
        item = self._items.get(what)
        return item is None or self._asked(lambda item, who: self._window.hit(item, who, cost=amount), item, who)

    def has_left(self, what: str) -> bool:
        """Whether the visitor of this request may have more."""
        item = self._items.get(what)
        return item is None or self._asked(self._window.test, item)

    def spend_operations(self, operations: int) -> None:
        """Count operations that are about to be computed.

        Raises
        ------
        InputError
            If they are more than a visitor may have in a minute.
        """
        if has_request_context() and not self.spend("operations", -(-operations // OPERATIONS_A_COUNT)):
            raise InputError(
                "your selections of this minute have taken what this server computes for one visitor; "
                "wait a minute, or ask for fewer and simpler ones"
            )

    def _asked(self, ask: Callable[[RateLimitItem, str], bool], item: RateLimitItem, who: str = "") -> bool:
        try:
            return ask(item, who or visitor(request.remote_addr or ""))
        except redis.RedisError as error:
            _log.warning("visitors are not limited: %s", error)
            return True


def register_visitor_limits(server: Flask, limits: VisitorLimits) -> None:
    """Refuse requests beyond the limits with status 429."""

    @server.before_request
    def refuse() -> None:
        if request.path not in EXEMPT and not (limits.spend("requests") and limits.has_left("bytes")):
            abort(429)

    @server.after_request
    def count(response: Response) -> Response:
        length = response.headers.get("Content-Length", type=int)
        if length is None and response.is_sequence:  # to measure a stream is to hold all of it
            length = response.calculate_content_length()
        if length is not None:
            limits.spend("bytes", length)
        elif limits.counts("bytes"):
            parts: Any = response.response
            response.response = ClosingIterator(
                _counted(parts, limits, visitor(request.remote_addr or "")), getattr(parts, "close", None)
            )
        return response


def _counted(parts: Iterable[bytes], limits: VisitorLimits, who: str) -> Iterator[bytes]:
    """A streamed answer, counted as it goes, when its request is over; it is not cut off, but nothing follows it."""
    for part in parts:
        limits.spend("bytes", len(part), who)
        yield part


def visitor(address: str) -> str:
    """Visitor, for counting: an address, of IPv6 the network of its first 64 bits."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is None:
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)
