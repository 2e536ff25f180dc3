"""Services that send cut-outs of the sky: only those that the settings list are ever asked, by a template of address.

    legacysurvey, dss                                   templates that are known here
    PanSTARRS=https://….jpg?ra={ra}&dec={dec}&size={pixels}&pixscale={scale}

A template's host stands fixed; into the rest go the position in degrees, the edge in pixels, arcseconds a pixel or
degrees from side to side. What comes back is taken to be a tangent plane with north up and east to the left.
"""

from __future__ import annotations

import msgspec

from atlas.errors import InputError, shorten

from .listed_services import LONGEST_NAME, named_apart, template_fault

FORM = "legacysurvey, dss, or Name=https://… with {ra}, {dec}, {pixels} and {scale} or {fov}; a comma is %2C"
_NEEDED = ("{ra}", "{dec}", "{pixels}")
_SIZE = ("{scale}", "{fov}")
_FIELDS = frozenset(("ra", "dec", "pixels", "scale", "fov"))


class CutoutService(msgspec.Struct, frozen=True):
    """Service that sends a cut-out around a position.

    Attributes
    ----------
    name : str
        As the page calls it.
    template : str
        Its address, with fields in braces.
    """

    name: str
    template: str

    def address(self, ra_deg: float, dec_deg: float, pixels: int, width_arcsec: float) -> str:
        """Address of the cut-out of a position."""
        return self.template.format(
            ra=f"{ra_deg:.7f}",
            dec=f"{dec_deg:.7f}",
            pixels=pixels,
            scale=f"{width_arcsec / pixels:.6g}",
            fov=f"{width_arcsec / 3600:.8g}",
        )


KNOWN = {
    "legacysurvey": CutoutService(
        "Legacy Survey",
        "https://www.legacysurvey.org/viewer/cutout.jpg?ra={ra}&dec={dec}&size={pixels}&pixscale={scale}&layer=ls-dr9",
    ),
    "dss": CutoutService(
        "DSS2",
        "https://alasky.cds.unistra.fr/hips-image-services/hips2fits?hips=CDS%2FP%2FDSS2%2Fcolor&ra={ra}&dec={dec}"
        "&width={pixels}&height={pixels}&fov={fov}&projection=TAN&coordsys=icrs&format=jpg",
    ),
}


def read_services(texts: tuple[str, ...]) -> tuple[CutoutService, ...]:
    """The services that a setting names.

    Raises
    ------
    InputError
        If one is none of the known, and no template of the documented form, or two have one name.
    """
    return named_apart("cut-out services", [_service(text) for text in texts])


def _service(text: str) -> CutoutService:
    if text in KNOWN:
        return KNOWN[text]
    name, _, template = (part.strip() for part in text.partition("="))
    if not (name and template and len(name) <= LONGEST_NAME and name.isprintable()):
        raise InputError(f"the cut-out service {shorten(text)!r} is not of the form {FORM}")
    wrong = template_fault(template, _FIELDS)
    if not wrong and not (all(one in template for one in _NEEDED) and any(one in template for one in _SIZE)):
        wrong = "its address lacks a field"
    if wrong:
        raise InputError(f"the cut-out service {name}: {wrong}; allowed is {FORM}")
    return CutoutService(name, template)
