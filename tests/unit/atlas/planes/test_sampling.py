"""The random order of rows: `atlas.planes.sampling`."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.planes.sampling import level_of, row_hash, smallest, uniform_sample

MASK = 2**64 - 1


def split_mix(state: int, count: int) -> list[int]:
    """SplitMix64 as its authors write it, in Python's integers."""
    numbers = []
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        numbers.append(z ^ (z >> 31))
    return numbers


def test_split_mix_oracle_gives_the_published_numbers() -> None:
    assert split_mix(1234567, 3) == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@given(st.integers(0, 2**63), st.integers(0, 2**32 - 50))
def test_hashes_are_the_numbers_of_a_split_mix_generator(seed: int, first: int) -> None:
    start = split_mix(seed, 1)[0] - 0x9E3779B97F4A7C15
    expected = split_mix((start + first * 0x9E3779B97F4A7C15) & MASK, 20)
    assert row_hash(np.arange(first, first + 20, dtype=np.uint32), seed).tolist() == expected


def test_hash_of_a_row_depends_on_row_and_seed_only() -> None:
    rows = np.random.default_rng(0).permutation(10_000).astype(np.uint32)
    whole = row_hash(rows, 7)
    assert np.array_equal(row_hash(rows[3000:3010].astype(np.int64), 7), whole[3000:3010])
    assert not np.isin(row_hash(rows, 8), whole).any()
    assert np.unique(whole).size == rows.size


def test_rows_are_not_changed_by_hashing_them() -> None:
    rows = np.arange(5, dtype=np.uint64)
    row_hash(rows, 1)
    assert rows.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("bits", range(12, 65))
def test_level_is_the_number_of_leading_zeros(bits: int) -> None:
    numbers = [1 << (bits - 1), (1 << bits) - 1]
    assert level_of(np.array(numbers, dtype=np.uint64)).tolist() == [64 - bits] * 2


def test_each_level_is_half_as_large_as_the_one_below() -> None:
    sizes = np.bincount(level_of(row_hash(np.arange(1_000_000), 3)))[:8]
    expected = 1_000_000 / 2.0 ** np.arange(1, 9)
    assert (np.abs(sizes - expected) < 5 * np.sqrt(expected)).all()


def test_higher_levels_have_the_smaller_hashes() -> None:
    hashes = np.sort(row_hash(np.arange(10_000), 1))
    assert (np.diff(level_of(hashes).astype(int)) <= 0).all()


@given(st.integers(0, 60), st.integers(0, 80), st.integers(0, 1000))
def test_smallest_finds_the_smallest_in_order(count: int, budget: int, seed: int) -> None:
    hashes = row_hash(np.arange(count), seed)
    assert hashes[smallest(hashes, budget)].tolist() == sorted(hashes.tolist())[:budget]


def test_a_smaller_sample_is_the_beginning_of_a_larger_one() -> None:
    rows = np.arange(0, 5000, 3, dtype=np.uint32)
    assert np.array_equal(uniform_sample(rows, 2, 10), uniform_sample(rows, 2, 500)[:10])


def test_sample_of_a_part_keeps_what_the_whole_sample_had_there() -> None:
    rows = np.arange(5000, dtype=np.uint32)
    part = rows[rows % 7 == 0]
    whole = uniform_sample(rows, 4, 300)
    assert np.isin(whole[whole % 7 == 0], uniform_sample(part, 4, 300)).all()


def test_every_row_is_drawn_equally_often() -> None:
    rows, trials = np.arange(50, dtype=np.uint32), 4000
    drawn = np.zeros(rows.size)
    for seed in range(trials):
        drawn[uniform_sample(rows, seed, 10)] += 1
    expected = trials * 10 / rows.size
    # Chi-squared of 49 degrees of freedom, for draws without replacement; 99.99 % lie below 94.
    assert ((drawn - expected) ** 2 / (expected * 0.8)).sum() < 94
