"""Artefacts as columns of a catalogue, for a source that has images."""

from __future__ import annotations

import msgspec
import numpy as np

from ..source_description import ColumnDescription
from .artefacts import score
from .sky_level import ImageFloats

_LINE = "straight line that one band has and the others do not, in sigma of all lines of the image"

COLUMNS = {
    "artefact": ColumnDescription(
        "",
        "meta.code.qual",
        "How plain the strongest artefact of the image is, 0 to 1: a streak, a bad column, a saturated star, a blank "
        "part. Above 0.5 the image is spoilt; 0 also where there is none.",
    ),
    "line_strength": ColumnDescription("", "stat.snr", f"Strongest {_LINE}; above 7.25 a streak."),
    "bad_column_strength": ColumnDescription(
        "", "stat.snr", f"Strongest single row or column of pixels, bright or dark: a {_LINE}; above 6.25 a bad one."
    ),
    "saturated_share": ColumnDescription(
        "",
        "meta.code.qual",
        "Share of the image's pixels within a tenth of the peak of what is brightest in it.",
    ),
    "blank_share": ColumnDescription("", "meta.code.qual", "Share of the image's pixels without data."),
    "edge_share": ColumnDescription("", "meta.code.qual", "Share of the image's border without data: the field ends."),
    "sky_noise": ColumnDescription("", "stat.stdev", "One sigma of the sky in a pixel, mean of the bands."),
}


def describe_columns(unit: str, told: str) -> dict[str, ColumnDescription]:
    """Descriptions for images of a unit of brightness; `told` says in words what the noise is measured in."""
    noise = COLUMNS["sky_noise"]
    return COLUMNS | {
        "sky_noise": msgspec.structs.replace(noise, unit=unit, description=f"{noise.description[:-1]}, {told}.")
    }


def artefact_columns(measured: ImageFloats, pixels: int) -> dict[str, ImageFloats]:
    """Columns of `COLUMNS`, each (n,), from `measure_artefacts` of images of that many pixels."""
    line, column, flat_top, blank, edge, noise = measured.T
    columns = (score(measured), line, column, np.expm1(flat_top) / pixels, blank, edge, noise)
    return dict(zip(COLUMNS, (np.ascontiguousarray(c, dtype=np.float32) for c in columns), strict=True))
