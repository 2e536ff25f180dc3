"""What is told of a selection or a cluster is told by samples: no more is read of a larger survey."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from atlas import Mask
from atlas.catalog.cluster_labels import SAMPLE, group_words, sample_rows
from atlas.catalog.cluster_portraits import portraits
from atlas.catalog.columns import Columns
from atlas.catalog.contrasts import contrasts
from atlas.queries import clumping
from benchmarks.bare_atlas import bare_atlas
from dashboard.views.why_here import SAMPLE as COMPARED

N = 500_000
SELECTED = 40_000


class Counted(Columns):
    """Columns of which rows are read by number alone, and counted."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self.read: dict[str, int] = {}

    def __iter__(self) -> Any:
        return iter(self._columns)

    def __contains__(self, name: object) -> bool:
        return name in self._columns

    def describe(self, name: str) -> Any:
        return self._columns.describe(name)

    def array(self, name: str) -> Any:
        return OfRows(self, name)


class OfRows:
    """A column that cannot be read as a whole."""

    def __init__(self, counted: Counted, name: str) -> None:
        self._counted, self._name = counted, name

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        self._counted.read[self._name] = self._counted.read.get(self._name, 0) + np.size(rows)
        return self._counted._columns.array(self._name)[rows]

    def __array__(self, *_: Any, **__: Any) -> NDArray[Any]:
        raise AssertionError(f"all of {self._name} is read")


def test_what_is_told_of_galaxies_reads_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    columns: dict[str, NDArray[Any]] = {"ra": rng.uniform(0, 360, N), "dec": rng.uniform(-60, 60, N)}
    for name in ("mag_r", "anomaly", "artefact", "psfsize_r"):
        columns[name] = rng.random(N, dtype=np.float32)
    atlas = bare_atlas(tmp_path / "build", columns)
    counted = Counted(atlas.columns())
    monkeypatch.setattr(type(atlas), "columns", lambda *_: counted)
    monkeypatch.setattr(clumping, "DRAWS", 4)
    mask = Mask.from_rows(np.arange(SELECTED), N)

    def read(most: int) -> None:
        assert counted.read and max(counted.read.values()) <= most, counted.read
        counted.read.clear()

    contrasts(counted, list(counted), mask.sample(COMPARED, 0), (~mask).sample(COMPARED, 0))
    read(2 * COMPARED)
    clumping.reality(atlas, mask)
    read(2 * (clumping.SELECTED_ROWS + clumping.POOL_ROWS))  # positions twice: once for cells, once for the map
    rows = sample_rows(N)
    group_words(counted, list(counted), rows, [rows % 9, rows % 3], 9)
    read(SAMPLE)
    portraits(counted, rows, rows % 9, np.eye(9, dtype=np.float32))
    read(SAMPLE)
