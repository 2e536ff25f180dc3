"""Images of galaxies in their own bands, as FITS: from cut-outs that are called by the galaxies' ids, or HDF5 chunks.

An atlas keeps pictures for the eye. Where the images that they were made of still lie, one is read when it is asked
for, so that no memory here grows with the number of galaxies.
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
from atlas.exports.image_chunks import ImageChunks, ImagedGalaxy, StoredImage
from atlas.exports.tables import ascii_text
from atlas.storage.manifest import Manifest

ENDINGS = (".fits", ".fit", ".fits.fz", ".fits.gz")
MAX_VALUES = 4096 * 4096
MAX_BANDS = 16
LONGEST_NAME = 200

_BROKEN = (OSError, ValueError, TypeError, KeyError, IndexError, struct.error, fits.VerifyError)
# Of how the file held its pixels, which are written anew.
_STORED = ("BSCALE", "BZERO", "BLANK", "CHECKSUM", "DATASUM", "EXTNAME", "EXTVER", "EXTEND", "INHERIT")


LAYOUT_BANDS, LAYOUT_UNIT, LAYOUT_SCALE_ARCSEC = ("g", "r", "z"), "nanomaggy", 0.262
"""What chunks of three bands are taken for, as ssl-legacysurvey writes them (Stein et al. 2021, arXiv 2110.13151)."""


class BandImages:
    """Images of galaxies in their own bands, where a folder or a file holds them.

    Parameters
    ----------
    place : Path
        Folder of FITS files that are called by id, of HDF5 chunks, or of both; or one such chunk.
    scratch : Path
        Where the index of the chunks is kept.
    """

    def __init__(self, place: Path, scratch: Path) -> None:
        self._place, self._scratch = place, scratch
        self._chunks: dict[tuple[str, ...], ImageChunks] = {}

    def may_have(self, galaxy: ImagedGalaxy) -> bool:
        """Whether there is an image of a galaxy, or it takes an index that is not made yet to tell."""
        return band_image_path(self._place, galaxy.name) is not None or self._of(galaxy).has(galaxy) is not False

    def image(self, galaxy: ImagedGalaxy, manifest: Manifest) -> bytes:
        """The image of a galaxy as FITS.

        Raises
        ------
        InputError
            If there is none, or it cannot be read.
        """
        path = band_image_path(self._place, galaxy.name)
        if path is not None:
            return band_image(path, galaxy.name, galaxy.ra_deg, galaxy.dec_deg, manifest)
        found = self._of(galaxy).read(galaxy)
        if found is None:
            raise InputError(f"this server has no FITS image of galaxy {galaxy.name}")
        return chunk_image(found, galaxy, manifest)

    def _of(self, galaxy: ImagedGalaxy) -> ImageChunks:
        """The chunks, listed when first asked for; two threads at once may do it twice."""
        columns = tuple(galaxy.ids)
        if columns not in self._chunks:
            self._chunks[columns] = ImageChunks(self._place, self._scratch, columns)
        return self._chunks[columns]


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


def chunk_image(found: StoredImage, galaxy: ImagedGalaxy, manifest: Manifest) -> bytes:
    """An image of a chunk as FITS, as `band_image` makes it of a file; its header says what is assumed.

    Rows run from south to north, as in FITS. The galaxy lies in the middle; the scale is the chunk's own, else that of
    the source of the atlas if all its images were of this size, else of three bands that of the Legacy Surveys.
    """
    hdu = fits.PrimaryHDU(found.planes)
    header, shape = hdu.header, found.planes.shape
    of_layout = shape[0] == len(LAYOUT_BANDS)
    ra_deg, dec_deg = found.position or (galaxy.ra_deg, galaxy.dec_deg)
    known = None if found.scale_arcsec else _source_scale(shape[1:], manifest)
    if found.scale_arcsec is not None:
        _tangent(header, shape[1:], ra_deg, dec_deg, found.scale_arcsec, 0.0)
        header["COMMENT"] = "WCS: the galaxy in the middle, scale as the HDF5 file says, north up assumed"
    elif known is not None:
        _tangent(header, shape[1:], ra_deg, dec_deg, *known)
        header["COMMENT"] = "WCS: the galaxy in the middle, scale and direction as the source of the atlas says"
    elif of_layout:
        _tangent(header, shape[1:], ra_deg, dec_deg, LAYOUT_SCALE_ARCSEC, 0.0)
        header["COMMENT"] = f"WCS assumed: the galaxy in the middle, {LAYOUT_SCALE_ARCSEC} arcsec a pixel, north up"
    else:
        header["COMMENT"] = "no WCS: neither the HDF5 file nor the atlas says the scale of its images"
    if of_layout:
        header["BUNIT"] = LAYOUT_UNIT
        header["COMMENT"] = "Bands and unit assumed: g, r, z in nanomaggies, as ssl-legacysurvey writes them"
    header["CHUNK"] = ascii_text(found.file)[:60], "HDF5 file of the image"
    header["CHUNKROW"] = found.row, "Its row there, from 0"
    header["FOUNDBY"] = "id" if found.by_id else "position", "What the row was found by"
    bands = list(LAYOUT_BANDS) if of_layout else []
    _describe(header, galaxy.name, galaxy.ra_deg, galaxy.dec_deg, bands, manifest)
    buffer = io.BytesIO()
    hdu.writeto(buffer, output_verify="silentfix")
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
    known = _source_scale(shape, manifest)
    if known is None:
        header["COMMENT"] = "no WCS: its file has none, and what the atlas tells of its images need not be true of it"
        return
    _tangent(header, shape, ra_deg, dec_deg, *known)
    header["COMMENT"] = "WCS: the galaxy in the middle, scale and direction as the source of the atlas says"


def _source_scale(shape: tuple[int, ...], manifest: Manifest) -> tuple[float, float] | None:
    """Arcseconds a pixel and direction of the upper edge of the source's images, if all were of this shape."""
    images = manifest.thumbnails
    stages = (stage.measured for stage in manifest.stages if stage.name == "thumbnails")
    edge = next(stages, {}).get("source_pixels", 0)
    if images is None or images.scale_arcsec is None or images.up_deg is None or {*shape} != {edge}:
        return None
    return images.scale_arcsec * images.pixels / edge, images.up_deg


def _tangent(
    header: fits.Header, shape: tuple[int, ...], ra_deg: float, dec_deg: float, scale_arcsec: float, up_deg: float
) -> None:
    """Tangent plane around a position in the middle."""
    sin, cos = math.sin(math.radians(up_deg)), math.cos(math.radians(up_deg))
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [ra_deg, dec_deg]
    wcs.wcs.crpix = [(shape[-1] + 1) / 2, (shape[-2] + 1) / 2]
    # Up is `up_deg` from north to east; right is a quarter turn from there, to the west where up is north.
    wcs.wcs.cd = scale_arcsec / 3600 * np.array([[-cos, sin], [sin, cos]])
    wcs.wcs.radesys = "ICRS"
    header.update(wcs.to_header())


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
