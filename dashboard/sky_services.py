"""Services that send a picture of any part of the sky in any projection, as CDS's hips2fits does of HiPS surveys: only
those that the settings list are ever asked, by a template of address.

    dss, panstarrs, legacysurvey, 2mass                             templates that are known here
    Mine (whom to credit)=https://…/hips2fits?hips=…&wcs={wcs}&format=jpg

A template's host stands fixed. `{wcs}` becomes the header of the wanted picture (FITS WCS, with NAXIS1 and NAXIS2) as
JSON, percent-encoded: that of the very plane that the page draws, so that what comes back lies under its points.
"""

from __future__ import annotations

import json
from functools import cache
from urllib.parse import quote

import msgspec

from atlas.errors import InputError

from .listed_services import credited, named_apart, template_fault

SKY_FORM = "dss, panstarrs, legacysurvey, 2mass, or Name (credit)=https://… with {wcs}; a comma is %2C"
_FIELDS = frozenset(("wcs",))


class SkyService(msgspec.Struct, frozen=True):
    """Service that sends pictures of the sky.

    Attributes
    ----------
    name, credit : str
        As the page calls it, and whom it names for it.
    template : str
        Its address, with the field `{wcs}`.
    """

    name: str
    credit: str
    template: str

    def address(self, header: dict[str, str | float]) -> str:
        """Address of the picture of a header."""
        return self.template.format(wcs=quote(json.dumps(header, separators=(",", ":")), safe=""))


def _of_cds(name: str, hips: str, credit: str) -> SkyService:
    base = "https://alasky.cds.unistra.fr/hips-image-services/hips2fits"
    return SkyService(name, f"{credit}, HiPS by CDS", f"{base}?hips={quote(hips, safe='')}&wcs={{wcs}}&format=jpg")


KNOWN_SKIES = {
    "dss": _of_cds("DSS2", "CDS/P/DSS2/color", "Digitized Sky Survey, STScI/NASA"),
    "panstarrs": _of_cds("PanSTARRS", "CDS/P/PanSTARRS/DR1/color-i-r-g", "Pan-STARRS1, STScI"),
    "legacysurvey": _of_cds(
        "Legacy Surveys", "CDS/P/DESI-Legacy-Surveys/DR10/color", "DESI Legacy Imaging Surveys, DR10"
    ),
    "2mass": _of_cds("2MASS", "CDS/P/2MASS/color", "2MASS, UMass/IPAC/NASA/NSF"),
}


@cache
def read_sky_services(texts: tuple[str, ...]) -> tuple[SkyService, ...]:
    """The services that a setting names.

    Raises
    ------
    InputError
        If one is none of the known, and no template of the documented form, or two have one name.
    """
    return named_apart("pictures of the sky", [_service(text) for text in texts])


def _service(text: str) -> SkyService:
    if text in KNOWN_SKIES:
        return KNOWN_SKIES[text]
    name, credit, template = credited("the picture of the sky", text, SKY_FORM)
    wrong = template_fault(template, _FIELDS) or ("" if "{wcs}" in template else "its address lacks a field")
    if wrong:
        raise InputError(f"the picture of the sky {name}: {wrong}; allowed is {SKY_FORM}")
    return SkyService(name, credit, template)
