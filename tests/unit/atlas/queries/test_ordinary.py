"""The ordinary galaxy beside an odd one."""

from __future__ import annotations

import numpy as np

from atlas import Atlas
from atlas.queries.ordinary import ODD, ORDINARY, STEP_MAG, ordinary_like


def test_it_is_the_most_similar_of_all_that_are_ordinary_and_of_its_brightness(small: Atlas) -> None:
    columns, embeddings = small.columns("v1"), np.asarray(small.space().embeddings, dtype=np.float64)
    odd, magnitude = (np.asarray(columns.array(name), dtype=np.float64) for name in ("anomaly", "mag_r"))
    row = int(np.flatnonzero((odd > ODD) & np.isfinite(magnitude))[3])
    query = ordinary_like(small, row)
    assert query is not None
    result = small.run(query)
    step = np.floor(magnitude[row] / STEP_MAG)
    like = (odd <= ORDINARY) & (magnitude >= (step - 1) * STEP_MAG) & (magnitude <= (step + 2) * STEP_MAG)
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    assert result.rows.tolist() == [int(np.where(like, unit @ unit[row], -2).argmax())]


def test_an_ordinary_galaxy_is_shown_alone(small: Atlas) -> None:
    row = int(np.argmin(small.columns("v1").array("anomaly")))
    assert ordinary_like(small, row) is None
