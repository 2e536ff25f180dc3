"""What travels to other machines, and what is said where they are away."""

from __future__ import annotations

import pickle
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from atlas.errors import ResourceError
from atlas.search.index import NeighborIndex, SearchSetting
from atlas.search.open_index import open_index
from atlas.storage import layout
from atlas.storage.arrays import open_array
from atlas.storage.validate import open_current
from precompute import cluster
from precompute.sources.source import open_source
from tests.conftest import source_of


def summed(values: NDArray[np.int64], part: slice) -> int:
    return int(values[part].sum())


def candidates(index: NeighborIndex, asked: NDArray[np.float32]) -> NDArray[np.int64]:
    return index.candidates(asked, SearchSetting(20, 50))


def test_a_mapped_array_travels_as_the_path_of_its_file(tmp_path: Path) -> None:
    np.save(tmp_path / "values.npy", np.arange(1_000_000))
    values = np.load(tmp_path / "values.npy", mmap_mode="r")
    cluster.write_pass(partial(summed, values), tmp_path / "pass")
    assert (tmp_path / "pass").stat().st_size < 1_000
    assert cluster.call_pass(str(tmp_path / "pass"), slice(10, 20)) == 145


def test_an_index_travels_as_its_folder(small_path: Path, tmp_path: Path) -> None:
    folder = layout.space_path(open_current(small_path)[0], "v1")
    embeddings = open_array(folder / layout.EMBEDDINGS)
    index = open_index(folder / layout.INDEX, embeddings)
    asked = np.asarray(embeddings[:5], dtype=np.float32)
    cluster.write_pass(partial(candidates, index), tmp_path / "pass")
    assert (tmp_path / "pass").stat().st_size < 20_000
    np.testing.assert_array_equal(cluster.call_pass(str(tmp_path / "pass"), asked), candidates(index, asked))


def test_a_source_travels_as_the_command_that_opens_it(
    demo_path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = source_of(demo_path)
    monkeypatch.chdir(folder.parent)
    source = open_source(Path(folder.name))
    source.leave_out({0: "for a test"})
    sent, known, image = pickle.dumps(source), source.fingerprint(), source.image(3)
    monkeypatch.chdir(tmp_path)
    again = pickle.loads(sent)
    assert again.n_rows == source.n_rows and again.fingerprint() == known
    np.testing.assert_array_equal(again.image(3), image)


def test_a_scheduler_that_is_away_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "CONNECT_S", 0.3)
    with (
        pytest.raises(ResourceError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9: .*without --scheduler"),
        cluster.connected("tcp://127.0.0.1:9", tmp_path),
    ):
        pass


def test_without_dask_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    with pytest.raises(ResourceError, match="galaxy-finder\\[dask\\]"), cluster.connected("tcp://host:1", tmp_path):
        pass
