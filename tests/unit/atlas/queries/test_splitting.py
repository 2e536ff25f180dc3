"""Parts of a selection: those that are there, the same each time, each galaxy in one."""

from __future__ import annotations

import numpy as np
import pytest

from atlas.errors import InputError
from atlas.mask import Mask
from atlas.queries.splitting import CHUNK_ROWS, assign, part_mask, require_splittable, split_middles
from tests.unit.groups import grouped_embeddings


def test_groups_are_found_and_every_galaxy_is_in_one_part() -> None:
    embeddings, groups = grouped_embeddings([400, 300, 200, 100], spread=0.3)
    inside = Mask.from_dense(groups > 0)
    parts = [part_mask(embeddings, inside, 3, number) for number in range(3)]
    assert sum(part.count for part in parts) == inside.count
    for part, group in zip(parts, (1, 2, 3), strict=True):
        assert (groups[part.rows] == group).mean() > 0.95, "the largest first"
    again = part_mask(embeddings, inside, 3, 1)
    np.testing.assert_array_equal(again.packed, parts[1].packed)


def test_rows_go_to_the_nearest_middle_and_progress_is_told() -> None:
    embeddings, _ = grouped_embeddings([CHUNK_ROWS, 50])
    middles = split_middles(embeddings, Mask.from_dense(np.ones(len(embeddings), bool)), 2)
    told: list[int] = []
    rows = np.arange(len(embeddings))
    found = assign(embeddings, rows, middles, told.append)
    np.testing.assert_array_equal(found, (embeddings @ middles.T).argmax(axis=1))
    assert told == [CHUNK_ROWS, rows.size]


def test_what_cannot_be_split_is_refused_with_what_can() -> None:
    with pytest.raises(InputError, match="39 galaxies are selected: from 40 to 2,000,000 can be split"):
        require_splittable(39)
    embeddings, _ = grouped_embeddings([50, 50])
    with pytest.raises(InputError, match="there is no part 5: the selection falls into 2"):
        part_mask(embeddings, Mask.from_dense(np.ones(100, bool)), 2, 5)
