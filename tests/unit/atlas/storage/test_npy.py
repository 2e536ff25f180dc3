"""Arrays as numpy writes them are mapped without Python's parser, which two threads may not use at once everywhere."""

from __future__ import annotations

import ast
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from atlas.storage.npy import open_npy

OPEN_FILES = Path("/proc/self/fd")
ARRAYS = [
    np.arange(5),
    np.zeros((0, 3), np.float16),
    np.float32(7).reshape(()),
    np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    np.array([True, False]),
    np.array(["ab", "c"]),
    np.arange(24, dtype=">u2").reshape(2, 3, 4),
    np.array(["2020-01-01"], "datetime64[D]"),  # numpy reads these two, their headers are not of the plain kind
    np.zeros(3, [("ra", "<f8"), ("id", "<u8")]),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: f"{a.dtype.str}{a.shape}")
def test_an_array_is_what_was_written(array: np.ndarray[Any, Any], tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", array)
    found = open_npy(tmp_path / "a.npy")
    assert found.dtype == array.dtype and found.flags.f_contiguous == array.flags.f_contiguous
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("array", ARRAYS[:7], ids=lambda a: f"{a.dtype.str}{a.shape}")
def test_what_numpy_writes_needs_no_parser(
    array: np.ndarray[Any, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(tmp_path / "a.npy", array)
    monkeypatch.setattr(ast, "literal_eval", None)
    open_npy(tmp_path / "a.npy")


@pytest.mark.parametrize("change", [lambda b: b[:-1], lambda b: b[:60], lambda b: b[1:], lambda b: b""])
def test_what_is_cut_or_foreign_is_refused(change: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.arange(5))
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises((ValueError, EOFError)):
        open_npy(path)


def test_python_objects_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(ValueError):
        open_npy(tmp_path / "a.npy")


def test_headers_of_another_kind_are_read_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [tmp_path / f"{i}.npy" for i in range(6)]
    for path in paths:
        np.save(path, ARRAYS[-1])
    read, inside, most = np.lib.format.open_memmap, [0], [0]

    def slowly(*args: Any, **options: Any) -> Any:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        time.sleep(0.005)
        found = read(*args, **options)
        inside[0] -= 1
        return found

    monkeypatch.setattr(np.lib.format, "open_memmap", slowly)
    with ThreadPoolExecutor(len(paths)) as pool:
        assert all((array == ARRAYS[-1]).all() for array in pool.map(open_npy, paths))
    assert most == [1]


@pytest.mark.skipif(not OPEN_FILES.exists(), reason="counts open files as Linux tells them")
def test_no_array_keeps_its_file_open(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(5))
    before = len([*OPEN_FILES.iterdir()])
    arrays = [open_npy(tmp_path / "a.npy") for _ in range(2_000)]
    assert len([*OPEN_FILES.iterdir()]) == before
    assert all(array[4] == 4 and not array.flags.writeable for array in arrays)
