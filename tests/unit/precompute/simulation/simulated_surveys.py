"""A small simulated survey, and what is in its files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from precompute.simulation.image_survey import simulate_images

N = 500


PIXELS = 32


SEED = 9


def simulate(folder: Path, **changes: Any) -> None:
    simulate_images(**{"n": N, "folder": folder, "seed": SEED, "pixels": PIXELS, "quiet": True, **changes})


def read(folder: Path) -> dict[str, NDArray[Any]]:
    """All rows of all datasets, and the embeddings, of the chunks in order."""
    parts = []
    for path in sorted(folder.glob("images_*.h5")):
        with h5py.File(path, "r") as f:
            parts.append({name: dataset[...] for name, dataset in f.items()})
    rows = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    chunks = [np.load(path, allow_pickle=False) for path in sorted(folder.glob("representations_*.npy"))]
    return rows | {"embeddings": np.concatenate(chunks)}


def assert_same(one: dict[str, NDArray[Any]], other: dict[str, NDArray[Any]]) -> None:
    assert one.keys() == other.keys()
    for name, values in one.items():
        assert values.dtype == other[name].dtype, name
        assert values.tobytes() == other[name].tobytes(), name


class Interrupted(Exception):
    """What a test stops the writing with."""
