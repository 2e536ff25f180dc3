"""Disagreement of two embedding spaces: of the ten nearest in one, the share not among the ten nearest in the other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atlas.catalog.columns import describe_numbers
from atlas.storage import layout
from atlas.storage.arrays import open_array
from atlas.storage.manifest import Column

from .row_passes import fill_rows
from .stage import StageContext

VERSION = 1
CHUNK_ROWS = 65_536


def column_name(space: str) -> str:
    """Name of the column of a space that was added."""
    return f"disagreement_{space}"[:64]


def disagreement(left: NDArray[np.uint32], right: NDArray[np.uint32]) -> NDArray[np.float32]:
    """Share of the nearest of each row in one space that are not among its nearest in the other.

    Parameters
    ----------
    left, right : ndarray of shape (m, k), uint32
        Distinct rows.

    Returns
    -------
    ndarray of shape (m,), float32
        0 where both are the same, 1 where none is in both; 0 where there are no neighbours.
    """
    k = left.shape[1]
    shared = (left[:, :, None] == right[:, None, :]).sum(axis=(1, 2), dtype=np.float32)
    share: NDArray[np.float32] = 1 - shared / np.float32(k) if k else np.zeros(len(left), dtype=np.float32)
    return share


def write_disagreement(ctx: StageContext, first: Path, second: Path, *, first_row: int = 0) -> None:
    """Fill the column of the second space, from the neighbours that both keep; a killed run goes on.

    Parameters
    ----------
    ctx : StageContext
    first, second : Path
        Folders of the two spaces. Rows whose neighbours one of them does not know (`--knn sample`) get NaN.
    first_row : int
        Row that those folders begin with.
    """
    n = ctx.load(second / layout.EMBEDDINGS).shape[0]
    rows = np.arange(first_row, first_row + n, dtype=np.uint32)
    (left, left_at), (right, right_at) = _neighbors(ctx, first, rows), _neighbors(ctx, second, rows)
    known = np.intersect1d(left_at, right_at, assume_unique=True)
    at, own = (np.searchsorted(left_at, known), np.searchsorted(right_at, known)), known - np.uint32(first_row)
    values = ctx.open_or_create(ctx.build / layout.COLUMNS / f"{column_name(ctx.config.space)}.npy", (n,), np.float32)
    if known.size < n and not ctx.kept().rows:
        values[:] = np.nan

    def work(part: slice) -> tuple[NDArray[np.float32]]:
        return (disagreement(left[at[0][part]], right[at[1][part]]),)

    place = own.__getitem__
    fill_rows(ctx, work, known.size, CHUNK_ROWS, (values,), place=place, workers=ctx.here)
    values.flush()
    ctx.measured["mean"] = round(float(np.mean(values[own], dtype=np.float64)), 4) if known.size else None
    ctx.forget()


def _neighbors(
    ctx: StageContext, space: Path, rows: NDArray[np.uint32]
) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Nearest of those of some rows that a space knows, and which these are, ascending."""
    sampled = space / layout.KNN / layout.KNN_SAMPLED
    known = np.array(ctx.load(sampled)) if sampled.exists() else rows
    return ctx.load(space / layout.KNN / layout.KNN_ROWS), known


def disagreement_column(build: Path, first: str, second: str) -> Column:
    """Entry of the column in the manifest."""
    path = build / layout.COLUMNS / f"{column_name(second)}.npy"
    array = open_array(path)
    missing, quantiles = describe_numbers(array)
    return Column(
        name=path.stem,
        file=path.relative_to(build).as_posix(),
        dtype=array.dtype.name,
        kind="number",
        description=(
            f"How differently the spaces {first} and {second} see the galaxy: share of its ten nearest in one that are "
            "not among its ten nearest in the other; 0 the same, 1 none in common"
        ),
        missing=missing,
        quantiles=quantiles,
        low="seen alike",
        high="seen differently",
    )
