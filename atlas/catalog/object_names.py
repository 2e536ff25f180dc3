"""Names of nebulae and galaxies, looked up without a network: NGC, IC, Messier and what OpenNGC lists beside them."""

from __future__ import annotations

import re
from functools import lru_cache

from astropy.coordinates import SkyCoord
from pyongc import ongc

from atlas.catalog.places import Place

NEAR_ARCSEC = 30.0
"""Centres of large galaxies differ by so much between catalogues."""

_NAME = re.compile(r"(ngc|ic|m|messier|ugc|pgc|eso|mcg|caldwell|c)\s*([0-9+][0-9 +-]*[a-z]?)", re.IGNORECASE)
_SHORT = {"messier": "M", "caldwell": "C"}


@lru_cache(maxsize=1_000)
def named_place(text: str) -> Place | None:
    """Position of an object of OpenNGC; None where the text is no such name."""
    found = _NAME.fullmatch(text.strip())
    if found is None:
        return None
    catalog, number = found[1].lower(), found[2].strip()
    known = ongc.get(f"{_SHORT.get(catalog, catalog.upper())} {number}")
    if known is None or not known.ra or not known.dec:
        return None
    there = SkyCoord(known.ra, known.dec, unit=("hourangle", "deg"))
    kind = f"{known.type.lower()} in {known.constellation}"
    name = re.sub(r"([A-Za-z])0*(\d)", r"\1 \2", known.name, count=1)
    return Place(
        ra_deg=float(there.ra.deg), dec_deg=float(there.dec.deg), precision_arcsec=NEAR_ARCSEC,
        read_as=f"{name} of OpenNGC, {kind}",
    )  # fmt: skip
