"""Names that are known without a network, against positions that anybody can look up."""

from __future__ import annotations

import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord

from atlas.catalog.object_names import named_place


@pytest.mark.parametrize(
    ("names", "position"),
    [
        (("NGC 1300", "ngc1300", "NGC  1300", "ESO 547-031", "PGC 12412"), "03h19m41.1s -19d24m41s"),
        (("M31", "m 31", "Messier 31", "NGC 224", "UGC 454"), "00h42m44.3s +41d16m09s"),
        (("IC 342", "ic342", "Caldwell 5"), "03h46m48.5s +68d05m46s"),
        (("M 51", "NGC 5194"), "13h29m52.7s +47d11m43s"),
    ],
)
def test_objects_are_where_they_are(names: tuple[str, ...], position: str) -> None:
    for name in names:
        place = named_place(name)
        assert place is not None, name
        away = SkyCoord(place.ra_deg, place.dec_deg, unit="deg").separation(SkyCoord(position))
        assert away < 3 * u.arcsec and "OpenNGC, galaxy in" in place.read_as


@pytest.mark.parametrize("text", ["", "NGC", "NGC 99999", "672", "M 500", "Abell 2744", "9010-1-2", "m", "NGC 1300; x"])
def test_other_texts_are_no_names(text: str) -> None:
    assert named_place(text) is None
