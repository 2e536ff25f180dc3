"""One embedding that stands for a group of galaxies."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from atlas.errors import InputError
from atlas.mask import Mask
from atlas.space import OpenSpace
from atlas.storage.scattered_rows import read_rows

GROUP_ROWS = 50_000
"""Galaxies of a group whose mean is taken: that of more is the same to half a percent of how far they scatter."""


def group_embedding(space: OpenSpace, group: Mask) -> NDArray[np.float64]:
    """The unit mean embedding of some rows, or of a fair sample of them.

    Raises
    ------
    InputError
        If there are none.
    """
    rows = group.sample(GROUP_ROWS, seed=0)
    if not rows.size:
        raise InputError("the group that galaxies should be like holds none: drop it, or take another")
    mean = np.asarray(read_rows(space.embeddings, rows).mean(axis=0, dtype=np.float64))
    length = float(np.linalg.norm(mean))
    return mean / length if length else mean
