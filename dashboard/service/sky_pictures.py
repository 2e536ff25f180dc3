"""Pictures of the sky from elsewhere, each in the very projection and box that the page draws.

The header that a service is sent is our plane in the words of FITS (Calabretta & Greisen 2002, A&A 395, 1077): its
reference is the plane's origin, whatever part of it is in view, so that nothing is resampled here and a galaxy lies on
its own pixel. Our x grows to the west, as pixels do where east is left.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image

from atlas.errors import InputError
from atlas.sky.projection import Projection

from ..sky_services import SkyService
from ..state.page_state import Viewport
from .remote_images import as_webp, picture_sent

NARROW_PIXELS, WIDE_PIXELS = 64, 1280
_CODES = {"tan": "TAN", "ait": "AIT", "mol": "MOL"}
_AXES = {"icrs": ("RA---{}", "DEC--{}"), "galactic": ("GLON-{}", "GLAT-{}")}


class SkyPictureAsked(NamedTuple):
    """Picture of the sky that somebody wants: of which service, and of which part of which plane."""

    service: SkyService
    projection: Projection
    box: Viewport

    @property
    def address(self) -> str:
        """Address that is asked for it."""
        return self.service.address(header_of(self.projection, self.box))

    def converted(self, data: bytes, mime: str) -> bytes:
        """Picture that was sent, as WebP, transparent outside the ellipse of an all-sky plane.

        Raises
        ------
        InputError
            If it is no picture, or not of the size that was asked: it would lie beside the points.
        """
        picture = picture_sent(data, mime, WIDE_PIXELS)
        size = size_of(self.box)
        if picture.size != size:
            raise InputError(f"it has {picture.width} × {picture.height} pixels, not {size[0]} × {size[1]} as asked")
        if self.projection.all_sky:
            picture.putalpha(Image.fromarray(self._on_sky(size)))
        return as_webp(picture)

    def _on_sky(self, size: tuple[int, int]) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        """255 where a pixel is of the sky, 0 outside the plane's ellipse; shape (h, w), first row at the top."""
        box = self.box
        across = box.x0 + (np.arange(size[0]) + 0.5) * (box.x1 - box.x0) / size[0]
        down = box.y1 - (np.arange(size[1]) + 0.5) * (box.y1 - box.y0) / size[1]
        ra, _ = self.projection.inverse(*np.meshgrid(across, down))
        return np.where(np.isnan(ra), 0, 255).astype(np.uint8)


def size_of(box: Viewport) -> tuple[int, int]:
    """Width and height in pixels of the picture of a box: the longer side has as many as are taken."""
    width, height = box.x1 - box.x0, box.y1 - box.y0
    scale = WIDE_PIXELS / max(width, height)
    return max(NARROW_PIXELS, round(width * scale)), max(NARROW_PIXELS, round(height * scale))


def header_of(projection: Projection, box: Viewport) -> dict[str, str | float]:
    """Header (FITS WCS) of a picture that fills a box of a plane."""
    size = size_of(box)
    step = (box.x1 - box.x0) / size[0], (box.y1 - box.y0) / size[1]
    names = [name.format(_CODES[projection.kind]) for name in _AXES[projection.frame]]
    return {
        "NAXIS": 2,
        "NAXIS1": size[0],
        "NAXIS2": size[1],
        "WCSAXES": 2,
        "CTYPE1": names[0],
        "CTYPE2": names[1],
        "CUNIT1": "deg",
        "CUNIT2": "deg",
        "CRVAL1": projection.ra_deg,
        "CRVAL2": projection.dec_deg,
        # Pixels are counted from 1 at their centres, and their rows from the bottom.
        "CRPIX1": 0.5 - box.x0 / step[0],
        "CRPIX2": 0.5 - box.y0 / step[1],
        "CDELT1": -step[0],
        "CDELT2": step[1],
        # Said, since at a pole FITS would turn the plane over by default.
        "LONPOLE": 0.0 if projection.all_sky else 180.0,
        **({"RADESYS": "ICRS"} if projection.frame == "icrs" else {}),
    }
