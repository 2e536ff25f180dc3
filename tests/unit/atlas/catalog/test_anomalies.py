"""Detectors that an atlas offers, and what is said of a galaxy that one has found."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from atlas.catalog.anomalies import detector_of, offered
from atlas.catalog.columns import QUANTILES, Columns
from atlas.catalog.reasons import reasons
from atlas.storage.manifest import Column
from dashboard.state.page_state import State
from dashboard.views.choices import orders
from dashboard.views.gallery import percentile_text

SPREAD = tuple(float(q) for q in QUANTILES)


def column(name: str, **more: object) -> Column:
    return Column(name=name, file=f"{name}.npy", dtype="float32", kind="number", quantiles=SPREAD, **more)  # type: ignore[arg-type]


def test_an_atlas_offers_the_detectors_that_it_has_and_an_old_link_finds_one() -> None:
    now = Columns(Path(), (column("anomaly_knn"), column("anomaly"), column("artefact")), 1)
    assert offered(now) == ["anomaly", "artefact"]
    assert detector_of("anomaly_forest", now) == "anomaly"
    assert detector_of("anomaly_knn", now) == "anomaly_knn"
    chosen = {one["value"]: one["label"] for one in orders(State(order="anomaly_knn"), now)}
    assert chosen["anomaly_knn"] == "Far from others", "a narrow menu shows what tells one from the other"
    assert "anomaly_knn" not in {one["value"] for one in orders(State(), now)}
    before = Columns(Path(), (column("anomaly_knn"), column("anomaly_forest")), 1)
    assert offered(before) == ["anomaly_knn"]
    assert [detector_of(name, before) for name in ("anomaly_forest", "anomaly")] == ["anomaly_forest", "anomaly_knn"]
    unknown = Columns(
        Path(), (column("anomaly"), Column(name="anomaly_cluster", file="", dtype="float32", kind="number")), 1
    )
    assert offered(unknown) == ["anomaly"]


def test_a_galaxy_is_odd_by_the_column_in_which_it_stands_farthest_out(tmp_path: Path) -> None:
    columns = (column("g_minus_r", ucd="phot.color"), column("radius"), column("artefact"), column("mag_r", unit="mag"))
    values = {
        "g_minus_r": [0.5, 0.97, 0.02, np.nan],
        "radius": [0.5, 0.99, 0.5, 0.5],
        "artefact": [0, 0, 0.8, 0],
        "mag_r": [0, 0, 0, 1],
    }
    for name, some in values.items():
        np.save(tmp_path / f"{name}.npy", np.array(some, np.float32))
    opened = Columns(tmp_path, columns, 4)
    found = reasons(opened, [c for c in columns if c.name != "artefact"], np.arange(4))
    assert [None if word is None else word.text for word in found] == [None, "larger", "spoilt image", None]
    assert found[1] is not None and found[1].why == "larger than 99 % of the galaxies"


def test_a_percentile_has_the_digits_that_tell_it_from_its_end() -> None:
    assert [percentile_text(p) for p in (87.65, 99.37, 99.948, 99.99931, 100.0)] == [
        "87 %", "99.3 %", "99.94 %", "99.9993 %", "100 %",
    ]  # fmt: skip
