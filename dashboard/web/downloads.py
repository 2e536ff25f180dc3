"""Downloads: a part at a time, and so few at once that threads are left for those who look.

A download holds a thread as long as its visitor takes to read it. Beyond `downloads_at_once` in a process, the next is
to be asked for again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from flask import Flask, Response, stream_with_context
from werkzeug.wsgi import ClosingIterator

from atlas.errors import InputError

from ..error_answers import error_response
from ..settings import Settings


class BusyError(InputError):
    """No place is left: as many downloads are under way as a process has threads for."""


class Downloads:
    """Places for downloads. Safe to share between threads.

    Parameters
    ----------
    server : Flask
    settings : Settings
        Of these: `downloads_at_once`.
    """

    def __init__(self, server: Flask, settings: Settings) -> None:
        server.register_error_handler(BusyError, lambda error: error_response(503, str(error)))
        self._most = settings.downloads_at_once
        self._places = threading.Semaphore(self._most)

    def answer(self, parts: Iterator[bytes], mime: str) -> Response:
        """Answer with parts, the first of which is made before it begins: what is wrong can still be said.

        Raises
        ------
        BusyError
            If there is no place.
        InputError
            What the first part raises.
        """
        if not self._places.acquire(blocking=False):
            raise BusyError(f"{self._most} downloads are under way on this server already; try again in a moment")
        free = _once(self._places)
        try:
            first = next(parts)
        except BaseException:
            free()
            raise

        def all_parts() -> Iterator[bytes]:
            try:
                yield first
                yield from parts
            finally:
                free()

        return Response(ClosingIterator(stream_with_context(all_parts()), free), mimetype=mime)


def _once(places: threading.Semaphore) -> Callable[[], None]:
    """Function that frees one place, however often it is called."""
    held = threading.Semaphore(1)

    def free() -> None:
        if held.acquire(blocking=False):
            places.release()

    return free
