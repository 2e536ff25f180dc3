"""Stage `artefacts`: how plainly each image is spoilt, measured from the images of a source that does not tell it.

The columns are those of `precompute.descriptor.artefact_columns`, and lie in a folder of their own beside the
catalogue's. Images that are drawn when they are wanted are not measured: there may be millions, at some cost each.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from atlas.catalog.anomalies import ARTEFACT
from atlas.errors import InputError
from atlas.storage import layout

from ..descriptor.artefact_columns import COLUMNS, artefact_columns, describe_columns
from ..descriptor.artefacts import measure_artefacts
from ..descriptor.sky_level import ImageFloats, fill_blank
from ..sources.column_types import NormalizedColumn
from ..sources.source import Source
from .costs import Cost, Sizes
from .read import describe_column
from .row_passes import fill_rows
from .stage import BuildStage, StageContext

CHUNK_ROWS = 64
"""Images that a thread holds at a time: at most 50 MB of them."""
KEEP_EVERY = 8_192
"""Images between two records of progress: half a minute of work."""
MIN_PIXELS, MAX_PIXELS = 24, 256
"""Smaller images tell nothing of their sky; larger ones are averaged in blocks, which costs a thin line little."""


class MeasureArtefacts(BuildStage):
    """Measures the image of every row; rows without one, or with one that cannot be read, have no value."""

    name = "artefacts"
    version = 1
    needs = ("read",)
    outputs = (layout.ARTEFACTS,)
    reads_source = True
    source_parts = ("images",)

    def cost(self, s: Sizes) -> Cost:
        """See `BuildStage.cost`."""
        return Cost(shared=s.measured * 3e-3, disk=s.measured * len(COLUMNS) * 4)

    def files_read(self, need: str, ctx: StageContext) -> tuple[str, ...] | None:
        """See `BuildStage.files_read`: images are found by id."""
        return (layout.IDENTITY,)

    def choices(self, ctx: StageContext) -> list[str]:
        """See `BuildStage.choices`: what the catalogue has is not measured."""
        return [name for name in COLUMNS if name in ctx.source.column_names]

    def run(self, ctx: StageContext) -> None:
        """Write the columns, where there are images and the catalogue does not have them."""
        ctx.measured = {"columns": []}
        if count_measured(ctx.source):
            ctx.measured = self._measure(ctx)

    def _measure(self, ctx: StageContext) -> dict[str, Any]:
        # A name that the catalogue has means what it means there.
        names = [name for name in COLUMNS if name not in ctx.source.column_names]
        found, n = fill_columns(ctx, names, ctx.build / layout.ARTEFACTS)
        if not n:
            return {"columns": []}
        described = describe_columns("", "in grey levels of 255")
        columns = [
            msgspec.structs.replace(
                describe_column(name, NormalizedColumn("number", values), described[name], truth=False),
                file=f"{layout.ARTEFACTS}/{name}.npy",
            )
            for name, values in found.items()
        ]
        ctx.forget()
        if n < ctx.source.n_rows:
            ctx.note(f"{ctx.source.n_rows - n:,} of {ctx.source.n_rows:,} galaxies have no image that can be measured")
        return {"columns": msgspec.to_builtins(columns), "present": n}


def count_measured(source: Source) -> int:
    """Rows whose images are measured: all or none."""
    return 0 if ARTEFACT in source.column_names else source.image_count(0)


def fill_columns(ctx: StageContext, names: Iterable[str], folder: Path) -> tuple[dict[str, np.memmap[Any, Any]], int]:
    """Columns of all rows of the source, each (n,) of float32, as files of a folder, and how many were measured.

    Goes on where it was killed. What has no image is not spoilt: hiding artefacts must not hide it.
    """
    source = ctx.source
    columns = {name: ctx.open_or_create(folder / f"{name}.npy", (source.n_rows,), np.float32) for name in names}
    work = partial(_measure_chunk, source, tuple(columns))
    fill_rows(ctx, work, source.n_rows, CHUNK_ROWS, tuple(columns.values()), keep_every=KEEP_EVERY)
    without = np.isnan(columns[ARTEFACT])
    columns[ARTEFACT][without] = 0
    columns[ARTEFACT].flush()
    return columns, source.n_rows - int(np.count_nonzero(without))


def _measure_chunk(source: Source, names: tuple[str, ...], part: slice) -> list[ImageFloats]:
    found = measure_rows(source, range(part.start, part.stop))
    return [found[name] for name in names]


def measure_rows(source: Source, rows: range) -> dict[str, ImageFloats]:
    """Columns of some rows, each (len(rows),); NaN where there is no image, or none that can be read."""
    of_shape: dict[tuple[int, ...], dict[int, NDArray[Any]]] = {}
    for place, row in enumerate(rows):
        try:
            image = source.image(row)
        except InputError:  # the stage of thumbnails counts and names them
            continue
        if image is not None and min(image.shape[:2]) >= MIN_PIXELS:
            image = _averaged(image)
            of_shape.setdefault(image.shape, {})[place] = image
    columns = {name: np.full(len(rows), np.nan, np.float32) for name in COLUMNS}
    for shape, images in of_shape.items():
        measured = measure_artefacts(*fill_blank(np.stack(list(images.values()))))
        for name, values in artefact_columns(measured, shape[0] * shape[1]).items():
            columns[name][list(images)] = values
    return columns


def _averaged(image: NDArray[Any]) -> NDArray[Any]:
    """An image of at most `MAX_PIXELS` a side, by means of square blocks; what is left over at an edge is cut off."""
    block = -(-max(image.shape[:2]) // MAX_PIXELS)
    if block == 1:
        return image
    height, width = (edge // block for edge in image.shape[:2])
    cut = image[: height * block, : width * block]
    averaged: NDArray[Any] = cut.reshape(height, block, width, block, -1).mean(axis=(1, 3), dtype=np.float32)
    return averaged


STAGE = MeasureArtefacts()
