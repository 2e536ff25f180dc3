"""The catalogue of the rendered survey: the columns of ssl-legacysurvey's HDF5 files, and the truth beside them.

Columns are in the manner of the Legacy Surveys (legacysurvey.org/dr9/catalogs); −99 stands for missing. The truth has
names of its own, `true_…`, and is described in `source.json`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from ..source_description import ColumnDescription
from .catalog_galaxies import MASK_BITS, SOURCE_TYPES, SPECTROSCOPIC_SHARE
from .rendering.camera import noise_sigma, point_source_sigma
from .rendering.parameters import (
    BANDS,
    CLASS_NAMES,
    IS_ARTEFACT,
    LENS,
    PURPOSE_CATALOG,
    RING,
    SATURATED,
    Parameters,
    fluxes,
)
from .rendering.random_streams import draw_normals

MISSING = -99.0
FIBER_RADIUS_ARCSEC = 0.75
# Extinction over E(B−V) in g, r, z (Schlafly & Finkbeiner 2011, ApJ 737, 103).
EXTINCTION = np.array([3.214, 2.165, 1.211])
Z_PHOT_SCATTER = 0.02
SATURATED_BITS = (1, 2, 3, 4)  # near a bright star; a saturated pixel in g, r, z

# Probabilities of `SOURCE_TYPES` for each class.
_TYPES = {
    "elliptical": (0.62, 0.03, 0.05, 0.30),
    "disc": (0.06, 0.54, 0.16, 0.24),
    "edge-on": (0.06, 0.70, 0.04, 0.20),
    "spiral": (0.04, 0.44, 0.08, 0.44),
    "barred": (0.08, 0.36, 0.08, 0.48),
    "ring": (0.05, 0.40, 0.10, 0.45),
    "merger": (0.10, 0.35, 0.10, 0.45),
    "lens": (0.50, 0.02, 0.08, 0.40),
    "star": (0.15, 0.05, 0.75, 0.05),
}
_TYPE_EDGES = np.array([np.cumsum(_TYPES.get(name, (0.25, 0.35, 0.15, 0.25))) for name in CLASS_NAMES])

_DRAWN = "as drawn: the truth behind the image"
TRUTH = {
    "true_class": ColumnDescription("", "meta.modelled", f"Class, {_DRAWN}"),
    "true_shape": ColumnDescription("", "meta.modelled", "Class of the galaxy that an artefact or a blend lies upon"),
    "is_artefact": ColumnDescription("", "meta.modelled", "1 where the image is spoilt: trail, saturated, bad column"),
    "true_redshift": ColumnDescription("", "src.redshift", f"Redshift, {_DRAWN}; 0 for stars"),
    "true_radius": ColumnDescription("arcsec", "phys.angSize", f"Half-light radius along the major axis, {_DRAWN}"),
    "true_index": ColumnDescription("", "src.morph.param", f"Sérsic index of the bulge or the elliptical, {_DRAWN}"),
    "true_bulge": ColumnDescription("", "src.morph.param", f"Share of the bulge in the r band, {_DRAWN}"),
    "true_axis_ratio": ColumnDescription("", "src.morph.param", f"Minor over major axis, {_DRAWN}"),
    "true_angle": ColumnDescription("deg", "pos.posAng", f"Position angle, {_DRAWN}"),
    "true_strength": ColumnDescription("", "src.morph.param", "How plain arms, bar, ring, dust or tails are, 0 to 1"),
    "true_ring_radius": ColumnDescription("arcsec", "phys.angSize", f"Radius of the ring, {_DRAWN}"),
    "true_einstein_radius": ColumnDescription("arcsec", "phys.angSize", f"Einstein radius of the lens, {_DRAWN}"),
}


def draw_columns(seed: int, parameters: Parameters, places: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Every column of some galaxies, by the names and in the types of the HDF5 files.

    Parameters
    ----------
    seed : int
        Of the survey.
    parameters : ndarray of shape (n,), dtype PARAMETERS
    places : structured ndarray of shape (n,)
        With `ra`, `dec`, `ebv`, `release`, `brickid`, `objid`.

    Returns
    -------
    dict of str to ndarray
        Of shape (n,), or (n, 3) where a column has a number for each of g, r, z.
    """
    normals = draw_normals(seed, parameters["number"], PURPOSE_CATALOG, 8).astype(np.float64)
    chance = ndtr(normals)  # uniform on (0, 1)
    true_class, shape = parameters["true_class"], parameters["shape"]
    flux = fluxes(parameters)
    seeing = np.stack([parameters[f"seeing_{band}"] for band in BANDS], axis=1)
    exposures = np.stack([parameters[f"exposures_{band}"] for band in BANDS], axis=1)
    columns: dict[str, NDArray[Any]] = {name: places[name] for name in ("ra", "dec", "ebv")}
    columns |= {
        "flux": flux,
        "fiberflux": (flux * _fiber_share(parameters["radius"], seeing)).astype(np.float32),
        "transmission": (10 ** (-0.4 * EXTINCTION * places["ebv"][:, None])).astype(np.float32),
        "source_type": np.array(SOURCE_TYPES, dtype="S3")[
            np.minimum((chance[:, :1] > _TYPE_EDGES[shape]).sum(axis=1), len(SOURCE_TYPES) - 1)
        ],
        **_redshifts(parameters["redshift"], normals[:, 1], chance[:, 2]),
        **{name: places[name] for name in ("brickid", "objid", "release")},
        "inds": parameters["number"],
        "maskbits": _mask_bits(true_class, chance[:, 3:7]),
        "nobs": exposures.astype(np.int16),
        "psfdepth": (1 / point_source_sigma(parameters) ** 2).astype(np.float32),
        "psfsize": seeing.astype(np.float32),
        "fracin": _share_inside(flux, parameters),
    }
    return columns | _truth(parameters)


def _redshifts(
    redshift: NDArray[np.float64], normal: NDArray[np.float64], chance: NDArray[np.float64]
) -> dict[str, NDArray[Any]]:
    scatter = Z_PHOT_SCATTER * (1 + redshift)
    mean = np.maximum(redshift + scatter * normal, 0.001)
    measured = (chance < SPECTROSCOPIC_SHARE) & (redshift > 0)
    columns = {
        "z_phot_mean": mean,
        "z_phot_median": mean,
        "z_phot_std": scatter,
        "z_phot_l68": mean - scatter,
        "z_phot_u68": mean + scatter,
        "z_phot_l95": mean - 2 * scatter,
        "z_phot_u95": mean + 2 * scatter,
        "z_spec": np.where(measured, redshift, MISSING),
    }
    return {name: values.astype(np.float32) for name, values in columns.items()} | {
        "z_training": measured.astype(np.int16)
    }


def _mask_bits(true_class: NDArray[np.uint8], chance: NDArray[np.float64]) -> NDArray[np.int16]:
    """Flags of masks: a few by chance, and most images beside a saturated star, not all of them."""
    bits = np.zeros(len(true_class), np.int16)
    for column, (bit, share) in enumerate(MASK_BITS.items()):
        bits |= (chance[:, column] < share).astype(np.int16) << bit
    flagged = (true_class == SATURATED) & (chance[:, 3] < 0.8)
    for bit in SATURATED_BITS:
        bits |= flagged.astype(np.int16) << bit
    return bits


def _fiber_share(radius: NDArray[np.float64], seeing: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of the light in a fibre, of a profile half of whose light lies within its own and the seeing's radius."""
    half = np.hypot(radius[:, None], seeing / 2)
    share: NDArray[np.float64] = 1 - 0.5 ** ((FIBER_RADIUS_ARCSEC / half) ** 1.4)
    return share


def _share_inside(flux: NDArray[np.float32], parameters: Parameters) -> NDArray[np.float32]:
    """Share of the model's flux in the pixels that were fitted: those brighter than the noise of the sky."""
    area = np.pi * (parameters["radius"][:, None] ** 2 + 0.4) / 0.262**2
    share: NDArray[np.float32] = (1 / (1 + 0.15 * noise_sigma(parameters) * area / flux)).astype(np.float32)
    return share


def _truth(parameters: Parameters) -> dict[str, NDArray[Any]]:
    names = np.array(CLASS_NAMES, dtype="S12")
    true_class = parameters["true_class"]
    feature = parameters["feature"]
    numbers = {
        "true_redshift": parameters["redshift"],
        "true_radius": parameters["radius"],
        "true_index": parameters["index"],
        "true_bulge": parameters["bulge"],
        "true_axis_ratio": parameters["axis_ratio"],
        "true_angle": np.degrees(parameters["angle"]),
        "true_strength": parameters["strength"],
        "true_ring_radius": np.where(true_class == RING, feature * parameters["radius"], np.nan),
        "true_einstein_radius": np.where(true_class == LENS, feature, np.nan),
    }
    return {
        "true_class": names[true_class],
        "true_shape": names[parameters["shape"]],
        "is_artefact": IS_ARTEFACT[true_class].astype(np.uint8),
        **{name: values.astype(np.float32) for name, values in numbers.items()},
    }
