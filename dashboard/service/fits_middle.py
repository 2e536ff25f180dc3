"""Position in the middle of an image that another program sends, by the beginning of its file alone."""

from __future__ import annotations

import io
import struct
import warnings

from astropy.io import fits
from astropy.wcs import WCS

from atlas.errors import InputError

HEAD_BYTES = 1 << 20
NONE = "this image does not say where on the sky it lies"

_BROKEN = (OSError, ValueError, TypeError, KeyError, IndexError, EOFError, struct.error, fits.VerifyError)


def image_middle(head: bytes) -> tuple[float, float]:
    """Right ascension and declination in degrees (ICRS) of the middle of a FITS file's first image.

    Parameters
    ----------
    head : bytes
        The file, or as much of its beginning as holds the header of that image.

    Raises
    ------
    InputError
        If it is no FITS image with a position.
    """
    stream = io.BytesIO(head)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of headers, which say what they mean all the same
            header = fits.Header.fromfile(stream)
            while not header.get("NAXIS"):
                header = fits.Header.fromfile(stream)  # nothing lies between an empty primary header and the next
            wcs = WCS(header, naxis=2).celestial
            edges = (header.get(f"Z{name}", header[name]) for name in ("NAXIS1", "NAXIS2"))
            place = wcs.pixel_to_world(*((edge - 1) / 2 for edge in edges)).icrs
            found = float(place.ra.deg), float(place.dec.deg)
    except _BROKEN as error:
        raise InputError(NONE) from error
    except AttributeError as error:  # a plane that is none of the sky's has no ICRS
        raise InputError(NONE) from error
    if not (0 <= found[0] <= 360 and -90 <= found[1] <= 90):
        raise InputError(NONE)
    return found
