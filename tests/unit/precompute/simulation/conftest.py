"""A small simulated survey, written once a module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from precompute.simulation import image_survey as simulated_imaging
from precompute.simulation.rendering.parameters import Parameters

from .simulated_surveys import read, simulate


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rendered") / "survey"
    simulate(path, chunk_rows=200, threads=1)
    return path


@pytest.fixture(scope="module")
def rows(folder: Path) -> dict[str, NDArray[Any]]:
    return read(folder)


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Counts the galaxies that are rendered."""
    counts: list[int] = []
    render = simulated_imaging.render

    def counted(seed: int, parameters: Parameters, pixels: int) -> NDArray[np.float32]:
        counts.append(len(parameters))
        return render(seed, parameters, pixels)

    monkeypatch.setattr(simulated_imaging, "render", counted)
    return counts
