"""The demo's source: the galaxies of the Hubble eXtreme Deep Field, found in a picture that needs no download.

    picture ── detect ── photometry ──────────────► catalog.parquet
       │          ├───── cut-outs, sized to each ─► images/000000000.png …
       │          └───── stamps of one scale ── describe ── fit, embed ─► embeddings.npy
       └── north up ──────────────────────────────► background.png

Everything is deterministic: the same picture and versions write the same bytes. `source.json` is written last: a
folder without it was never finished.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from atlas.storage.publish import require_disk

from ..descriptor import artefact_columns
from ..descriptor.alterations import PICTURES, invariance
from ..descriptor.features import FEATURES, GALAXY, VERSION, Descriptor, describe
from ..source_description import (
    EMBEDDINGS,
    FILENAME,
    IMAGES,
    BackgroundDescription,
    ColumnDescription,
    SourceDescription,
    read_description,
    write_description,
)
from .cutouts import STAMP_PIXELS, cutout_half_width, pad_with_sky, stamps, write_cutouts
from .detection import Detections, detect, photometry
from .picture import PIXEL_ARCSEC, UP_DEG, load_picture, north_up

CATALOG = "catalog.parquet"
BACKGROUND = "background.png"
DISK_BYTES = 40_000_000
# Beyond this many sigma above the sky the background picture begins to shine.
BACKGROUND_BLACK_SIGMA = 1.5


def write_deep_field(folder: Path, *, quiet: bool = False) -> None:
    """Write the deep field as a source that `build` reads.

    Parameters
    ----------
    folder : Path
        Made where missing; files of an earlier run are replaced.
    quiet : bool
        Say nothing on standard error.
    """

    def note(text: str) -> None:
        if not quiet:
            print(f"deep field  {text}", file=sys.stderr)

    require_disk(folder.absolute(), DISK_BYTES, "the galaxies of the deep field")
    (folder / IMAGES).mkdir(parents=True, exist_ok=True)
    (folder / FILENAME).unlink(missing_ok=True)
    picture = load_picture()
    found = detect(picture)
    note(f"{len(found.galaxies)} galaxies in the Hubble eXtreme Deep Field")

    padded = pad_with_sky(picture, found.segmentation == 0)
    seen = stamps(padded, found.galaxies)
    features = describe(seen)
    fitted = Descriptor.fit(features)
    embeddings = fitted.embed(features)
    blind_to = invariance(lambda pictures: fitted.embed(describe(pictures)), seen[:PICTURES])
    np.save(folder / EMBEDDINGS, embeddings, allow_pickle=False)
    note(f"described in {embeddings.shape[1]} dimensions")

    half_width = cutout_half_width(found.galaxies)
    write_cutouts(folder / IMAGES, padded, found.galaxies, half_width)
    catalog = {
        **photometry(picture, found),
        **_structure_columns(features),
        **artefact_columns.artefact_columns(features[:, len(GALAXY) :], STAMP_PIXELS**2),
        **_cutout_columns(found, half_width),
    }
    pq.write_table(pa.table(catalog), folder / CATALOG)

    sky = picture[found.segmentation == 0].astype(np.float64)
    background, sky_background = north_up(
        picture, sky.mean(axis=0) + BACKGROUND_BLACK_SIGMA * sky.std(axis=0), file=BACKGROUND
    )
    Image.fromarray(background).save(folder / BACKGROUND, optimize=True)
    write_description(folder, describe_source(sky_background, blind_to))
    note(f"written to {folder}")


def is_written(folder: Path) -> bool:
    """Whether a folder holds what `write_deep_field` writes now, and not an earlier version of it."""
    if not (folder / FILENAME).exists():
        return False
    told = read_description(folder)
    if told.sky_background is None or not told.invariance:
        return False
    return told == describe_source(told.sky_background, told.invariance)


def _structure_columns(features: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    return {name: features[:, FEATURES.index(name)] for name in ("concentration", "asymmetry", "gini", "m20")}


def _cutout_columns(found: Detections, half_width: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
    height, width = found.light.shape
    x, y = found.galaxies["x"], found.galaxies["y"]
    to_frame = np.min([x, y, width - 1 - x, height - 1 - y], axis=0)
    return {
        "cutout_width": (2 * half_width * PIXEL_ARCSEC).astype(np.float32),
        "edge": (to_frame < np.maximum(half_width, STAMP_PIXELS / 2)).astype(np.uint8),
    }


def describe_source(sky_background: BackgroundDescription, blind_to: dict[str, float]) -> SourceDescription:
    """Describe what the files mean, where they come from, and what they are not."""
    return SourceDescription(
        name="xdf",
        title="Hubble eXtreme Deep Field",
        survey="Hubble eXtreme Deep Field (XDF), in the GOODS-South field",
        release="HubbleSite release 2012-37, colour composite of 872 × 1000 pixels",
        licence="public domain (NASA, ESA); credit is asked for",
        acknowledgement="NASA; ESA; G. Illingworth, D. Magee, and P. Oesch, University of California, Santa Cruz; "
        "R. Bouwens, Leiden University; and the HUDF09 Team",
        notes=(
            "Magnitudes and colours are instrumental: sums of the pixel values of a colour picture that was stretched "
            "for the eye. They order galaxies roughly; they are not calibrated and have no zero point.",
            "Positions: the picture's astrometry was solved against the GOODS-S catalogue (331 matches, median "
            "residual 0.07 arcsec).",
            "Embeddings: a fixed descriptor of colour, size, shape and artefacts, blind to rotation and reflection; no "
            f"network. Version {VERSION}.",
            "A few faint stars may remain among the galaxies: the picture alone does not tell.",
            "Each cut-out follows its galaxy's size; cutout_width says how much sky it shows.",
        ),
        ra="ra",
        dec="dec",
        id_columns=("objid",),
        key_columns=("inst_mag_red", "inst_green_minus_red", "half_light_radius"),
        image_width_column="cutout_width",
        image_up_deg=round(UP_DEG, 1),
        seen_arcsec=round(STAMP_PIXELS * PIXEL_ARCSEC, 2),
        sky_background=sky_background,
        invariance=blind_to,
        columns=COLUMNS,
    )


_NOT_CALIBRATED = "from the pixel values of a colour picture stretched for the eye: not calibrated."
_BY_DESCRIPTOR = "measured by the descriptor in the frame of the galaxy's own ellipse."

COLUMNS = {
    "objid": ColumnDescription("", "meta.id;meta.main", "Number of the galaxy in this catalogue, 1 is the brightest."),
    "ra": ColumnDescription("deg", "pos.eq.ra;meta.main", "Right ascension (ICRS)."),
    "dec": ColumnDescription("deg", "pos.eq.dec;meta.main", "Declination (ICRS)."),
    "x_pixel": ColumnDescription("pix", "pos.cartesian.x", "Column in the picture, from 0 at the centre of the first."),
    "y_pixel": ColumnDescription("pix", "pos.cartesian.y", "Row in the picture, from 0 at the top."),
    "inst_mag_red": ColumnDescription(
        "mag", "phot.mag", f"Instrumental magnitude of the red channel, {_NOT_CALIBRATED}"
    ),
    "inst_mag_green": ColumnDescription(
        "mag", "phot.mag", f"Instrumental magnitude of the green channel, {_NOT_CALIBRATED}"
    ),
    "inst_mag_blue": ColumnDescription(
        "mag", "phot.mag", f"Instrumental magnitude of the blue channel, {_NOT_CALIBRATED}"
    ),
    "inst_blue_minus_green": ColumnDescription(
        "mag", "phot.color", f"Instrumental colour, blue − green channel, {_NOT_CALIBRATED}"
    ),
    "inst_green_minus_red": ColumnDescription(
        "mag", "phot.color", f"Instrumental colour, green − red channel, {_NOT_CALIBRATED}"
    ),
    "snr": ColumnDescription("", "stat.snr", "Light of the footprint over the noise of as many pixels of sky."),
    "half_light_radius": ColumnDescription("arcsec", "phys.angSize", "Radius of the circle with half of the light."),
    "axis_ratio": ColumnDescription("", "src.morph.param", "Minor over major axis, from second moments."),
    "position_angle": ColumnDescription("deg", "pos.posAng", "Direction of the major axis, east of north."),
    "footprint_pixels": ColumnDescription("pix", "phys.area", "Pixels above 1.5 sigma of the sky's noise."),
    "blended": ColumnDescription("", "meta.code.qual", "1 where the galaxy was separated from an overlapping one."),
    "concentration": ColumnDescription("", "src.morph.param", f"5 log10 (r80 / r20), {_BY_DESCRIPTOR}"),
    "asymmetry": ColumnDescription("", "src.morph.param", f"Change under half a turn, {_BY_DESCRIPTOR}"),
    "gini": ColumnDescription("", "src.morph.param", f"Gini coefficient of the light, {_BY_DESCRIPTOR}"),
    "m20": ColumnDescription(
        "", "src.morph.param", f"Second moment of the brightest fifth over the whole, log10, {_BY_DESCRIPTOR}"
    ),
    **artefact_columns.describe_columns("", "in grey levels of 255"),
    "cutout_width": ColumnDescription("arcsec", "phys.angSize", "How much sky the cut-out shows, from side to side."),
    "edge": ColumnDescription("", "meta.code.qual", "1 where the picture ends close by and sky noise fills the rest."),
}
