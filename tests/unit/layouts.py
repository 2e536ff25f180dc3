"""Small surveys in the layouts that exist, for tests of their readers: files as their owners write them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import astropy_healpix
import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy import units as u
from numpy.typing import NDArray

N = 100
PIXELS = 20
UNEVEN = (0, 37, 38, N)
SOURCE_TYPES = np.array(["DEV", "EXP", "REX", "SER"])

# Rows that are wrong in some way: no positive flux, -99, NaN.
NO_FLUX, MISSING, NOT_A_NUMBER = 5, 11, 17


def survey_columns(n: int = N, seed: int = 0) -> dict[str, NDArray[Any]]:
    """Every column of the Legacy Surveys' chunks, by decreasing z flux."""
    rng = np.random.default_rng(seed)
    flux = rng.lognormal(2, 1, (n, 3)).astype(np.float32)
    flux = flux[np.argsort(-flux[:, 2], kind="stable")]
    flux[NO_FLUX, 0], flux[NO_FLUX + 1, 0] = 0, -0.25
    columns: dict[str, NDArray[Any]] = {
        "ra": rng.uniform(0, 360, n),
        "dec": rng.uniform(-20, 30, n),
        "flux": flux,
        "fiberflux": (flux * 0.6).astype(np.float32),
        "ebv": rng.uniform(0, 0.2, n).astype(np.float32),
        "transmission": rng.uniform(0.7, 1, (n, 3)).astype(np.float32),
        "source_type": rng.integers(0, 4, n).astype(np.uint8),
        "z_spec": np.where(rng.random(n) < 0.8, -99, rng.uniform(0, 1, n)).astype(np.float32),
        "z_training": rng.integers(0, 2, n).astype(bool),
        "brickid": rng.integers(300_000, 300_004, n).astype(np.int32),
        "objid": np.arange(n, dtype=np.int32),
        "release": np.where(rng.random(n) < 0.5, 9010, 9012).astype(np.int16),
        "inds": np.arange(n, dtype=np.int64) * 3,
        "maskbits": rng.integers(0, 2**13, n).astype(np.int16),
        "nobs": rng.integers(1, 9, (n, 3)).astype(np.int16),
        "psfdepth": rng.uniform(100, 900, (n, 3)).astype(np.float32),
        "psfsize": rng.uniform(0.8, 1.6, (n, 3)).astype(np.float32),
        "fracin": rng.uniform(0.5, 1, (n, 3)).astype(np.float32),
    }
    for name in ("mean", "median", "std", "l68", "u68", "l95", "u95"):
        columns[f"z_phot_{name}"] = rng.uniform(0, 1, n).astype(np.float32)
    columns["z_phot_median"][MISSING] = -99
    columns["ebv"][NOT_A_NUMBER] = np.nan
    return columns


def survey_images(n: int = N, seed: int = 0) -> NDArray[np.float32]:
    """Noise and a source off the centre, (n, 3, 20, 20) nanomaggies; the first image is brightest in its first row."""
    rng = np.random.default_rng(seed)
    images = rng.normal(0, 0.01, (n, 3, PIXELS, PIXELS)).astype(np.float32)
    images[:, :, PIXELS // 2, PIXELS // 3] += rng.lognormal(0, 1, (n, 3))
    images[0, :, 0] = 50
    return images


def survey_embeddings(n: int = N, d: int = 12, seed: int = 0) -> NDArray[np.float32]:
    """Not of unit length, as a network leaves them."""
    return np.random.default_rng(seed).normal(0.2, 1, (n, d)).astype(np.float32)


def numbered(stem: str, start: int, stop: int, ending: str) -> str:
    """The name of a chunk."""
    return f"{stem}_{start:09d}_{stop:09d}{ending}"


def write_representations(
    folder: Path, rows: NDArray[np.float32], edges: Sequence[int], stem: str = "representations"
) -> None:
    """One `.npy` file from each edge to the next."""
    folder.mkdir(parents=True, exist_ok=True)
    for start, stop in itertools.pairwise(edges):
        np.save(folder / numbered(stem, start, stop, ".npy"), rows[start:stop])


def write_chunks(
    folder: Path, columns: dict[str, NDArray[Any]], edges: Sequence[int], images: NDArray[np.float32] | None = None
) -> None:
    """One HDF5 file from each edge to the next."""
    folder.mkdir(parents=True, exist_ok=True)
    for start, stop in itertools.pairwise(edges):
        with h5py.File(folder / numbered("images_npix152", start, stop, ".h5"), "w") as f:
            for name, values in columns.items():
                f[name] = values[start:stop]
            if images is not None:
                f["images"] = images[start:stop]


def write_legacy_survey(folder: Path, n: int = N, d: int = 12, *, with_images: bool = True) -> Path:
    """The layout of ssl-legacysurvey: uneven chunks, other edges for the representations."""
    edges = (0, 37 * n // N, 38 * n // N, n)
    write_chunks(folder, survey_columns(n), edges, survey_images(n) if with_images else None)
    write_representations(folder, survey_embeddings(n, d), (0, 60 * n // N, n))
    return folder


def write_column_files(folder: Path, n: int = N, d: int = 12) -> Path:
    """The layout of the first Galaxy Finder."""
    columns = survey_columns(n)
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("ra", "dec", "source_type"):
        np.save(folder / f"{name}.npy", columns[name])
    with np.errstate(invalid="ignore", divide="ignore"):
        np.save(folder / "mag.npy", 22.5 - 2.5 * np.log10(columns["flux"]))
    np.save(folder / "photometric_redshift.npy", columns["z_phot_median"])
    write_representations(folder, survey_embeddings(n, d), (0, 60 * n // N, n))
    return folder


def write_hats(folder: Path, n: int = N, d: int = 12) -> Path:
    """The layout of HATS: pixels of order 1, the fullest split into those of order 2; order in each by position."""
    columns = survey_columns(n)
    sky = {order: healpix(columns["ra"], columns["dec"], order) for order in (1, 2, 29)}
    fullest = np.bincount(sky[1]).argmax()
    split = sky[1] == fullest
    partitions = [(1, int(p)) for p in np.unique(sky[1][~split])] + [(2, int(p)) for p in np.unique(sky[2][split])]
    table = pa.table(
        {
            "_healpix_29": sky[29],
            "objra": columns["ra"],
            "objdec": columns["dec"],
            "id": columns["objid"],
            "mag_r": columns["ebv"] + 20,
            "type": SOURCE_TYPES[columns["source_type"]],
            "embedding": pa.FixedSizeListArray.from_arrays(survey_embeddings(n, d).ravel(), d),
        }
    )
    for order, pixel in partitions:
        rows = np.flatnonzero(sky[order] == pixel)
        path = hats_path(folder, order, pixel)
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table.take(rows[np.argsort(sky[29][rows], kind="stable")]), path)
    (folder / "partition_info.csv").write_text("Norder,Npix\n" + "".join(f"{o},{p}\n" for o, p in partitions))
    (folder / "hats.properties").write_text(
        f"#HATS catalog\nobs_collection=small\\:sky\ndataproduct_type=object\nhats_nrows={n}\n"
        "hats_col_ra=objra\nhats_col_dec=objdec\nhats_npix_suffix=.parquet\n"
    )
    return folder


def hats_path(folder: Path, order: int, pixel: int) -> Path:
    """Where a partition lies."""
    return folder / "dataset" / f"Norder={order}" / f"Dir={pixel // 10_000 * 10_000}" / f"Npix={pixel}.parquet"


def healpix(ra: NDArray[Any], dec: NDArray[Any], order: int) -> NDArray[np.int64]:
    """Nested HEALPix pixel of positions, by astropy."""
    pixels: NDArray[np.int64] = astropy_healpix.lonlat_to_healpix(ra * u.deg, dec * u.deg, 2**order, order="nested")
    return pixels
