"""What tests of layouts read of a source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from precompute.errors import SourceError
from precompute.sources.column_types import NormalizedColumn, normalize_column
from precompute.sources.source import Source, open_source


def read(source: Source, name: str) -> NormalizedColumn:
    return normalize_column(source.read_column(name), source.description.columns[name])


def all_embeddings(source: Source, chunk: int) -> np.ndarray:
    parts, expected = [], 0
    for start, rows in source.embedding_chunks(chunk):
        assert start == expected and 0 < len(rows) <= chunk and rows.dtype == np.float32
        parts.append(rows)
        expected += len(rows)
    return np.concatenate(parts)


def problems_of(folder: Path, **options: Any) -> str:
    with pytest.raises(SourceError) as caught:
        open_source(folder, **options)
    return str(caught.value)
