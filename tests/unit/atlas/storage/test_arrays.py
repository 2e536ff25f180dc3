"""Arrays are opened by many threads at once, their headers read one at a time."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from atlas.storage.arrays import open_array


def test_headers_are_read_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [tmp_path / f"{i}.npy" for i in range(6)]
    for path in paths:
        np.save(path, np.arange(5))
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
        assert all((array == np.arange(5)).all() for array in pool.map(open_array, paths))
    assert most == [1]
