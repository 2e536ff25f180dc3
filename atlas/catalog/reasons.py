"""Reason to call a galaxy odd: the column of the catalogue in which it stands farthest out."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from atlas.catalog.anomalies import ARTEFACT, SPOILT
from atlas.catalog.cluster_labels import Word
from atlas.catalog.columns import QUANTILES, Columns, is_magnitude
from atlas.catalog.senses import sense, standing
from atlas.storage.manifest import Column

FAR_OUT = 0.95
"""Share of galaxies beyond which a value is worth a word."""


def reasons(columns: Columns, used: Iterable[Column], rows: NDArray[np.integer]) -> list[Word | None]:
    """A word for each of some galaxies, by the manifest's quantiles; None where nothing in the catalogue stands out.

    A spoilt image explains itself before anything else. Magnitudes do not speak: what is odd is odd for its brightness.

    Parameters
    ----------
    columns : Columns
    used : iterable of Column
        Columns that may speak.
    rows : ndarray of shape (m,), integer
        A page of a gallery: each column is read at these rows alone.
    """
    farthest = np.full(len(rows), FAR_OUT)
    found: list[Word | None] = [None] * len(rows)
    for column in used:
        if column.kind != "number" or is_magnitude(column) or len(column.quantiles) != len(QUANTILES):
            continue
        values = np.asarray(columns.array(column.name)[rows], dtype=np.float64)
        share = np.interp(values, column.quantiles, QUANTILES)  # NaN stays NaN
        out = np.maximum(share, 1 - share)
        for place in np.flatnonzero(out > farthest).tolist():
            told = standing(column, float(values[place]))
            if told:
                farthest[place] = out[place]
                found[place] = Word(getattr(sense(column), "high" if share[place] > 0.5 else "low"), told)
    if ARTEFACT in columns and columns.describe(ARTEFACT).kind == "number":
        spoilt = np.asarray(columns.array(ARTEFACT)[rows], dtype=np.float64)
        for place in np.flatnonzero(spoilt > SPOILT).tolist():
            found[place] = Word("spoilt image", f"its image is spoilt ({ARTEFACT} {spoilt[place]:.2f})")
    return found
