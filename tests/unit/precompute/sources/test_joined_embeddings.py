"""Embeddings that come with ids are joined by them, whatever wrote them; columns of numbers are embeddings too."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import lance
import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from astropy.table import Table

from precompute.__main__ import main
from precompute.errors import SourceError
from precompute.sources.catalog_files import open_catalog
from precompute.sources.source import Source, open_source
from precompute.sources.space_source import NamedGalaxies, SpaceSource

N, D = 30, 16
RNG = np.random.default_rng(3)
VECTORS = RNG.normal(size=(N, D)).astype(np.float32)
IDS = np.array([f"J{i:04d}" for i in range(N)])
# Other order, without four galaxies, and two that the catalogue does not have.
ORDER = RNG.permutation(N)[4:]
TABLE_IDS = np.concatenate([IDS[ORDER], ["J9998", "J9999"]])
TABLE_VECTORS = np.concatenate([VECTORS[ORDER], RNG.normal(size=(2, D)).astype(np.float32)])


def write_catalog(folder: Path) -> Path:
    columns = {"id_str": IDS, "ra": np.linspace(1, 2, N), "dec": np.zeros(N), "mag_r": np.arange(N, dtype=np.float32)}
    pq.write_table(pa.table(columns), folder / "catalog.parquet")
    return folder / "catalog.parquet"


def parquet_list(folder: Path) -> str:
    table = pa.table({"vector": list(TABLE_VECTORS), "id_str": TABLE_IDS, "loss": np.zeros(len(TABLE_IDS))})
    pq.write_table(table, folder / "results.parquet")
    return "results.parquet"


def parquet_wide(folder: Path) -> str:
    table = pa.table({"id_str": TABLE_IDS} | {f"feat_{i}": TABLE_VECTORS[:, i] for i in range(D)})
    pq.write_table(table, folder / "wide.pq")
    return "wide.pq"


def csv_wide(folder: Path) -> str:
    table = pa.table({"id_str": TABLE_IDS} | {f"pca{i + 1}": TABLE_VECTORS[:, i] for i in range(D)})
    pa_csv.write_csv(table, folder / "wide.csv")
    return "wide.csv"


def fits_vector(folder: Path) -> str:
    Table({"id_str": TABLE_IDS, "LATENT": TABLE_VECTORS}).write(folder / "latent.fits")
    return "latent.fits"


def zoobot(folder: Path) -> str:
    with h5py.File(folder / "representations.hdf5", "w") as f:
        f["representations"] = TABLE_VECTORS
        f["id_str"] = TABLE_IDS.astype("S")
    return "representations.hdf5"


def astroclip(folder: Path) -> str:
    with h5py.File(folder / "clip.h5", "w") as f:
        f["image/embeddings"], f["spectrum/features"] = TABLE_VECTORS, TABLE_VECTORS[:, :4]
        f["id_str"] = TABLE_IDS.astype("S")
    return "clip.h5:image/embeddings"


def hyrax(folder: Path) -> str:
    (folder / "results").mkdir()
    kind = np.dtype([("id_str", "<U8"), ("tensor", "<f4", (D,))])
    for number, rows in enumerate((slice(0, 10), slice(10, None))):
        batch = np.zeros(len(TABLE_IDS[rows]), kind)
        batch["id_str"], batch["tensor"] = TABLE_IDS[rows], TABLE_VECTORS[rows]
        np.save(folder / "results" / f"batch_{number}.npy", batch)
    return "results"


def hyrax_lance(folder: Path) -> str:
    """Results as Hyrax's writer leaves them: a batch after the other, in a data set of its own version each."""
    path, kind = folder / "run" / "lance_db" / "results.lance", pa.list_(pa.float32(), D)
    for rows in (slice(0, 10), slice(10, None)):
        flat = pa.array(TABLE_VECTORS[rows].ravel())
        batch = {"object_id": TABLE_IDS[rows], "data": pa.FixedSizeListArray.from_arrays(flat, type=kind)}
        lance.write_dataset(pa.table(batch), str(path), mode="append" if path.exists() else "create")
    return "run"


def read_all(source: Source) -> np.ndarray:
    return np.concatenate([rows for _, rows in source.embedding_chunks(7)])


WRITERS = [parquet_list, parquet_wide, csv_wide, fits_vector, zoobot, astroclip, hyrax, hyrax_lance]


@pytest.mark.parametrize("write", WRITERS)
def test_each_galaxy_gets_its_own_embedding(tmp_path: Path, write: Callable[[Path], str]) -> None:
    source = open_source(write_catalog(tmp_path), embeddings=write(tmp_path))
    assert (source.n_rows, source.dimension) == (N - 4, D)
    ids = source.read_column("id_str").tolist()
    rows = [IDS.tolist().index(one) for one in ids]
    np.testing.assert_allclose(read_all(source), VECTORS[rows], rtol=1e-6)
    assert source.read_column("mag_r").tolist() == rows and source.read_column("source_row").tolist() == rows
    assert source.check().id_columns == ("id_str",)
    assert source.joined is not None and source.joined.without_galaxy == ["J9998", "J9999"]
    assert sorted([*source.joined.without_embedding, *ids]) == IDS.tolist()
    (note,) = (note for note in source.notes if "joined" in note)
    name = "object_id" if write is hyrax_lance else "id_str"
    assert note.startswith(f"26 embeddings joined by {name}; 4 galaxies have none and are left out, 2 embeddings")


def test_ids_may_be_called_differently_and_be_numbers_on_one_side(tmp_path: Path) -> None:
    columns = {"objid": np.arange(N), "ra": np.linspace(1, 2, N), "dec": np.zeros(N)}
    pq.write_table(pa.table(columns), tmp_path / "catalog.parquet")
    names = [f" {i}" for i in range(N)][::-1]
    pq.write_table(pa.table({"file": names, "vector": list(VECTORS[::-1])}), tmp_path / "v.parquet")
    source = open_source(tmp_path / "catalog.parquet", embeddings="v.parquet", embedding_ids=("file",))
    np.testing.assert_array_equal(read_all(source), VECTORS[source.read_column("objid")])


def test_large_whole_numbers_are_joined_to_the_last_digit(tmp_path: Path) -> None:
    ids = np.arange(N) + 2**60
    columns = {"source_id": ids, "ra": np.linspace(1, 2, N), "dec": np.zeros(N)}
    pq.write_table(pa.table(columns), tmp_path / "catalog.parquet")
    pq.write_table(pa.table({"source_id": ids[::-1], "vector": list(VECTORS[::-1])}), tmp_path / "v.parquet")
    source = open_source(tmp_path / "catalog.parquet", embeddings="v.parquet")
    np.testing.assert_array_equal(read_all(source), VECTORS[source.read_column("source_id") - 2**60])


def test_columns_of_the_catalogue_itself_are_its_embeddings(tmp_path: Path) -> None:
    columns = {"id_str": IDS, "ra": np.linspace(1, 2, N), "dec": np.zeros(N), "mag_r": np.zeros(N)}
    pq.write_table(pa.table(columns | {f"feat_{i}": VECTORS[:, i] for i in range(D)}), tmp_path / "catalog.parquet")
    source = open_source(tmp_path / "catalog.parquet")
    assert source.column_names == ("id_str", "mag_r") and source.joined is None
    np.testing.assert_array_equal(read_all(source), VECTORS)
    assert f"the embeddings are {D} columns, feat_0 … feat_{D - 1}" in source.notes
    Table({"id_str": IDS, "ra": np.linspace(1, 2, N), "dec": np.zeros(N), "LATENT": VECTORS}).write(tmp_path / "c.fits")
    np.testing.assert_array_equal(read_all(open_source(tmp_path / "c.fits", embeddings="LATENT")), VECTORS)


def test_what_cannot_be_joined_is_told_with_the_way_out(tmp_path: Path) -> None:
    catalog = write_catalog(tmp_path)
    pq.write_table(pa.table({"id_str": ["a", "b"], "vector": list(VECTORS[:2])}), tmp_path / "others.parquet")
    with pytest.raises(SourceError, match=r"no embedding is of a galaxy.*has a, b; id_str of .* has J0000, J0001"):
        open_source(catalog, embeddings="others.parquet")
    pq.write_table(pa.table({"id_str": ["J0001"] * 2, "vector": list(VECTORS[:2])}), tmp_path / "twice.parquet")
    with pytest.raises(SourceError, match="id_str names 1 galaxies more than once, first 'J0001'"):
        open_source(catalog, embeddings="twice.parquet")
    with pytest.raises(SourceError, match="has no column 'nothing' for ids; it has id_str"):
        open_source(catalog, embeddings="twice.parquet", embedding_ids=("nothing",))
    astroclip(tmp_path)
    with pytest.raises(SourceError, match="no embeddings called 'nowhere'; it holds image/embeddings, spectrum/feat"):
        open_source(catalog, embeddings="clip.h5:nowhere")
    with h5py.File(tmp_path / "two.h5", "w") as f:
        f["image"], f["spectrum"] = VECTORS, VECTORS
    with pytest.raises(SourceError, match=r"Name them behind a colon \(--embeddings two.h5:NAME\); there: image, spec"):
        open_source(catalog, embeddings="two.h5")
    (tmp_path / "broken.h5").write_text("no HDF5")
    with pytest.raises(SourceError, match=r"broken\.h5 cannot be read as HDF5"):
        open_source(catalog, embeddings="broken.h5")


def test_a_build_lists_what_has_no_counterpart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = [str(write_catalog(tmp_path)), "--embeddings", parquet_list(tmp_path), "--embeddings-id", "id_str"]
    out = ["--out", str(tmp_path / "atlas"), "--recall-queries", "0"]  # refused once the source is open
    assert main(["build", *given, *out]) == 1
    assert "26 embeddings joined by id_str" in capsys.readouterr().err
    with (tmp_path / "atlas" / "unmatched.csv").open(newline="") as f:
        rows = list(csv.reader(f))
    assert rows[0] == ["id", "reason"] and rows[-2:] == [[n, "not in the catalogue"] for n in ("J9998", "J9999")]
    assert sorted(rows[1:-2]) == [[one, "no embedding"] for one in sorted(set(IDS) - set(TABLE_IDS))]


def by_row(folder: Path, columns: dict[str, np.ndarray]) -> NamedGalaxies:
    """Galaxies of an atlas that its rows name, though it has other columns."""
    pq.write_table(pa.table({"source_row": np.arange(N, dtype=np.uint32)} | columns), folder / "atlas.parquet")
    return NamedGalaxies("the atlas", open_catalog(folder / "atlas.parquet"), ("source_row",))


@pytest.mark.parametrize(
    ("name", "told", "ids"),
    [
        ("source_row", (), np.arange(N, dtype=np.uint32)),
        ("source_row", (), np.arange(N, dtype=np.float64)),
        ("id", (), np.arange(N).astype("U")),
        ("number", ("number",), np.arange(N)),
    ],
)
def test_numbers_of_rows_are_ids_of_galaxies_that_rows_name(
    tmp_path: Path, name: str, told: tuple[str, ...], ids: np.ndarray
) -> None:
    pq.write_table(pa.table({name: ids[::-1], "vector": list(VECTORS[::-1])}), tmp_path / "v.parquet")
    source = SpaceSource(by_row(tmp_path, {}), str(tmp_path / "v.parquet"), told)
    source.scratch = tmp_path / "scratch"
    np.testing.assert_array_equal(np.concatenate([rows for _, rows in source.embedding_chunks(7)]), VECTORS)
    assert source.notes == [f"{N} embeddings joined by id"]


@pytest.mark.parametrize("told", [(), ("objid",)])
def test_an_id_that_both_sides_have_is_no_number_of_a_row(tmp_path: Path, told: tuple[str, ...]) -> None:
    shuffled = RNG.permutation(N)
    pq.write_table(pa.table({"objid": np.arange(N), "vector": list(VECTORS)}), tmp_path / "v.parquet")
    source = SpaceSource(by_row(tmp_path, {"objid": shuffled}), str(tmp_path / "v.parquet"), told)
    source.scratch = tmp_path / "scratch"
    ((_, rows),) = source.embedding_chunks(100)
    np.testing.assert_array_equal(rows, VECTORS[shuffled])


def test_ids_of_another_survey_are_never_taken_by_their_order(tmp_path: Path) -> None:
    pq.write_table(pa.table({"objid": np.arange(N) + 10**6, "vector": list(VECTORS)}), tmp_path / "v.parquet")
    with pytest.raises(SourceError, match=r"objid of .* has 1000000.*source_row of the atlas has 0, 1, 2; name others"):
        SpaceSource(by_row(tmp_path, {}), str(tmp_path / "v.parquet"), ())


def test_lance_is_refused_by_name_where_it_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / hyrax_lance(tmp_path) / "lance_db" / "results.lance"
    with pytest.raises(SourceError, match=r"results\.lance holds no embeddings called 'x'; it holds object_id, data"):
        open_source(write_catalog(tmp_path), embeddings=f"{folder}:x")
    with pytest.raises(SourceError, match=r"results\.lance is Lance.*--embeddings"):
        open_source(folder)
    for file in (folder / "data").iterdir():
        held = file.read_bytes()
        file.unlink()
        with pytest.raises(SourceError, match=r"is damaged at column '(data|object_id)'"):
            open_source(write_catalog(tmp_path), embeddings=str(folder))
        file.write_bytes(held)
    monkeypatch.setitem(sys.modules, "lance", None)
    with pytest.raises(SourceError, match=r"pip install 'galaxy-finder\[lance\]', or write it as Parquet"):
        open_source(write_catalog(tmp_path), embeddings=str(folder))
