"""Stage `thumbnails`: the images of a source, scaled and packed into few large files."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas import format as layout
from atlas.errors import InputError
from atlas.images import ThumbnailWriter
from precompute.context import StageContext
from precompute.sources.guess import guess_magnitude


class PackThumbnails:
    """Packs one image a row, where the source has images; unreadable ones are counted and named, not fatal."""

    name = "thumbnails"
    version = 2
    needs = ("read",)
    parameters = ("thumbnails", "thumbnail_pixels")
    outputs = (layout.THUMBNAILS,)
    reads_source = True

    def run(self, ctx: StageContext) -> None:
        """Read, scale, encode and pack."""
        if not ctx.source.has_images:
            ctx.measured = {"present": 0, "source_pixels": 0}
            return
        unreadable: list[str] = []
        shapes = set()
        n = ctx.source.n_rows
        rows = _wanted_rows(ctx)
        with (
            ThumbnailWriter(ctx.build / layout.THUMBNAILS, n, ctx.config.thumbnail_pixels) as writer,
            ctx.progress(len(rows), "images") as bar,
        ):
            for row in rows:
                bar.update()
                try:
                    image = ctx.source.image(int(row))
                except InputError as e:
                    unreadable.append(str(e))
                    continue
                if image is not None:
                    writer.add(int(row), image)
                    shapes.add(image.shape)
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


def brightest_rows(magnitude: NDArray[np.floating[Any]], count: int) -> NDArray[np.int64]:
    """Rows of the smallest magnitudes, ascending by row; those without a magnitude come last, ties go by row.

    Parameters
    ----------
    magnitude : ndarray of shape (n,), float
    count : int
        At most n.
    """
    return np.sort(np.argsort(magnitude, kind="stable")[:count])


def _wanted_rows(ctx: StageContext) -> NDArray[np.int64]:
    n, wanted = ctx.source.n_rows, ctx.config.thumbnails
    name = guess_magnitude(ctx.source.column_names)
    if 0 < wanted < n and name:
        magnitude = ctx.load(ctx.build / layout.COLUMNS / f"{name}.npy")
        if magnitude.dtype.kind == "f":
            return brightest_rows(magnitude, wanted)
    # Where nothing says how bright galaxies are, the survey's own order is as good as any.
    return np.arange(min(n, wanted or n))


def _common_edge(shapes: set[tuple[int, ...]]) -> int:
    """Edge of images that are all squares of one size, else 0."""
    edges = {edge for shape in shapes for edge in shape[:2]}
    return edges.pop() if len(edges) == 1 else 0


STAGE = PackThumbnails()
