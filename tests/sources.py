"""Sources that tests make of other sources."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from atlas import Atlas
from precompute.sources.source import Source, open_source

CATALOG, EMBEDDINGS, DESCRIPTION = "catalog.parquet", "embeddings.npy", "source.json"


def some_rows(whole: Path, folder: Path, start: int, stop: int, catalog: pa.Table | None = None) -> Source:
    """Rows [start, stop) of a simulated survey as a source of their own, perhaps with another catalogue."""
    folder.mkdir(parents=True)
    table = pq.read_table(whole / CATALOG).slice(start, stop - start) if catalog is None else catalog
    pq.write_table(table, folder / CATALOG)
    np.save(folder / EMBEDDINGS, np.load(whole / EMBEDDINGS, mmap_mode="r")[start:stop])
    shutil.copyfile(whole / DESCRIPTION, folder / DESCRIPTION)
    return open_source(folder)


def last_rows(demo: Path, folder: Path, count: int, renumbered: int = 0) -> Source:
    """The last galaxies of the demo as a source without images, under their own ids or others."""
    folder.mkdir()
    table = pq.read_table(demo / CATALOG)
    table = table.slice(table.num_rows - count)
    table = table.set_column(0, "objid", pa.array(table["objid"].to_numpy() + renumbered))
    pq.write_table(table, folder / CATALOG)
    np.save(folder / EMBEDDINGS, np.load(demo / EMBEDDINGS)[-count:])
    told = json.loads((demo / DESCRIPTION).read_text())
    del told["sky_background"]
    (folder / DESCRIPTION).write_text(json.dumps(told))
    return open_source(folder)


def second_embedding(atlas: Atlas, folder: Path) -> None:
    """Other embeddings of the galaxies of an atlas, fewer numbers each, as a table with ids in another order."""
    random = np.random.default_rng(16)
    order = random.permutation(atlas.n_rows)
    turned = np.asarray(atlas.space().embeddings, dtype=np.float32)[:, :6] ** 2
    vectors = turned[order] + np.float32(1e-3)
    ids = {name: atlas.columns().array(name)[order] for name in atlas.manifest.id_columns}
    folder.mkdir(parents=True)
    pq.write_table(pa.table({**ids, "embedding": list(vectors)}), folder / "v2.parquet")


NAMES_OF_OURS = (
    "density", "subsets", "labels", "similarity", "id", "map", "and", "or", "not", "in", "min", "row", "cluster",
)  # fmt: skip
"""What the page, the language of conditions and an atlas call their own."""


def wide_numbers(folder: Path, n: int = 2_000) -> None:
    """A catalogue of what single precision, six digits or a billion are too small for, and of names that the page, the
    atlas and the language of conditions have too, as a source."""
    random = np.random.default_rng(14)
    night = random.integers(0, 30, n) + random.uniform(0, 0.4, n)
    columns = {
        "ra": random.uniform(150, 152, n),
        "dec": random.uniform(1, 3, n),
        "objid": np.arange(n),
        "z": random.uniform(0, 1, n),
        "jd": 2_459_000.5 + night,
        "mjd": 59_000 + night,
        "t_ms": 1_600_000_000_000 + (night * 86_400_000).astype(np.int64),
        "mass": 10 ** random.normal(10.5, 0.6, n),
        "lum": 10 ** random.normal(43, 0.3, n),
        "rate": 1e-17 * random.normal(5, 1, n),
        "healpix29": 2**60 + random.permutation(n),
        "source_id": 2**62 + random.integers(0, 2**61, n),
        **{name: random.uniform(i, i + 1, n) for i, name in enumerate(NAMES_OF_OURS)},
    }
    _write(folder, random, columns)


def many_words(folder: Path, n: int = 2_000) -> None:
    """A catalogue with a column of 200 words, the first the commonest, and one of as many texts as there are galaxies,
    as a source."""
    random = np.random.default_rng(15)
    common = 1 / np.arange(1, 201)
    columns = {
        "ra": random.uniform(150, 152, n),
        "dec": random.uniform(1, 3, n),
        "objid": np.arange(n),
        "mag_r": random.uniform(14, 20, n),
        "field": np.array([f"Field {i}" for i in range(200)])[random.choice(200, n, p=common / common.sum())],
        "remark": np.array([f"{'NGC' if i % 3 else 'ngc'} {i:04d} no. {random.integers(10**6):06d}" for i in range(n)]),
    }
    _write(folder, random, columns)


def _write(folder: Path, random: np.random.Generator, columns: dict[str, np.ndarray]) -> None:
    """A catalogue and embeddings that fall into four groups."""
    n = columns["ra"].size
    folder.mkdir(parents=True, exist_ok=True)
    centers = random.normal(size=(4, 16))
    np.save(folder / EMBEDDINGS, (centers[np.arange(n) % 4] + 0.25 * random.normal(size=(n, 16))).astype(np.float32))
    pq.write_table(pa.table(columns), folder / CATALOG)
