"""Galaxies of an atlas as a HATS catalogue, embeddings included, for LSDB and whatever reads HATS (docs.lsdb.io).

    hats.properties, properties                       written last: without them a folder is no catalogue
    partition_info.csv                                Norder, Npix of each partition
    dataset/Norder=3/Dir=0/Npix=17.parquet …          rows of one HEALPix pixel, sorted by `_healpix_29`
            _metadata, _common_metadata               footers of all partitions; the columns

Pixels are split in four until each holds few enough rows. A group of rows is read and written at a time: of all rows
only the cells and the order are in memory, 16 bytes a galaxy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from atlas.build import OpenBuild
from atlas.catalog.columns import free_name
from atlas.errors import InputError, ResourceError, shorten
from atlas.exports.contents import Field, cells, field_of, provenance
from atlas.exports.tables import arrow_array, arrow_field
from atlas.queries.answer import rows_of
from atlas.queries.selection import Selection, canonical, encode_selection
from atlas.sky.healpix import BASE_CELLS, cell_of
from atlas.storage import layout
from atlas.storage.manifest import Manifest
from atlas.storage.publish import require_disk
from atlas.storage.scattered_rows import read_rows

INDEX = "_healpix_29"
DEEPEST_ORDER = 29
SPLIT_TO_ORDER = 12
"""Pixels of 51″: what is still too full there is one partition all the same."""

PARTITION_BYTES = 300_000_000
"""Embeddings and numbers of a partition, before compression: what readers hold at a time."""

GROUP_BYTES = 64_000_000
PARTITION_COLUMNS = frozenset(("Norder", "Dir", "Npix"))
"""Names that a reader takes from the folders; columns of a catalogue that are called so are left out."""

LONGEST_SELECTION = 4_000
"""Characters of a selection that a catalogue tells word by word."""

CHUNK_ROWS = 1 << 20


class HatsPartition(NamedTuple):
    """A pixel, and where its rows lie in the order of the sky."""

    order: int
    pixel: int
    start: int
    stop: int

    @property
    def path(self) -> str:
        """Place below the folder of the data set."""
        return f"Norder={self.order}/Dir={self.pixel // 10_000 * 10_000}/Npix={self.pixel}.parquet"


class HatsWritten(NamedTuple):
    """Counts of what was written, rows and partitions, and the columns that had no place."""

    n_rows: int
    n_partitions: int
    left_out: tuple[str, ...]


def save_hats(
    atlas: OpenBuild, folder: str | Path, within: Selection | str | None = None, *, rows_a_partition: int = 1_000_000
) -> HatsWritten:
    """Write galaxies, every column and the embedding, as a HATS catalogue.

    Parameters
    ----------
    atlas : OpenBuild
    folder : str or Path
        New, or empty.
    within : Selection or str, optional
        Which galaxies; text is a condition. All of them when not given.
    rows_a_partition : int
        At most so many rows are in a partition, and fewer where they are wide.

    Raises
    ------
    InputError
        If the folder holds something, or no galaxy is selected.
    ResourceError
        If the disk does not take it.
    """
    folder = Path(folder).absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{shorten(folder.name)} exists and is not empty: name a new folder")
    rows, found = _by_place(atlas, None if within is None else rows_of(atlas, within).rows)
    if not rows.size:
        raise InputError("no galaxy is selected: there is nothing to write")
    space = atlas.space()
    columns = [c for c in atlas.columns(atlas.default_space) if c.name not in PARTITION_COLUMNS]
    left_out = tuple(c.name for c in atlas.columns(atlas.default_space) if c.name in PARTITION_COLUMNS)
    fields = [field_of(column) for column in columns]
    row_bytes = 4 * space.dimension + sum(f.width if f.is_text else np.dtype(f.dtype).itemsize for f in fields) + 8
    require_disk(folder, int(rows.size) * row_bytes, "a HATS catalogue")
    embedding = free_name("embedding", [f.name for f in fields])
    schema = _schema(provenance(atlas.manifest, **_asked(within)), fields, embedding, space.dimension)
    most = max(1, min(rows_a_partition, PARTITION_BYTES // row_bytes))
    group = max(1, GROUP_BYTES // row_bytes)
    partitions = list(split_sky(found, most))

    def tables(one: HatsPartition) -> Iterator[pa.Table]:
        for start in range(one.start, one.stop, group):
            part = slice(start, min(start + group, one.stop))
            ascending = np.argsort(rows[part])  # the disk is read forwards
            back = np.argsort(ascending)
            picked = rows[part][ascending]
            arrays = [pa.array(found[part])]
            own = atlas.columns(atlas.default_space)
            for column, field in zip(columns, fields, strict=True):
                arrays.append(arrow_array(field, cells(own, column, picked)[back]))
            wide = read_rows(space.embeddings, picked)[back].astype(np.float32)
            arrays.append(pa.FixedSizeListArray.from_arrays(wide.ravel(), space.dimension))
            yield pa.Table.from_arrays(arrays, schema=schema)

    try:
        footers: list[pq.FileMetaData] = []
        dataset = folder / "dataset"
        for one in partitions:
            path = dataset / one.path
            path.parent.mkdir(parents=True, exist_ok=True)
            with pq.ParquetWriter(path, schema, compression="zstd", metadata_collector=footers) as writer:
                for table in tables(one):
                    writer.write_table(table)
            footers[-1].set_file_path(one.path)
        pq.write_metadata(schema, dataset / "_common_metadata")
        pq.write_metadata(schema, dataset / "_metadata", metadata_collector=footers)
        listed = "".join(f"{one.order},{one.pixel}\n" for one in partitions)
        (folder / "partition_info.csv").write_text(f"Norder,Npix\n{listed}")
        told = _properties(atlas.manifest, int(rows.size), partitions)
        for name in ("properties", "hats.properties"):
            (folder / name).write_text(told, encoding="utf-8")
    except OSError as error:
        raise ResourceError(f"the catalogue cannot be written: {error.strerror or error}") from error
    return HatsWritten(int(rows.size), len(partitions), left_out)


def split_sky(found: NDArray[np.int64], most: int) -> Iterator[HatsPartition]:
    """Partitions of sorted cells of order 29: the largest pixels with at most so many rows each, in the order of the
    sky; empty ones are none."""
    waiting = [(0, pixel) for pixel in reversed(range(BASE_CELLS))]
    while waiting:
        order, pixel = waiting.pop()
        width = 4 ** (DEEPEST_ORDER - order)
        start, stop = np.searchsorted(found, [pixel * width, (pixel + 1) * width]).tolist()
        if start == stop:
            continue
        if stop - start <= most or order == SPLIT_TO_ORDER:
            yield HatsPartition(order, pixel, start, stop)
        else:
            waiting.extend((order + 1, 4 * pixel + part) for part in reversed(range(4)))


def _by_place(atlas: OpenBuild, rows: NDArray[np.uint32] | None) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Rows in the order of the sky, and the cell of each at order 29."""
    ra, dec = (atlas.columns().array(name) for name in (layout.RA, layout.DEC))
    if rows is None:
        rows = np.arange(atlas.n_rows, dtype=np.uint32)
    found = np.empty(rows.size, dtype=np.int64)
    for start in range(0, rows.size, CHUNK_ROWS):
        part = rows[start : start + CHUNK_ROWS]
        found[start : start + CHUNK_ROWS] = cell_of(np.asarray(ra[part]), np.asarray(dec[part]), DEEPEST_ORDER)
    order = np.argsort(found, kind="stable")
    return rows[order], found[order]


def _asked(within: Selection | str | None) -> dict[str, str]:
    """Selection as JSON; its SHA-256 where that would fill the head of each partition."""
    if within is None:
        return {}
    told = encode_selection(canonical(within))
    short = len(told) <= LONGEST_SELECTION
    return {"selection": told.decode() if short else f"SHA-256 {hashlib.sha256(told).hexdigest()}"}


def _schema(origin: dict[str, str], fields: list[Field], embedding: str, dimension: int) -> pa.Schema:
    index = {"description": "Nested HEALPix cell of order 29", "ucd": "pos.healpix"}
    about = {"description": f"Embedding of the galaxy's image, {dimension} numbers of unit length together"}
    return pa.schema(
        [
            pa.field(INDEX, pa.int64(), metadata=index),
            *(arrow_field(field) for field in fields),
            pa.field(embedding, pa.list_(pa.float32(), dimension), metadata=about),
        ],
        metadata=origin,
    )


def _properties(manifest: Manifest, n_rows: int, partitions: list[HatsPartition]) -> str:
    """Properties of the catalogue in the syntax of Java."""
    p = manifest.provenance
    told = {
        "obs_collection": manifest.name,
        "obs_title": manifest.title,
        "obs_description": f"Galaxies of build {manifest.build_id} with their embeddings",
        "obs_copyright": p.licence,
        "obs_ack": p.acknowledgement,
        "prov_progenitor": f"{p.survey} {p.release}",
        "bib_reference": p.bibtex,
        "dataproduct_type": "object",
        "hats_nrows": str(n_rows),
        "hats_col_ra": layout.RA,
        "hats_col_dec": layout.DEC,
        "hats_col_healpix": INDEX,
        "hats_col_healpix_order": str(DEEPEST_ORDER),
        "hats_npix_suffix": ".parquet",
        "hats_order": str(max(one.order for one in partitions)),
        "hats_max_rows": str(max(one.stop - one.start for one in partitions)),
        "hats_builder": "Galaxy Finder",
        "hats_creation_date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%MZ"),
        "hats_version": "v1.0",
    }
    lines = {name: " ".join(text.split()).replace("\\", "\\\\") for name, text in told.items()}
    return "#HATS catalog\n" + "".join(f"{name}={text}\n" for name, text in lines.items() if text)
