"""Masks: packed sets of rows, asked without being unpacked."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from atlas.mask import Mask

dense_masks = npst.arrays(np.bool_, st.integers(1, 200))


@given(dense=dense_masks, size=st.integers(0, 250), seed=st.integers(0, 9))
def test_a_sample_holds_selected_rows_once_each_and_all_where_they_are_few(
    dense: np.ndarray, size: int, seed: int
) -> None:
    mask = Mask.from_dense(dense)
    sample = mask.sample(size, seed)
    assert sample.size == min(size, dense.sum())
    assert (np.diff(sample) > 0).all() and dense[sample].all()
    assert np.array_equal(sample, mask.sample(size, seed))
    if size >= dense.sum():
        assert np.array_equal(sample, np.flatnonzero(dense))


def test_every_selected_row_is_sampled_equally_often() -> None:
    rng = np.random.default_rng(0)
    mask = Mask.from_dense(rng.random(1_003) < 0.3)
    drawn = np.bincount(np.concatenate([mask.sample(60, seed) for seed in range(2_000)]), minlength=1_003)
    expected = 2_000 * 60 / mask.count
    assert (drawn[~mask.dense] == 0).all()
    # Counts are nearly binomial: the squared deviations of m of them are a chi-square of mean m.
    deviation = ((drawn[mask.dense] - expected) ** 2 / (expected * (1 - 60 / mask.count))).sum()
    assert deviation == pytest.approx(mask.count, abs=5 * np.sqrt(2 * mask.count))


@given(dense=dense_masks, data=st.data())
def test_rows_are_looked_up_in_the_packed_mask(dense: np.ndarray, data: st.DataObject) -> None:
    rows = data.draw(npst.arrays(np.uint32, (5, 2), elements=st.integers(0, dense.size - 1)))
    found = Mask(np.packbits(dense, bitorder="little"), dense.size).holds(rows)
    assert found.dtype == np.bool_ and np.array_equal(found, dense[rows])
