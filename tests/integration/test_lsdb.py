"""LSDB, made for catalogues of the size of LSST's, as oracle of what leaves as HATS, and as a writer of sources."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import dask
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from atlas import Atlas, Cone, Range
from atlas.exports.contents import cells
from atlas.hats_catalog import BASE_CELLS
from precompute.sources.source import open_source

# What LSDB and nested-pandas still call of pandas is called otherwise from pandas 4 on.
pytestmark = pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")


@pytest.fixture(scope="module")
def lsdb() -> Iterator[ModuleType]:
    """The library, which computes here in the one thread that asks: other tests fork."""
    with dask.config.set(scheduler="synchronous"), pytest.warns(pd.errors.Pandas4Warning):
        import lsdb

        yield lsdb


@pytest.fixture(scope="module")
def catalogue(small: Atlas, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hats") / "small"
    small.save_hats(folder, rows_a_partition=2_000)
    return folder


def rows_in(atlas: Atlas, table: pd.DataFrame) -> NDArray[np.int64]:
    names = zip(*(table[name].tolist() for name in atlas.manifest.id_columns), strict=True)
    return np.array([atlas.identity.row("-".join(map(str, name))) for name in names])


def test_lsdb_finds_nothing_wrong_and_reads_every_cell(lsdb: ModuleType, small: Atlas, catalogue: Path) -> None:
    from hats.io.validation import is_valid_catalog

    assert is_valid_catalog(catalogue, strict=True)
    opened = lsdb.open_catalog(catalogue)
    assert len(opened) == small.n_rows and opened.npartitions > BASE_CELLS
    table = opened.compute()
    rows = rows_in(small, table)
    assert np.array_equal(np.sort(rows), np.arange(small.n_rows))
    own = small.columns(small.default_space)
    for column in own:
        told = table[column.name].tolist()
        expected = cells(own, column, rows)
        if expected.dtype == object:
            told = [value if isinstance(value, str) else "" for value in told]
        np.testing.assert_array_equal(told, expected, column.name)
    embeddings = np.stack(table["embedding"].to_numpy())
    assert np.array_equal(embeddings, small.space().embeddings[rows].astype(np.float32))


def test_cones_and_conditions_of_lsdb_are_ours(lsdb: ModuleType, small: Atlas, catalogue: Path) -> None:
    opened = lsdb.open_catalog(catalogue)
    for row, radius_arcsec in ((0, 7_200.0), (11, 36_000.0)):
        ra, dec = small.position(row)
        found = rows_in(small, opened.cone_search(ra, dec, radius_arcsec=radius_arcsec).compute())
        ours = small.mask(Cone(ra, dec, radius_arcsec)).rows
        assert np.array_equal(np.sort(found), ours) and 1 < len(ours) < small.n_rows
    bright = lsdb.open_catalog(catalogue, columns=["ra", *small.manifest.id_columns], filters=[("mag_r", "<=", 18.0)])
    assert np.array_equal(np.sort(rows_in(small, bright.compute())), small.mask(Range("mag_r", high=18.0)).rows)


@pytest.mark.soak
def test_lsdb_matches_each_galaxy_with_itself_and_what_it_writes_is_a_source(
    lsdb: ModuleType, demo: Atlas, tmp_path: Path
) -> None:
    demo.save_hats(tmp_path / "ours", rows_a_partition=400)
    opened = lsdb.open_catalog(tmp_path / "ours")
    with pytest.warns(RuntimeWarning, match="does not have a margin cache"):  # we write none
        pairs = opened.crossmatch(opened, suffixes=("_a", "_b"), suffix_method="all_columns", radius_arcsec=1)
    found = pairs.compute()
    assert len(found) == demo.n_rows and (found["objid_a"] == found["objid_b"]).all()
    opened.write_catalog(tmp_path / "theirs")
    ours, theirs = (open_source(tmp_path / name) for name in ("ours", "theirs"))
    assert theirs.n_rows == demo.n_rows
    (_, sent), (_, back) = (next(source.embedding_chunks(demo.n_rows)) for source in (ours, theirs))
    assert np.array_equal(sent, back)
