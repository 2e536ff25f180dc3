"""Artefacts reach a catalogue as columns that say what they are."""

from __future__ import annotations

from pathlib import Path

import astropy.units as u
import h5py
import numpy as np
import pytest
from astropy.io.votable.ucd import check_ucd
from numpy.typing import NDArray

from precompute.build.pipeline import build
from precompute.descriptor.artefact_columns import COLUMNS, artefact_columns, describe_columns
from precompute.descriptor.artefacts import MEASURES
from precompute.simulation import image_survey as simulated_imaging
from precompute.simulation.image_survey import simulate_images
from precompute.simulation.rendering.parameters import BAD_COLUMN, Parameters
from precompute.source_description import read_description
from precompute.sources.source import open_source
from precompute.stages.stage import BuildConfig


def test_columns_are_those_that_are_described() -> None:
    measured = np.array([[9, 3, np.log(11), 0, 0, 2.5], [3, 2, 0, 0.5, 0.3, 1]], np.float32)
    assert measured.shape[1] == len(MEASURES)
    columns = artefact_columns(measured, 100)
    assert list(columns) == list(COLUMNS) == list(describe_columns("nmgy", "in nanomaggies"))
    assert columns["artefact"].tolist() == [1, 1]
    np.testing.assert_allclose(columns["saturated_share"], [0.1, 0], atol=1e-6)
    np.testing.assert_allclose(columns["sky_noise"], [2.5, 1])
    for column in describe_columns("mag", "in words").values():
        u.Unit(column.unit)
        assert check_ucd(column.ucd, check_controlled_vocabulary=True)
        assert column.description.endswith(".")


def test_spoilt_images_are_told_by_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = simulated_imaging.draw_parameters

    def with_artefacts(seed: int, numbers: NDArray[np.int64]) -> Parameters:
        parameters = draw(seed, numbers)
        parameters["true_class"][numbers % 4 == 0] = BAD_COLUMN
        return parameters

    monkeypatch.setattr(simulated_imaging, "draw_parameters", with_artefacts)
    simulate_images(200, tmp_path, pixels=96, quiet=True)
    with h5py.File(next(tmp_path.glob("*.h5")), "r") as f:
        found = {name: dataset[...] for name, dataset in f.items() if name != "images"}
    is_spoilt = found["is_artefact"] == 1
    assert 0.25 <= is_spoilt.mean() < 0.3
    assert (found["artefact"] > 0.5)[found["true_class"] == b"bad column"].mean() > 0.9
    assert (found["artefact"] > 0.5)[~is_spoilt].mean() < 0.02
    assert (found["bad_column_strength"][is_spoilt] > 6).mean() > 0.8
    described = read_description(tmp_path).columns
    assert all(described[name].description for name in COLUMNS)
    assert "nanomaggies" in described["sky_noise"].description
    config = BuildConfig(subsample=200, n_epochs=20, recall_queries=5, engine="exact", threads=1)
    manifest = build(open_source(tmp_path), tmp_path / "atlas", config, quiet=True)
    assert set(COLUMNS) <= {column.name for column in manifest.columns if not column.truth}
