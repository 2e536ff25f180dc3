"""Pictures as numbers: PNG, JPEG and FITS cut-outs of any depth, each with what is odd about it.

A picture for an encoder keeps what the file holds: bands in float32, NaN where there is no data. A picture for an eye
is 8-bit RGB (`precompute.sources.images`).
"""

from __future__ import annotations

import enum
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.stats import sigma_clipped_stats
from astropy.visualization import AsinhStretch
from astropy.wcs import WCS, InvalidTransformError, SingularMatrixError
from numpy.typing import NDArray
from PIL import Image

from atlas.errors import shorten

from ..errors import SourceError
from .asinh_rgb import asinh_rgb

FORMATS = ("PNG", "JPEG")
FITS_ENDINGS = (".fits", ".fit", ".fits.fz", ".fits.gz")
ENDINGS = (".png", ".jpg", ".jpeg", *FITS_ENDINGS)
# Far above any cut-out; a file that promises more would fill the memory when it is unpacked.
MAX_PIXELS = 4096 * 4096
MAX_BANDS = 16
EIGHT_BIT_MODES = frozenset(("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"))
ALPHA_MODES = frozenset(("LA", "PA", "RGBA"))
GREY_MODES = frozenset(("1", "L", "LA", "I;16", "I;16B", "I;16L", "I", "F"))
SIXTEEN_BITS = 257.0
"""From 16 bits to the grey levels of 8: 65,535 / 255."""

BLACK_SIGMA, WHITE_PERCENTILE, SOFTENING = -1.0, 99.7, 0.1
"""The stretch of a FITS image of any unit: black at the sky less one sigma, white at a percentile of the pixels."""

_BROKEN = (
    OSError,
    ValueError,
    TypeError,
    SyntaxError,
    struct.error,
    fits.VerifyError,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)
"""What Pillow and astropy raise for broken files."""


class Odd(enum.IntFlag):
    """Oddities of a picture that is used all the same."""

    GREY = 1
    SIXTEEN_BIT = 2
    ALPHA = 4
    NOT_SQUARE = 8
    OTHER_SIZE = 16
    BLANK = 32
    BROKEN = 64


NOTHING_ODD = Odd(0)


@dataclass(frozen=True, eq=False)
class PicturePixels:
    """Pixels of a file.

    Attributes
    ----------
    bands : ndarray of shape (height, width, bands), float32
        From the top row down, the reddest band first; NaN where there is no data. 8-bit grey levels, or the file's
        own unit.
    odd : Odd
    ra_deg, dec_deg : float
        The middle, by the header; NaN where there is none.
    """

    bands: NDArray[np.float32]
    odd: Odd = NOTHING_ODD
    ra_deg: float = float("nan")
    dec_deg: float = float("nan")


def is_fits(path: Path) -> bool:
    """Whether a file is a FITS image by its name."""
    return path.name.lower().endswith(FITS_ENDINGS)


def picture_stem(path: Path) -> str:
    """The name of a picture without its ending, `.fits.fz` included."""
    ending = next((e for e in ENDINGS if path.name.lower().endswith(e)), path.suffix)
    return path.name[: len(path.name) - len(ending)]


def read_picture(path: Path) -> PicturePixels:
    """Read a picture with all its bits.

    Raises
    ------
    SourceError
        If the file is missing, truncated, of another format, or larger than 4096² pixels.
    """
    return note_blank(_read_fits(path) if is_fits(path) else _read_pillow(path))


def note_blank(picture: PicturePixels) -> PicturePixels:
    """The picture, told to be blank where all of its pixels are of one value or none."""
    across = picture.bands[len(picture.bands) // 2]
    if np.isfinite(across).all() and across.min() < across.max():  # nearly all are told by this row
        return picture
    finite = picture.bands[np.isfinite(picture.bands)]
    if not finite.size or finite.min() == finite.max():
        return replace(picture, odd=picture.odd | Odd.BLANK)
    return picture


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """Read a picture for an eye: grey and palette images become RGB, transparency is dropped, FITS is stretched.

    Three bands of a FITS image that calls them g, r, z are shown as the viewer of the Legacy Surveys does; others by
    the asinh of what stands above the sky.

    Returns
    -------
    ndarray of shape (height, width, 3), uint8

    Raises
    ------
    SourceError
        See `read_picture`.
    """
    if is_fits(path):
        header, planes = _read_planes(path)
        if str(header.get("BANDS", "")).strip().lower() == "grz" and len(planes) == 3:
            return asinh_rgb(planes)[::-1]
        return _stretch(reddest_first(planes))
    with _opened(path) as image:
        if image.mode in EIGHT_BIT_MODES:
            return np.asarray(image.convert("RGB"))
        levels = np.clip(np.rint(np.asarray(image, dtype=np.float32) / SIXTEEN_BITS), 0, 255).astype(np.uint8)
        return np.repeat(levels[..., None], 3, axis=2)


def _read_pillow(path: Path) -> PicturePixels:
    with _opened(path) as image:
        odd = Odd.GREY if image.mode in GREY_MODES else NOTHING_ODD
        if image.mode not in EIGHT_BIT_MODES:
            levels = np.asarray(image, dtype=np.float32) / np.float32(SIXTEEN_BITS)
            return PicturePixels(np.repeat(levels[..., None], 3, axis=2), odd | Odd.SIXTEEN_BIT)
        if image.mode not in ALPHA_MODES and "transparency" not in image.info:
            rgb = image if image.mode == "RGB" else image.convert("RGB")
            return PicturePixels(np.asarray(rgb, dtype=np.float32), odd)
        levels = np.asarray(image.convert("RGBA"), dtype=np.float32)
        bands = np.where(levels[..., 3:] == 0, np.float32(np.nan), levels[..., :3])
        return PicturePixels(bands, odd | Odd.ALPHA)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """A picture of Pillow's, not yet decoded; whatever its decoders raise becomes a `SourceError`."""
    with _as_source_error(path), Image.open(path, formats=FORMATS) as image:
        _check_size(path, *image.size)
        yield image


@contextmanager
def _as_source_error(path: Path) -> Iterator[None]:
    try:
        yield
    except _BROKEN as e:
        raise SourceError(f"{path} cannot be read as an image: {shorten(e, 160)}") from e


def _check_size(path: Path, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise SourceError(f"{path} has {width} × {height} pixels; at most {MAX_PIXELS:,} are read")


def _read_fits(path: Path) -> PicturePixels:
    header, planes = _read_planes(path)
    ra_deg, dec_deg = _middle(header, *planes.shape[1:])
    return PicturePixels(reddest_first(planes), Odd.GREY if len(planes) == 1 else NOTHING_ODD, ra_deg, dec_deg)


def reddest_first(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Planes from blue to red, rows from south to north, as (height, width, bands) from the top down, red first."""
    return np.ascontiguousarray(planes[::-1, ::-1].transpose(1, 2, 0))


def _read_planes(path: Path) -> tuple[fits.Header, NDArray[np.float32]]:
    """The first image of a file with its header, or all images of that size: planes of shape (bands, height, width)."""
    with _as_source_error(path), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of headers; what matters of one is looked at below
        with fits.open(path, memmap=False) as hdus:
            images = [hdu for hdu in hdus if hdu.is_image and hdu.header.get("NAXIS", 0) in (2, 3)]
            if not images:
                raise SourceError(f"{path} holds no image of two or three axes")
            first = images[0].header
            shape = tuple(int(first[f"NAXIS{axis}"]) for axis in range(1, first["NAXIS"] + 1))
            _check_size(path, *shape[:2])
            if len(shape) == 3 and shape[2] > MAX_BANDS:
                raise SourceError(f"{path} has {shape[2]} planes; at most {MAX_BANDS} bands are read")
            if len(shape) == 3:
                return first, np.asarray(images[0].data, dtype=np.float32)
            same = [hdu for hdu in images if (hdu.header["NAXIS1"], hdu.header["NAXIS2"]) == shape][:MAX_BANDS]
            return first, np.stack([np.asarray(hdu.data, dtype=np.float32) for hdu in same])


def _middle(header: fits.Header, height: int, width: int) -> tuple[float, float]:
    """Right ascension and declination of the middle of an image in degrees, ICRS; NaN where the header has none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            wcs = WCS(header).celestial
            if wcs.has_celestial:
                place = wcs.pixel_to_world((width - 1) / 2, (height - 1) / 2).icrs
                return float(place.ra.deg), float(place.dec.deg)
        return float(header["RA"]), float(header["DEC"])
    except (*_BROKEN, KeyError, IndexError, AttributeError, InvalidTransformError, SingularMatrixError):
        return float("nan"), float("nan")


def _stretch(bands: NDArray[np.float32]) -> NDArray[np.uint8]:
    """8-bit RGB of bands of any unit, each from its sky's level to its brightest part by an asinh."""
    chosen = bands[..., [0, bands.shape[2] // 2, -1]]
    rgb = np.zeros(chosen.shape, dtype=np.uint8)
    for channel in range(3):
        plane = chosen[..., channel]
        finite = plane[np.isfinite(plane)]
        if not finite.size:
            continue
        _, sky, noise = sigma_clipped_stats(finite, sigma=3)
        black, white = sky + BLACK_SIGMA * noise, np.percentile(finite, WHITE_PERCENTILE)
        if white > black:
            shown = AsinhStretch(SOFTENING)(np.clip((plane - black) / (white - black), 0, 1))
            rgb[..., channel] = np.rint(255 * np.nan_to_num(shown)).astype(np.uint8)
    return rgb
