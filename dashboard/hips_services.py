"""Surveys of the sky in tiles (HiPS of the IVOA) that Aladin Lite may show: browsers ask those that the settings list.

    dss, panstarrs, legacysurvey, 2mass                  surveys that are known here, at the CDS
    Mine (whom to credit)=https://…/mine                 the address of a HiPS, below which `properties` lies

The page's policy names the hosts of these, and no other.
"""

from __future__ import annotations

import re
from functools import cache
from urllib.parse import urlsplit

import msgspec

from atlas.errors import InputError

from .listed_services import credited, named_apart, template_fault

HIPS_FORM = "dss, panstarrs, legacysurvey, 2mass, or Name (credit)=https://… of a HiPS; a comma is %2C"
# What may stand in a Content-Security-Policy without ending its directive.
_HOST = re.compile(r"[A-Za-z0-9.-]+")


class HipsSurvey(msgspec.Struct, frozen=True):
    """Survey in tiles.

    Attributes
    ----------
    name, credit : str
        As the page calls it, and whom it names for it.
    address : str
        Where its tiles lie.
    mirrors : tuple of str
        Further origins that its description sends browsers to.
    """

    name: str
    credit: str
    address: str
    mirrors: tuple[str, ...] = ()

    @property
    def origins(self) -> tuple[str, ...]:
        """Scheme, host and port of all that is asked for it."""
        parts = urlsplit(self.address)
        return (f"{parts.scheme}://{parts.netloc}", *self.mirrors)


def _of_cds(name: str, path: str, credit: str) -> HipsSurvey:
    mirrors = ("https://alaskybis.cds.unistra.fr", "https://alaskybis.unistra.fr", "https://alasky.unistra.fr")
    return HipsSurvey(name, f"{credit}, HiPS by CDS", f"https://alasky.cds.unistra.fr/{path}", mirrors)


KNOWN_HIPS = {
    "dss": _of_cds("DSS2", "DSS/DSSColor", "Digitized Sky Survey, STScI/NASA"),
    "panstarrs": _of_cds("PanSTARRS", "Pan-STARRS/DR1/color-i-r-g", "Pan-STARRS1, STScI"),
    "legacysurvey": _of_cds(
        "Legacy Surveys",
        "DESI-legacy-surveys/DR10/CDS_P_DESI-Legacy-Surveys_DR10_color",
        "DESI Legacy Imaging Surveys, DR10",
    ),
    "2mass": _of_cds("2MASS", "2MASS/Color", "2MASS, UMass/IPAC/NASA/NSF"),
}


@cache
def read_hips(texts: tuple[str, ...]) -> tuple[HipsSurvey, ...]:
    """The surveys that a setting names.

    Raises
    ------
    InputError
        If one is none of the known, and no address of the documented form, or two have one name.
    """
    return named_apart("surveys in tiles", [_survey(text) for text in texts])


def _survey(text: str) -> HipsSurvey:
    if text in KNOWN_HIPS:
        return KNOWN_HIPS[text]
    name, credit, address = credited("the survey in tiles", text, HIPS_FORM)
    wrong = template_fault(address, frozenset())
    if not wrong and not _HOST.fullmatch(urlsplit(address).hostname or ""):
        wrong = "its host is no name"
    if not wrong and (urlsplit(address).query or urlsplit(address).fragment):
        wrong = "its address has a query"
    if wrong:
        raise InputError(f"the survey in tiles {name}: {wrong}; allowed is {HIPS_FORM}")
    return HipsSurvey(name, credit, address.rstrip("/"))
