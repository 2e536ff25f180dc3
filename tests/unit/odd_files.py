"""A small survey around one odd file, and its columns as an atlas stores them; for the tests of readers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from precompute.sources.column_types import NormalizedColumn, normalize_column
from precompute.sources.source import Source, open_source

N = 20
RA = np.linspace(150, 152, N)
DEC = np.linspace(1, 3, N)


def beside(folder: Path, n: int = N) -> Path:
    """The folder, with embeddings of `n` galaxies in it."""
    rows: NDArray[Any] = np.random.default_rng(0).normal(size=(n, 4)).astype("f4")
    np.save(folder / "embeddings.npy", rows)
    return folder


def stored(source: Source, name: str) -> NormalizedColumn:
    """A column as an atlas stores it."""
    catalog = source.check()
    assert name in catalog.column_names
    return normalize_column(
        source.read_column(name), source.description.columns[name], identifier=name in catalog.id_columns
    )


def opened(folder: Path) -> Source:
    """The source in a folder, whose positions are those above."""
    source = open_source(beside(folder))
    catalog = source.check()
    assert np.allclose(catalog.ra_deg, RA) and np.allclose(catalog.dec_deg, DEC)
    return source


def noted(source: Source, *parts: str) -> bool:
    """Whether one note holds all the parts."""
    return any(all(part in note for part in parts) for note in source.notes)
