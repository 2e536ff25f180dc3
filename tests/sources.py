"""Sources that tests make of other sources."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

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
