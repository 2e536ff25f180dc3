"""Meanings of the columns of the Legacy Surveys, in whichever files they come.

Told by the survey's description of its sweep catalogues (legacysurvey.org/dr9/catalogs) and of the photometric
redshifts (Zhou et al. 2021, MNRAS 501, 3309).
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ...errors import SourceError
from ...source_description import ColumnDescription, SourceDescription
from ..checks import name_rows
from ..tables.file_column import FileColumn

SURVEY = SourceDescription(
    survey="DESI Legacy Imaging Surveys",
    acknowledgement="The Legacy Surveys (legacysurvey.org; Dey et al. 2019, AJ 157, 168)",
    bibtex="@article{2019AJ....157..168D, author = {{Dey}, Arjun and {Schlegel}, David J. and others}, "
    "title = {Overview of the DESI Legacy Imaging Surveys}, journal = {AJ}, year = 2019, volume = 157, pages = {168}, "
    "doi = {10.3847/1538-3881/ab089d}}",
)
BANDS = ("g", "r", "z")
MISSING = -99.0
SOURCE_TYPES = ("DEV", "EXP", "REX", "SER")
"""What numbers in `source_type` stand for; files that spell the types out need no table."""

# legacysurvey.org/dr9/bitmasks
MASK_BITS = (
    *("NPRIMARY", "BRIGHT", "SATUR_G", "SATUR_R", "SATUR_Z", "ALLMASK_G", "ALLMASK_R", "ALLMASK_Z"),
    *("WISEM1", "WISEM2", "BAILOUT", "MEDIUM", "GALAXY", "CLUSTER"),
)
"""Names of the bits of `maskbits`, from bit 0 on."""

_Z_PHOT = "Photometric redshift"
COLUMNS = {
    "ra": ColumnDescription("deg", "pos.eq.ra;meta.main", "Right ascension (J2000)"),
    "dec": ColumnDescription("deg", "pos.eq.dec;meta.main", "Declination (J2000)"),
    "release": ColumnDescription("", "meta.id.part", "Survey release and camera"),
    "brickid": ColumnDescription("", "meta.id.part", "Brick that holds the galaxy"),
    "objid": ColumnDescription("", "meta.id.part", "Number within release and brick"),
    "flux": ColumnDescription("nmgy", "phot.flux", "Model flux, not corrected for Galactic extinction"),
    "fiberflux": ColumnDescription("nmgy", "phot.flux", "Model flux in a fibre of 1.5 arcsec, not corrected"),
    "ebv": ColumnDescription("mag", "phys.absorption.gal", "Galactic reddening E(B-V) (Schlegel et al. 1998)"),
    "transmission": ColumnDescription("", "phys.transmission", "Share of light that passes the Galaxy's dust"),
    "source_type": ColumnDescription("", "src.morph.type", "Best-fitting profile"),
    "z_phot_mean": ColumnDescription("", "src.redshift.phot", f"{_Z_PHOT}, mean"),
    "z_phot_median": ColumnDescription("", "src.redshift.phot", f"{_Z_PHOT}, median"),
    "z_phot_std": ColumnDescription("", "stat.error;src.redshift.phot", f"{_Z_PHOT}, standard deviation"),
    "z_phot_l68": ColumnDescription("", "stat.min;src.redshift.phot", f"{_Z_PHOT}, lower bound of 68 %"),
    "z_phot_u68": ColumnDescription("", "stat.max;src.redshift.phot", f"{_Z_PHOT}, upper bound of 68 %"),
    "z_phot_l95": ColumnDescription("", "stat.min;src.redshift.phot", f"{_Z_PHOT}, lower bound of 95 %"),
    "z_phot_u95": ColumnDescription("", "stat.max;src.redshift.phot", f"{_Z_PHOT}, upper bound of 95 %"),
    "z_spec": ColumnDescription("", "src.redshift", "Spectroscopic redshift, where one was taken"),
    "z_training": ColumnDescription("", "meta.code", "Whether z_spec trained the photometric redshifts"),
    "maskbits": ColumnDescription("", "meta.code", "Bits of the survey's image masks", flags=True, bits=MASK_BITS),
    "nobs": ColumnDescription("", "meta.number", "Exposures that cover the centre"),
    "psfdepth": ColumnDescription("nmgy-2", "stat.weight", "Inverse variance of a point source's flux"),
    "psfsize": ColumnDescription("arcsec", "instr.det.psf", "Width of the point spread function"),
    "fracin": ColumnDescription("", "stat.value", "Share of the model's flux inside its footprint"),
    "inds": ColumnDescription("", "meta.record", "Row in the catalogue that the survey was selected from"),
}
MAGNITUDE = ColumnDescription("mag", "phot.mag", "Magnitude (AB), 22.5 - 2.5 log10(flux), not corrected for extinction")
BAND_UCDS = {"g": "em.opt.B", "r": "em.opt.R", "z": "em.opt.I"}


def magnitudes(flux: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """AB magnitudes of fluxes in nanomaggies; NaN where there is no positive flux."""
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.where(flux > 0, 22.5 - 2.5 * np.log10(flux), np.nan)
    return found.astype(np.result_type(flux.dtype, np.float32), copy=False)


def type_words(codes: NDArray[Any]) -> NDArray[np.bytes_]:
    """Words of numbered source types, empty where a number is negative.

    Raises
    ------
    SourceError
        If there are other numbers.
    """
    unknown = np.flatnonzero(~(codes < len(SOURCE_TYPES)))
    if unknown.size:
        known = ", ".join(f"{i} {word}" for i, word in enumerate(SOURCE_TYPES))
        raise SourceError(
            f"source_type holds numbers without a meaning, known are {known}; {name_rows(unknown, codes[unknown])}"
        )
    words = np.array([*SOURCE_TYPES, ""], dtype="S3")
    return words[np.where(codes < 0, len(SOURCE_TYPES), codes).astype(np.int64)]


def column_description(name: str, dtype: str) -> ColumnDescription:
    """Description of a column of the survey; -99 is missing in all of its numbers but positions, ids and flags."""
    about = COLUMNS.get(name, ColumnDescription())
    if about.ucd.startswith(("pos.", "meta.id")) or about.flags:
        return about
    return msgspec.structs.replace(about, missing=MISSING if np.dtype(dtype).kind in "fi" else None)


def band_columns(name: str, about: ColumnDescription, type_name: str) -> list[FileColumn]:
    """The columns `name_g`, `name_r` and `name_z` of a dataset with a number for each band."""
    columns = []
    for band in BANDS:
        text = f"{about.description}, {band} band" if about.description else f"In the {band} band"
        ucd = f"{about.ucd};{BAND_UCDS[band]}" if about.ucd.startswith("phot.") else about.ucd
        told = msgspec.structs.replace(about, description=text, ucd=ucd)
        columns.append(FileColumn(name=f"{name}_{band}", kind="number", type_name=type_name, description=told))
    return columns
