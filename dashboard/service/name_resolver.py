"""Names of galaxies that only a service on the network knows: Sesame of the CDS, asked through astropy.

One name at a time, within a time-out, each once; while the service does not answer nobody waits for it.
"""

from __future__ import annotations

import re
import tempfile
import threading
import time
from collections import OrderedDict
from contextlib import ExitStack

from astropy.config.paths import set_temp_cache
from astropy.coordinates.name_resolve import NameResolveError, get_icrs_coordinates, sesame_url
from astropy.utils.data import conf

from atlas.catalog.object_names import NEAR_ARCSEC
from atlas.catalog.places import Place
from atlas.errors import InputError, shorten

TIMEOUT_S = 4.0
PAUSE_S = 30.0
NAMES_KEPT = 1_000
LONGEST_NAME = 60

_NAME = re.compile(r"(?=.*[^\W\d_])[\w .+\-*\[\]():/']+")
_UNKNOWN = "Unable to find coordinates"
_NOT_ASKED = Place(ra_deg=0.0, dec_deg=0.0, precision_arcsec=0.0, read_as="")


class NameResolver:
    """Looks names up, and remembers what it heard.

    Parameters
    ----------
    address : str
        Where Sesame answers; "astropy" for astropy's own list, "off" to ask nobody.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._asking = threading.Lock()
        self._known: OrderedDict[str, Place | None] = OrderedDict()
        self._silent_until = 0.0

    def find(self, text: str) -> Place | None:
        """Position of an object; None where the text is no name or nobody is asked.

        Raises
        ------
        InputError
            If the service does not know the name, or does not answer.
        """
        name = " ".join(text.split())
        if self._address == "off" or len(name) > LONGEST_NAME or not _NAME.fullmatch(name):
            return None
        place = self._known.get(name, _NOT_ASKED)
        if place is _NOT_ASKED:
            place = self._asked(name)
        if place is None:
            raise InputError(f"Sesame knows no object {shorten(name)!r}")
        return place

    def _asked(self, name: str) -> Place | None:
        """Answer of the service to a name, remembered."""
        if not self._asking.acquire(timeout=TIMEOUT_S):
            raise InputError("names are being looked up for others; try again in a moment")
        try:
            place = self._known.get(name, _NOT_ASKED)  # by now another may have asked
            if place is _NOT_ASKED:
                place = self._known[name] = self._ask(name)
                while len(self._known) > NAMES_KEPT:
                    self._known.popitem(last=False)
            return place
        finally:
            self._asking.release()

    def _ask(self, name: str) -> Place | None:
        silent = InputError("the name could not be looked up: Sesame does not answer")
        if time.monotonic() < self._silent_until:
            raise silent
        with ExitStack() as held:
            # astropy leaves a file for each name that it asked for.
            held.enter_context(set_temp_cache(held.enter_context(tempfile.TemporaryDirectory())))
            held.enter_context(conf.set_temp("remote_timeout", TIMEOUT_S))
            if self._address != "astropy":
                held.enter_context(sesame_url.set([self._address]))
            try:
                there = get_icrs_coordinates(name, cache=True)
            except NameResolveError as error:
                if str(error).startswith(_UNKNOWN):
                    return None
                self._silent_until = time.monotonic() + PAUSE_S
                raise silent from error
            except (OSError, ValueError) as error:
                self._silent_until = time.monotonic() + PAUSE_S
                raise silent from error
        return Place(
            ra_deg=float(there.ra.deg), dec_deg=float(there.dec.deg), precision_arcsec=NEAR_ARCSEC,
            read_as=f"{name}, as Sesame knows it",
        )  # fmt: skip
