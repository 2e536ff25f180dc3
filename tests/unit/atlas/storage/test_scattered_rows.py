"""Scattered rows: the right ones, and asked for together where the disk has to be waited for."""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from atlas.storage.scattered_rows import CAN_ASK, PROBE_ROWS, disk_reads, read_rows

N = 100_000


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("reading") / "rows.npy"
    np.save(path, np.random.default_rng(0).standard_normal((N, 128)).astype(np.float16))
    with path.open("rb") as file:
        os.fsync(file.fileno())  # what is not yet written cannot be dropped
    return path


@pytest.fixture(scope="module")
def stored(path: Path) -> NDArray[np.float16]:
    return np.load(path)


def chilled(path: Path) -> NDArray[Any]:
    """The array mapped, none of it in memory; the system reads no further than it is asked."""
    mapped = np.load(path, mmap_mode="r")
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    mapped._mmap.madvise(mmap.MADV_RANDOM)
    return mapped


class TestReadRows:
    @pytest.mark.parametrize("shape", [(0,), (1,), (PROBE_ROWS,), (PROBE_ROWS + 1,), (700,), (30, 40)])
    def test_gives_what_numpy_gives(self, stored: NDArray[np.float16], path: Path, shape: tuple[int, ...]) -> None:
        rows = np.random.default_rng(1).integers(-N, N, shape)
        for array in (stored, np.load(path, mmap_mode="r")):
            found = read_rows(array, rows)
            np.testing.assert_array_equal(found, stored[rows])
            assert found.dtype == stored.dtype
            assert not np.shares_memory(found, array)

    def test_reads_columns_and_rows_that_do_not_lie_end_to_end(self, stored: NDArray[np.float16]) -> None:
        rows = np.arange(0, N // 2, 7)
        for array in (stored[:, 3], stored[::2], stored[::2, 5:9]):
            np.testing.assert_array_equal(read_rows(array, rows), array[rows])

    @pytest.mark.parametrize("wrong", [N, -N - 1])
    def test_refuses_a_row_that_does_not_exist(self, stored: NDArray[np.float16], wrong: int) -> None:
        with pytest.raises(IndexError):
            read_rows(stored, np.append(np.arange(50), wrong))


@pytest.mark.skipif(not (CAN_ASK and hasattr(os, "posix_fadvise")), reason="no way to empty the cache of a file")
class TestColdRows:
    rows = np.sort(np.random.default_rng(2).choice(N, 1_000, replace=False))

    def test_are_waited_for_a_few_times_however_many(self, stored: NDArray[np.float16], path: Path) -> None:
        mapped = chilled(path)
        before = disk_reads()
        picked = np.asarray(mapped)[self.rows]
        one_by_one = disk_reads() - before
        if one_by_one < 500:
            pytest.skip("this file system keeps in memory what it was asked to drop")
        del mapped, picked

        mapped = chilled(path)
        before = disk_reads()
        found = read_rows(mapped, self.rows)
        assert disk_reads() - before <= PROBE_ROWS
        np.testing.assert_array_equal(found, stored[self.rows])

    @pytest.mark.parametrize("dtype", [np.uint32, np.int32, np.uint64, np.int64])
    def test_are_asked_for_at_their_own_addresses_whatever_the_integers(
        self, stored: NDArray[np.float16], path: Path, dtype: type[np.integer[Any]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        mapped = chilled(path)
        begin, stop = mapped.__array_interface__["data"][0], mapped.__array_interface__["data"][0] + mapped.nbytes
        pages = {
            (begin + row * mapped.strides[0]) // mmap.PAGESIZE * mmap.PAGESIZE for row in self.rows.astype(int).tolist()
        }
        asked: list[int] = []
        monkeypatch.setattr("atlas.storage.scattered_rows._is_cold", lambda stored, rows: True)
        monkeypatch.setattr(
            "atlas.storage.scattered_rows._madvise", lambda address, length, advice: asked.append(address)
        )
        np.testing.assert_array_equal(read_rows(mapped, self.rows.astype(dtype)), stored[self.rows])
        assert {*asked} == pages and max(asked) < stop

    def test_are_not_asked_for_where_they_are_warm(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        mapped = np.load(path, mmap_mode="r")
        np.asarray(mapped).sum()
        asked: list[int] = []
        monkeypatch.setattr("atlas.storage.scattered_rows._ask_for", lambda stored, rows: asked.append(rows.size))
        read_rows(mapped, self.rows)
        assert asked == []
