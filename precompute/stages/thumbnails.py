"""Stage `thumbnails`: the images of a source, scaled and packed into few large files."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from atlas.errors import InputError
from atlas.storage import layout
from atlas.storage.thumbnails import ThumbnailWriter, encode_thumbnail

from ..parallel import slices_of
from ..sources.column_guesses import guess_magnitude
from ..sources.source import Source
from .costs import Cost, Sizes
from .stage import BuildStage, StageContext

CHUNK_ROWS = 256
"""Images that a thread reads and encodes at a time: 2 MB once they are encoded."""


class PackThumbnails(BuildStage):
    """Packs one image a row, where the source has images; unreadable ones are counted and named, not fatal."""

    name = "thumbnails"
    version = 3
    needs = ("read",)
    parameters = ("thumbnails", "thumbnail_pixels")
    outputs = (layout.THUMBNAILS,)
    reads_source = True
    source_parts = ("images",)

    def cost(self, s: Sizes) -> Cost:
        """See `BuildStage.cost`."""
        return Cost(shared=s.images * 5e-3, disk=s.images * (s.config.thumbnail_pixels**2 * 3 // 5))

    def files_read(self, need: str, ctx: StageContext) -> tuple[str, ...] | None:
        """See `BuildStage.files_read`: images are found by id, and those of the brightest are stored."""
        return layout.IDENTITY, f"{layout.COLUMNS}/{guess_magnitude(ctx.source.column_names)}.npy"

    def run(self, ctx: StageContext) -> None:
        """Read, scale, encode and pack."""
        count = ctx.source.image_count(ctx.config.thumbnails)
        if not count:
            ctx.measured = {"present": 0, "source_pixels": 0}
            if ctx.source.has_images:
                ctx.note("images of this source are drawn when they are wanted: --thumbnails says how many")
            return
        rows = _wanted_rows(ctx, count)
        work = partial(_encode, ctx.source, ctx.config.thumbnail_pixels)
        chunks = [rows[part] for part in slices_of(len(rows), CHUNK_ROWS)]
        unreadable: list[str] = []
        shapes: set[tuple[int, ...]] = set()
        with (
            ThumbnailWriter(ctx.build / layout.THUMBNAILS, ctx.source.n_rows) as writer,
            ctx.progress(len(rows), "images") as bar,
        ):
            # Chunks come in order, so that the files do not depend on who encodes.
            for chunk, done in zip(chunks, ctx.workers.map(work, chunks), strict=True):
                for row, data in done.images:
                    writer.add(row, data)
                unreadable += done.unreadable
                shapes |= done.shapes
                bar.update(len(chunk))
            present = writer.present
        ctx.measured = {
            "present": present,
            "wanted": len(rows),
            "source_pixels": _common_edge(shapes),
            "unreadable": len(unreadable),
            "first_unreadable": unreadable[:5],
        }
        if unreadable:
            ctx.note(f"{len(unreadable)} of {len(rows)} images could not be read; the first: {unreadable[0]}")


class _Encoded(msgspec.Struct):
    """Images of a few rows, ready to be stored; the shapes that they had, and what could not be read."""

    images: list[tuple[int, bytes]]
    shapes: set[tuple[int, ...]]
    unreadable: list[str]


def _encode(source: Source, pixels: int, rows: NDArray[np.int64]) -> _Encoded:
    done = _Encoded([], set(), [])
    for row in rows.tolist():
        try:
            image = source.image(row)
        except InputError as e:
            done.unreadable.append(str(e))
            continue
        if image is not None:
            done.images.append((row, encode_thumbnail(image, pixels)))
            done.shapes.add(image.shape)
    return done


def brightest_rows(magnitude: NDArray[np.floating[Any]], count: int) -> NDArray[np.int64]:
    """Rows of the smallest magnitudes, ascending by row; those without a magnitude come last, ties go by row.

    Parameters
    ----------
    magnitude : ndarray of shape (n,), float
    count : int
        At most n.
    """
    return np.sort(np.argsort(magnitude, kind="stable")[:count])


def _wanted_rows(ctx: StageContext, count: int) -> NDArray[np.int64]:
    name = guess_magnitude(ctx.source.column_names)
    if count < ctx.source.n_rows and name:
        magnitude = ctx.load(ctx.build / layout.COLUMNS / f"{name}.npy")
        if magnitude.dtype.kind == "f":
            return brightest_rows(magnitude, count)
    # Where nothing says how bright galaxies are, the survey's own order is as good as any.
    return np.arange(count)


def _common_edge(shapes: set[tuple[int, ...]]) -> int:
    """Edge of images that are all squares of one size, else 0."""
    edges = {edge for shape in shapes for edge in shape[:2]}
    return edges.pop() if len(edges) == 1 else 0


STAGE = PackThumbnails()
