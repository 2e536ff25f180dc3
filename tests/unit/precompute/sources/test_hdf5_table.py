"""HDF5 files as catalogues, as the tools that make them write: every cell as it was, embeddings beside."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy import units as u
from astropy.table import Table

from precompute.errors import SourceError
from precompute.sources.source import Source, open_source

N, D = 60, 24


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(16)


def embeddings_of(source: Source) -> np.ndarray:
    return np.concatenate([rows for _, rows in source.embedding_chunks(17)])


def test_datasets_side_by_side_are_columns_and_one_of_vectors_the_embeddings(
    random: np.random.Generator, tmp_path: Path
) -> None:
    ids = np.array([f"LS-{i:05d}" for i in range(N)])
    wanted = {
        "ra": random.uniform(0, 9, N),
        "dec": random.uniform(-5, 5, N).astype(">f4"),
        "object_id": ids.astype("S"),
        "TARGETID": 2**62 + np.arange(N),
        "z_spec": random.uniform(0, 1, (N, 1)),
        "is_good": random.random(N) < 0.5,
    }
    image, spectrum = (random.normal(size=(N, D)).astype(np.float32) for _ in range(2))
    with h5py.File(tmp_path / "provabgs.hdf5", "w") as file:
        for name, values in wanted.items():
            file[f"catalog/{name}"] = values
        file["catalog/z_spec"].attrs["unit"] = "redshift"
        file.create_dataset("names", data=ids.tolist(), dtype=h5py.string_dtype())
        file["image_embeddings"], file["spectrum_embeddings"] = image, spectrum
        file["images"], file["wavelength"] = np.zeros((N, 3, 8, 8), np.uint8), np.arange(700.0)
    with pytest.raises(SourceError, match=r"2 columns could be the embeddings: image_embeddings, spectrum_embeddings"):
        open_source(tmp_path)
    source = open_source(tmp_path / "provabgs.hdf5", embeddings="spectrum_embeddings")
    np.testing.assert_array_equal(embeddings_of(source), spectrum)
    checked = source.check()
    np.testing.assert_array_equal(checked.ra_deg, wanted["ra"])
    np.testing.assert_array_equal(source.read_column("TARGETID"), wanted["TARGETID"])
    np.testing.assert_array_equal(source.read_column("z_spec"), wanted["z_spec"][:, 0])
    np.testing.assert_array_equal(source.read_column("is_good"), wanted["is_good"])
    assert source.read_column("object_id").tolist() == ids.tolist()
    assert source.read_column("names").tolist() == ids.tolist()
    assert source.description.columns["z_spec"].unit == "redshift"
    assert any("have not 60 rows are left out: wavelength" in note for note in source.notes)


def test_records_of_an_astropy_table_are_columns_with_their_units(random: np.random.Generator, tmp_path: Path) -> None:
    table = Table(
        {
            "ra": random.uniform(0, 9, N) * u.deg,
            "dec": random.uniform(0, 9, N) * u.deg,
            "objid": np.arange(N),
            "flux": random.uniform(0, 9, N).astype(np.float32) * u.nJy,
            "kind": np.array(["E", "Sc", "Irr"])[random.integers(0, 3, N)],
            "latent": random.normal(size=(N, D)),
        }
    )
    table["flux"].info.description = "of the whole galaxy"
    table.write(tmp_path / "catalog.h5", path="galaxies", serialize_meta=True)
    source = open_source(tmp_path)
    np.testing.assert_allclose(embeddings_of(source), np.asarray(table["latent"], np.float32))
    np.testing.assert_array_equal(source.read_column("flux"), table["flux"].value)
    assert [bytes(one).decode() for one in source.read_column("kind")] == table["kind"].tolist()
    about = source.description.columns["flux"]
    assert (about.unit, about.description) == ("nJy", "of the whole galaxy")


def test_beside_a_catalogue_it_is_the_embeddings(random: np.random.Generator, tmp_path: Path) -> None:
    ids = np.array([f"J{i:04d}" for i in range(N)])
    pq.write_table(pa.table({"id_str": ids, "ra": random.uniform(0, 9, N), "dec": random.uniform(0, 9, N)}),
                   tmp_path / "galaxies.parquet")  # fmt: skip
    vectors = random.normal(size=(N, D)).astype(np.float32)
    with h5py.File(tmp_path / "representations.hdf5", "w") as file:
        file.create_dataset("id_str", data=ids[::-1].tolist(), dtype=h5py.string_dtype())
        file["representations"] = vectors[::-1]
    source = open_source(tmp_path, embeddings="representations.hdf5")
    found = {str(name): row for name, row in zip(source.read_column("id_str"), embeddings_of(source), strict=True)}
    assert all(np.array_equal(found[name], row) for name, row in zip(ids, vectors, strict=True))


def test_a_file_of_no_rows_or_cut_short_is_refused_by_name(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "empty.hdf5", "w") as file:
        file.attrs["survey"] = "none"
    with pytest.raises(SourceError, match=r"empty\.hdf5 holds no dataset of rows"):
        open_source(tmp_path / "empty.hdf5")
    (tmp_path / "cut.hdf5").write_bytes((tmp_path / "empty.hdf5").read_bytes()[:100])
    with pytest.raises(SourceError, match=r"cut\.hdf5 cannot be read as HDF5"):
        open_source(tmp_path / "cut.hdf5")
