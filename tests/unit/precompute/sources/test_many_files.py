"""Catalogues in many files are read as one, in the order of their numbers; columns are chosen by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.table import Table

from precompute.errors import SourceError
from precompute.sources.catalog_files import open_catalogs
from precompute.sources.source import open_source
from precompute.sources.tables import arrow_table
from tests.unit.odd_files import stored

N, PARTS = 36, 12
EMBEDDINGS = np.random.default_rng(6).normal(size=(N, 16)).astype(np.float32)


@pytest.fixture
def galaxies() -> pd.DataFrame:
    random = np.random.default_rng(5)
    return pd.DataFrame(
        {
            "ra": random.uniform(100, 200, N),
            "dec": random.uniform(-5, 5, N),
            "objid": 2**60 + np.arange(N),
            "mag": random.normal(20, 1, N),
            "name": [None if i % 5 == 2 else f"NGC {i}" for i in range(N)],
        }
    )


def parts(galaxies: pd.DataFrame) -> list[pd.DataFrame]:
    return [galaxies[start : start + N // PARTS] for start in range(0, N, N // PARTS)]


def write_spark(folder: Path, galaxies: pd.DataFrame) -> None:
    (folder / "catalog.parquet").mkdir(parents=True)
    (folder / "catalog.parquet" / "_SUCCESS").touch()
    whole = galaxies.assign(embedding=list(EMBEDDINGS))
    for i, part in enumerate(parts(whole)):
        name = f"part-{i:05d}-0a1b2c3d-1111-2222-3333-{i:012x}-c000.snappy.parquet"
        part.to_parquet(folder / "catalog.parquet" / name, index=False)


def write_sweeps(folder: Path, galaxies: pd.DataFrame) -> None:
    folder.mkdir()
    for i, part in enumerate(parts(galaxies.fillna({"name": ""}))):
        Table.from_pandas(part).write(folder / f"sweep-{10 + i:03d}m005-{20 + i:03d}p005.fits")
    np.save(folder / "embeddings.npy", EMBEDDINGS)


def write_dask(folder: Path, galaxies: pd.DataFrame) -> None:
    folder.mkdir()
    for i, part in enumerate(parts(galaxies)):  # part.10.csv comes after part.9.csv
        part.to_csv(folder / f"part.{i}.csv", index=False)
    np.save(folder / "embeddings.npy", EMBEDDINGS)


@pytest.mark.parametrize("write", [write_spark, write_sweeps, write_dask])
def test_files_that_differ_in_numbers_are_one_catalogue(write, galaxies: pd.DataFrame, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    write(tmp_path / "source", galaxies)
    source = open_source(tmp_path / "source")
    catalog = source.check()
    assert source.n_rows == N and catalog.id_columns == ("objid",)
    np.testing.assert_array_equal(catalog.ra_deg, galaxies["ra"])
    assert stored(source, "objid").array.tolist() == galaxies["objid"].tolist()
    names = stored(source, "name")
    assert names.kind == "category" and names.missing_count == galaxies["name"].isna().sum()
    assert [names.vocabulary[code] for code in names.array if code != 255] == galaxies["name"].dropna().tolist()
    np.testing.assert_array_equal(np.concatenate([rows for _, rows in source.embedding_chunks(5)]), EMBEDDINGS)
    assert any(note.startswith("12 files are read as one") for note in source.notes)


def test_a_column_that_one_file_lacks_or_has_otherwise_is_left_out_and_told(
    galaxies: pd.DataFrame, tmp_path: Path
) -> None:
    write_dask(tmp_path / "source", galaxies.assign(z=1.0, q=1))
    part = tmp_path / "source" / "part.7.csv"
    pd.read_csv(part).drop(columns="z").assign(q="words", new=3).to_csv(part, index=False)
    source = open_source(tmp_path / "source")
    assert {"z", "q", "new"}.isdisjoint(source.column_names) and "mag" in source.column_names
    told = " ".join(source.notes)
    assert "'z' is missing in part.7.csv" in told and "'q' is another in part.7.csv" in told and "left out: new" in told


def test_large_integers_among_floats_are_refused_by_name(galaxies: pd.DataFrame, tmp_path: Path) -> None:
    write_dask(tmp_path / "source", galaxies)
    part = tmp_path / "source" / "part.7.csv"
    pd.read_csv(part).assign(objid=0.5).to_csv(part, index=False)
    with pytest.raises(SourceError, match="integers of column 'objid' are too large"):
        open_source(tmp_path / "source").read_column("objid")


def test_files_of_other_names_are_no_parts(galaxies: pd.DataFrame, tmp_path: Path) -> None:
    write_dask(tmp_path / "source", galaxies)
    (tmp_path / "source" / "part.3.csv").rename(tmp_path / "source" / "truth.csv")
    with pytest.raises(SourceError, match=r"holds 12 catalogues .*name one of them"):
        open_source(tmp_path / "source")


def test_columns_are_chosen_and_skipped_by_name(galaxies: pd.DataFrame, tmp_path: Path) -> None:
    folder = tmp_path / "source"
    write_dask(folder, galaxies)
    assert open_source(folder, only=("mag",)).column_names == ("objid", "mag")
    assert open_source(folder, skipped=("mag", "objid")).column_names == ("name",)
    assert open_source(folder, skipped=("objid",), id_columns=("objid",)).column_names == ("objid", "mag", "name")
    assert len({open_source(folder, only=only).fingerprint() for only in ((), ("mag",), ("name",))}) == 3
    with pytest.raises(SourceError, match="nosuch"):
        open_source(folder, only=("nosuch",))


@pytest.mark.parametrize(("rows_at_once", "openings"), [(10**9, 1), (3, 7)])
def test_a_footer_of_wide_files_is_read_once_where_memory_allows(
    rows_at_once: int, openings: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = {f"c{i}": np.arange(N) * 1.0 + i for i in range(16)} | {"word": [f"w{i % 3}" for i in range(N)]}
    whole = pd.DataFrame({"ra": np.arange(N) * 1.0, "dec": np.zeros(N), "objid": np.arange(N), **columns})
    for i, part in enumerate(parts(whole)):
        part.to_parquet(tmp_path / f"part-{i:02d}.parquet", index=False)
    np.save(tmp_path / "embeddings.npy", EMBEDDINGS)
    monkeypatch.setattr(arrow_table, "WIDE", 100)
    monkeypatch.setattr(arrow_table, "AHEAD_BYTES", 8 * N * rows_at_once)
    catalog = open_catalogs(sorted(tmp_path.glob("*.parquet")))
    opened: list[Path] = []
    real = pq.ParquetFile
    monkeypatch.setattr(pq, "ParquetFile", lambda path, **told: (opened.append(path), real(path, **told))[1])
    for name in whole.columns:
        assert catalog.read(name).tolist() == whole[name].tolist()
    assert len(opened) == openings * PARTS


def test_a_damaged_column_of_wide_files_keeps_no_other_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrow_table, "WIDE", 1)
    for i in range(2):
        table = pa.table({"a": np.arange(500.0), "b": np.random.default_rng(i).normal(size=500), "c": np.arange(500)})
        pq.write_table(table, tmp_path / f"p{i}.parquet", use_dictionary=False, compression="gzip")
    chunk = pq.read_metadata(tmp_path / "p1.parquet").row_group(0).column(1)
    data = bytearray((tmp_path / "p1.parquet").read_bytes())
    start = chunk.data_page_offset
    data[start : start + chunk.total_compressed_size] = bytes(chunk.total_compressed_size)
    (tmp_path / "p1.parquet").write_bytes(data)
    catalog = open_catalogs(sorted(tmp_path.glob("*.parquet")))
    assert catalog.read("a").tolist() == [*np.arange(500.0)] * 2
    with pytest.raises(SourceError, match=r"p1.parquet is damaged at column 'b'"):
        catalog.read("b")
    assert catalog.read("c").tolist() == [*range(500)] * 2
