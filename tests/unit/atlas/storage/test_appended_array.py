"""Arrays of several files: one array, whatever the sizes, and nothing copied."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from atlas.errors import FormatError
from atlas.storage.appended_array import CUT_BYTES, is_part, part_path, part_paths, write_part
from atlas.storage.arrays import open_array

HEADER = 128


def write_all(path: Path, whole: NDArray[np.generic], sizes: list[int]) -> None:
    """The array in as many files as there are sizes."""
    ends = np.cumsum(sizes)
    np.save(path, whole[: ends[0]])
    for number in range(1, len(sizes)):
        write_part(path, number, whole[ends[number - 1] : ends[number]])


def drawn(dtype: str, n: int, width: int) -> NDArray[np.generic]:
    rng = np.random.default_rng(n)
    if dtype.startswith("S"):
        return np.array([f"galaxy {i}".encode() for i in range(n)], dtype=dtype)
    shape = (n, width) if width else (n,)
    return rng.integers(0, 250, shape).astype(dtype)


@pytest.mark.parametrize(
    ("dtype", "width"), [("float16", 129), ("float64", 0), ("S17", 0), ("uint8", 0), ("int32", 10)]
)
@pytest.mark.parametrize(
    "sizes",
    [
        [1_000, 3, 50_000],
        [70_000, 1, 1, 9],
        [16, 2],
        [CUT_BYTES - HEADER, 5],  # of one byte a row, the first file ends at a cut
        [2 * CUT_BYTES - HEADER - 1, 1, 1],
    ],
)
def test_parts_read_as_one_array(tmp_path: Path, dtype: str, width: int, sizes: list[int]) -> None:
    whole = drawn(dtype, sum(sizes), width)
    path = tmp_path / "values.npy"
    write_all(path, whole, sizes)
    opened = open_array(path, shape=whole.shape, dtype=dtype)
    np.testing.assert_array_equal(opened, whole)
    assert opened.flags.c_contiguous and not opened.flags.writeable
    rows = np.random.default_rng(1).integers(len(whole), size=200)
    np.testing.assert_array_equal(opened[rows], whole[rows])


def test_a_view_outlives_the_array_it_is_of(tmp_path: Path) -> None:
    whole = np.arange(100_000, dtype=np.float64)
    write_all(tmp_path / "x.npy", whole, [60_000, 40_000])
    view = open_array(tmp_path / "x.npy")[::7]
    np.testing.assert_array_equal(view, whole[::7])


def test_files_before_stay_as_they_are_and_little_is_repeated(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.arange(1_000_000, dtype=np.float32))
    before = path.read_bytes()
    part = write_part(path, 1, np.arange(10, dtype=np.float32))
    assert path.read_bytes() == before
    assert part.stat().st_size < CUT_BYTES + 40
    assert part_paths(path) == [part] == [part_path(path, 1)]
    assert is_part(part) and not is_part(path) and not is_part(tmp_path / "catalog.1")


def test_an_array_that_is_mapped_already_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.arange(30_000, dtype=np.float32))
    early = open_array(path)
    write_part(path, 1, np.full(30_000, -1, dtype=np.float32))
    late = open_array(path)
    assert early.shape == (30_000,) and late.shape == (60_000,)
    np.testing.assert_array_equal(early, late[:30_000])


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda part: part.write_bytes(part.read_bytes()[:-2]), "ends inside a row"),
        (lambda part: part.write_bytes(b""), "truncated"),
        (lambda part: part.write_bytes(part.read_bytes()[:-8]), "shape"),
    ],
)
def test_a_damaged_part_is_named(tmp_path: Path, damage: object, told: str) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.arange(30_000, dtype=np.float32))
    part = write_part(path, 1, np.arange(10, dtype=np.float32))
    damage(part)  # type: ignore[operator]
    with pytest.raises(FormatError, match=told):
        open_array(path, shape=(30_010,))


def test_an_array_in_column_order_cannot_go_on(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.asfortranarray(np.ones((40, 3))))
    write_part(path, 1, np.ones((2, 3)))
    with pytest.raises(FormatError, match="column by column"):
        open_array(path)
