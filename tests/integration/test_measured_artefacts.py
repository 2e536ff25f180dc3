"""Whatever images a source has, its build tells which are spoilt."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from atlas import Atlas
from atlas.catalog.anomalies import ARTEFACT, offered
from atlas.storage.validate import validate
from precompute.build.append import append
from precompute.build.pipeline import build
from precompute.config import BuildConfig
from precompute.descriptor.artefact_columns import COLUMNS
from precompute.sources.source import Source, open_source
from precompute.stages import artefacts
from precompute.stages.stage import StageContext
from tests.unit.precompute.embedding.test_embed import galaxy

CONFIG = BuildConfig(subsample=100, n_epochs=10, recall_queries=3, engine="exact", threads=1)
SPOILT, LARGE, MISSING, BROKEN = 3, 7, 11, 15


def write_source(folder: Path, first: int, n: int, **columns: list[float]) -> Source:
    """Galaxies with a picture each, one of them crossed by a bad column, one of another size, one lost, one broken."""
    rng = np.random.default_rng(first)
    images = folder / "images"
    images.mkdir(parents=True)
    for row in range(n):
        picture = galaxy(first + row, edge=300 if row == LARGE else 48)
        if row == SPOILT:
            picture[:, 30, 0] = 160
        if row != MISSING:
            Image.fromarray(picture).save(images / f"{row:09d}.png")
    (images / f"{BROKEN:09d}.png").write_bytes(b"not a picture")
    table = {"objid": range(first, first + n), "ra": rng.uniform(0, 90, n), "dec": rng.uniform(-30, 30, n)}
    pq.write_table(pa.table(table | columns), folder / "catalog.parquet")
    np.save(folder / "embeddings.npy", rng.normal(size=(n, 12)).astype(np.float32))
    return open_source(folder)


@pytest.mark.soak
def test_images_of_any_source_are_measured_and_those_of_appended_rows_too(tmp_path: Path) -> None:
    build(write_source(tmp_path / "first", 0, 120), tmp_path / "atlas", CONFIG, quiet=True)
    before = Atlas.open(tmp_path / "atlas").columns("v1")
    assert all(name in before for name in COLUMNS) and ARTEFACT in offered(before)
    append(write_source(tmp_path / "more", 500, 40), tmp_path / "atlas", quiet=True)
    assert validate(tmp_path / "atlas") == []
    columns = Atlas.open(tmp_path / "atlas").columns("v1")
    spoilt, noise = np.array(columns.array(ARTEFACT)), np.array(columns.array("sky_noise"))
    assert np.flatnonzero(spoilt > 0.5).tolist() == [SPOILT, 120 + SPOILT]
    without = [start + row for start in (0, 120) for row in (MISSING, BROKEN)]
    # What has no image is not hidden with the spoilt ones.
    assert np.flatnonzero(np.isnan(noise)).tolist() == without and not spoilt[without].any()
    assert columns.describe("sky_noise").unit == "" and "grey levels" in columns.describe("sky_noise").description


def test_a_spoilt_image_is_told_from_others_and_from_none(tmp_path: Path) -> None:
    source = write_source(tmp_path / "source", 0, 20)
    found = artefacts.measure_rows(source, range(2, 17))
    assert np.flatnonzero(found[ARTEFACT] > 0.5).tolist() == [SPOILT - 2]
    assert np.flatnonzero(np.isnan(found["sky_noise"])).tolist() == [MISSING - 2, BROKEN - 2]


@pytest.mark.parametrize("told", [{ARTEFACT: [0.0] * 20}, {"sky_noise": [7.0] * 20}])
def test_what_a_catalogue_tells_of_its_images_goes_before(tmp_path: Path, told: dict[str, list[float]]) -> None:
    source = write_source(tmp_path / "source", 0, 20, **told)
    ctx = StageContext(tmp_path / "build", CONFIG, name="artefacts", quiet=True, source=source)
    artefacts.STAGE.run(ctx)
    found = {column["name"] for column in ctx.measured["columns"]}
    assert found == (set() if ARTEFACT in told else set(COLUMNS) - told.keys())
