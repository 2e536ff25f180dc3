"""Images of galaxies in their own bands, as FITS: from a folder of cut-outs that are called by the galaxies' ids.

An atlas keeps pictures for the eye. Where the cut-outs that they were made of still lie, one is read when it is asked
for, so that nothing here grows with the number of galaxies.
"""

from __future__ import annotations

import io
import math
import struct
import warnings
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from numpy.typing import NDArray

from atlas.catalog.position_text import iau_name
from atlas.errors import InputError
from atlas.exports.contents import provenance
from atlas.exports.tables import ascii_text
from atlas.storage.manifest import Manifest

ENDINGS = (".fits", ".fit", ".fits.fz", ".fits.gz")
MAX_VALUES = 4096 * 4096
MAX_BANDS = 16
LONGEST_NAME = 200

_BROKEN = (OSError, ValueError, TypeError, KeyError, IndexError, struct.error, fits.VerifyError)
# Of how the file held its pixels, which are written anew.
_STORED = ("BSCALE", "BZERO", "BLANK", "CHECKSUM", "DATASUM", "EXTNAME", "EXTVER", "EXTEND", "INHERIT")


def band_image_path(folder: Path, galaxy: str) -> Path | None:
    """The file of a galaxy, called by its id; None where there is none, or the id is no name of a file."""
    if not galaxy or galaxy.startswith(".") or set(galaxy) & set("/\\\0") or len(galaxy.encode()) > LONGEST_NAME:
        return None
    paths = (folder / f"{galaxy}{ending}" for ending in ENDINGS)
    return next((path for path in paths if path.is_file()), None)


def band_image(path: Path, galaxy: str, ra_deg: float, dec_deg: float, manifest: Manifest) -> bytes:
    """A cut-out as FITS: a cube of its bands in float32, which says whose it is, where it lies and where it is from.

    Position and scale are the file's own. Where it has none, they are those of the atlas's images, if all of those were
    of the size of this one and their scale and direction are known; else the header says that they are not.

    Raises
    ------
    InputError
        If the file is gone, is no image, or is larger than 4096² values.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of headers, which go on as they are
            header, planes, bands = _read(path, galaxy)
            hdu = fits.PrimaryHDU(planes, header)
            if not WCS(header, naxis=2).has_celestial:
                _place(hdu.header, planes.shape[1:], ra_deg, dec_deg, manifest)
            _describe(hdu.header, galaxy, ra_deg, dec_deg, bands, manifest)
            buffer = io.BytesIO()
            hdu.writeto(buffer, output_verify="silentfix")
    except FileNotFoundError:
        raise InputError(f"the FITS image of galaxy {galaxy} is no longer where this server had it") from None
    except _BROKEN as error:
        raise InputError(f"the FITS image of galaxy {galaxy} cannot be read: its file is damaged") from error
    return buffer.getvalue()


def _read(path: Path, galaxy: str) -> tuple[fits.Header, NDArray[np.float32], list[str]]:
    """The first image of a file with its header, or all images of that size: planes (bands, height, width), names."""
    with fits.open(path, memmap=False) as hdus:
        images = [hdu for hdu in hdus if hdu.is_image and hdu.header.get("NAXIS", 0) in (2, 3)]
        if not images:
            raise InputError(f"the FITS file of galaxy {galaxy} holds no image of two or three axes")
        first = images[0]
        same = [first] if len(first.shape) == 3 else [hdu for hdu in images if hdu.shape == first.shape][:MAX_BANDS]
        if math.prod(first.shape) * len(same) > MAX_VALUES:
            raise InputError(f"the FITS image of galaxy {galaxy} is too large: allowed are {MAX_VALUES:,} values")
        planes = np.concatenate([np.asarray(hdu.data, np.float32).reshape(-1, *first.shape[-2:]) for hdu in same])
        header = first.header.copy()
        told = str(header.get("BANDS", "")).strip()
        named = list(told) if len(told) == len(planes) else told.replace(",", " ").split()
        if len(named) != len(planes):
            named = [str(hdu.header.get("FILTER", hdu.header.get("BAND", hdu.name))).strip() for hdu in same]
    for name in _STORED:
        header.remove(name, ignore_missing=True, remove_all=True)
    return header, planes, named if len(named) == len(planes) and all(named) else []


def _place(header: fits.Header, shape: tuple[int, ...], ra_deg: float, dec_deg: float, manifest: Manifest) -> None:
    """Tangent plane around the galaxy in the middle, by the scale of the atlas's images."""
    images = manifest.thumbnails
    stages = (stage.measured for stage in manifest.stages if stage.name == "thumbnails")
    edge = next(stages, {}).get("source_pixels", 0)
    if images is None or images.scale_arcsec is None or images.up_deg is None or {*shape} != {edge}:
        header["COMMENT"] = "no WCS: its file has none, and what the atlas tells of its images need not be true of it"
        return
    scale_deg = images.scale_arcsec * images.pixels / edge / 3600
    sin, cos = math.sin(math.radians(images.up_deg)), math.cos(math.radians(images.up_deg))
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [ra_deg, dec_deg]
    wcs.wcs.crpix = [(edge + 1) / 2] * 2
    # Up is `up_deg` from north to east; right is a quarter turn from there, to the west where up is north.
    wcs.wcs.cd = scale_deg * np.array([[-cos, sin], [sin, cos]])
    wcs.wcs.radesys = "ICRS"
    header.update(wcs.to_header())
    header["COMMENT"] = "WCS: the galaxy in the middle, scale and direction as the source of the atlas says"


def _describe(
    header: fits.Header, galaxy: str, ra_deg: float, dec_deg: float, bands: list[str], manifest: Manifest
) -> None:
    told = {"OBJECT": iau_name(ra_deg, dec_deg), "GALAXY": galaxy, **provenance(manifest)}
    for name, text in told.items():
        header[name[:8].upper()] = ascii_text(text)
    header["GAL_RA"] = ra_deg, "Right ascension of the galaxy, ICRS, degrees"
    header["GAL_DEC"] = dec_deg, "Declination of the galaxy, ICRS, degrees"
    for at, band in enumerate(bands, start=1):
        header[f"BAND{at}"] = ascii_text(band), f"Band of plane {at}"
