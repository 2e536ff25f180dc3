"""Fetching from elsewhere: the very address that was checked, so many bytes of it, within so much time."""

from __future__ import annotations

import time
import urllib.request
from http.client import HTTPException
from typing import Any, NamedTuple

from atlas.errors import InputError

_PIECE = 65_536


class Fetched(NamedTuple):
    """Content of an address, and its media type."""

    data: bytes
    mime: str


def fetch_bounded(url: str, most_bytes: int, patience_s: float, *, proxies: bool = True, head: bool = False) -> Fetched:
    """Content of an address; no redirect is followed.

    Parameters
    ----------
    proxies : bool
        Whether those of the environment are used.
    head : bool
        Whether the beginning is enough where there is more.

    Raises
    ------
    InputError
        If it is larger.
    OSError
        If nobody answers in time, or with anything but the content.
    """
    handlers: list[Any] = [_NoRedirect(), *([] if proxies else [urllib.request.ProxyHandler({})])]
    until = time.monotonic() + patience_s
    data = bytearray()
    try:
        with urllib.request.build_opener(*handlers).open(url, timeout=patience_s) as source:
            while piece := source.read1(min(_PIECE, most_bytes + 1 - len(data))):
                data += piece
                if len(data) > most_bytes:
                    if head:
                        break
                    raise InputError(f"what is fetched has at most {most_bytes:,} bytes; this has more")
                if time.monotonic() > until:
                    raise TimeoutError
            return Fetched(bytes(data), source.headers.get_content_type())
    except HTTPException as error:
        raise OSError(f"no answer of HTTP: {type(error).__name__}") from error


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None
