"""Links from a galaxy to other places: each names its position, as astropy reads it, on both sides of the equator."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord

from dashboard.views.details import links


@pytest.mark.parametrize(
    "place", [(53.1603013, -27.784021), (0.0000012, -0.4999996), (359.9999991, 0.5), (266.4, 89.9)]
)
def test_other_places_are_asked_for_the_very_position(place: tuple[float, float]) -> None:
    found = {}
    for link in links(*place):
        parts = urlsplit(link.href)
        query = {name: value for name, (value,) in parse_qs(parts.query).items()}
        told = next((query[name] for name in ("Coord", "-c", "target") if name in query), None)
        text = told if told is not None else f"{query['ra'].rstrip('d')} {query['dec'].rstrip('d')}"
        away = SkyCoord(text, unit="deg").separation(SkyCoord(*place, unit="deg"))
        assert parts.scheme == "https" and away < 0.01 * u.arcsec, link.href
        assert link.target == "_blank" and "noopener" in link.rel
        found[link.children] = parts.hostname
    assert found == {
        "Legacy Survey": "www.legacysurvey.org",
        "SIMBAD": "simbad.cds.unistra.fr",
        "NED": "ned.ipac.caltech.edu",
        "VizieR": "vizier.cds.unistra.fr",
        "ESASky": "sky.esa.int",
        "Aladin": "aladin.cds.unistra.fr",
    }
