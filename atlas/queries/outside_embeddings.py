"""Embeddings from elsewhere as examples: an array, or a file of numpy's, of one or several rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.errors import InputError, shorten
from atlas.storage.npy import open_npy

MOST_ROWS = 1_000


def outside_embeddings(given: Any, dimension: int) -> NDArray[np.float32]:
    """Given embeddings, checked and brought to unit length.

    Parameters
    ----------
    given : array-like of shape (d,) or (m, d), str or Path
        Text is the name of a .npy file, of which only its numbers are read: what would run code is refused.
    dimension : int
        What d has to be.

    Returns
    -------
    ndarray of shape (m, d), float32

    Raises
    ------
    InputError
        If the file cannot be read, or what is given is of another shape, too long, not numbers, not finite or nought.
    """
    if isinstance(given, str | Path):
        try:
            # Mapped: a header that promises more than the file holds is refused, and nothing is read for it.
            given = open_npy(Path(given))
        except (OSError, ValueError, EOFError) as e:
            raise InputError(f"{shorten(given, 80)} is not a .npy file of numbers that can be read") from e
    rows = np.atleast_2d(np.asarray(given))
    if rows.ndim != 2 or rows.shape[1] != dimension or not 1 <= len(rows) <= MOST_ROWS:
        shape = "×".join(map(str, np.shape(given))) or "no"
        raise InputError(f"embeddings here have {dimension} numbers, in 1 to {MOST_ROWS:,} rows; {shape} were given")
    if rows.dtype.kind not in "fiu":
        raise InputError(f"embeddings are real numbers, not {rows.dtype.name}")
    wide = rows.astype(np.float64)
    length = np.linalg.norm(wide, axis=1, keepdims=True)
    if not (np.isfinite(wide).all() and (length > 1e-6).all()):
        raise InputError("an embedding holds a value that is not finite, or has no length")
    unit: NDArray[np.float32] = (wide / length).astype(np.float32)
    return unit
