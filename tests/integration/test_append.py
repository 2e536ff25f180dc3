"""Appending: new rows are there for every query at once, nothing old is copied or changed, and `compact` merges."""

from __future__ import annotations

import errno
import itertools
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from flask import Flask

from atlas import Atlas, Query, Similar
from atlas.catalog.anomalies import PERCENTILES, SCORED
from atlas.errors import UnknownGalaxyError
from atlas.planes.region import Box
from atlas.queries.selection import Cone, MapPolygon
from atlas.search.exact import top_k_exact
from atlas.storage import layout
from atlas.storage.manifest import Manifest
from atlas.storage.publish import current_build, hash_file
from atlas.storage.thumbnails import encode_thumbnail
from atlas.storage.validate import validate
from dashboard.cache.results import Cached
from dashboard.service.atlas_service import Service
from dashboard.settings import load
from precompute.build import stage_runner as running
from precompute.build.add_space import add_space
from precompute.build.append import append
from precompute.build.compact import compact
from precompute.build.pipeline import build
from precompute.build.update import update
from precompute.config import BuildConfig
from precompute.errors import SourceError
from precompute.simulation.catalog_survey import simulate_survey
from precompute.sources.asinh_rgb import asinh_rgb
from precompute.sources.further_columns import open_further
from precompute.sources.source import Source, open_source
from precompute.stages import anomalies
from tests.sources import CATALOG, some_rows
from tests.unit.layouts import (
    survey_columns,
    survey_embeddings,
    survey_images,
    write_chunks,
    write_representations,
)

PATIENCE_S = 60
EDGES = (0, 1_500, 2_300, 3_000)
EXACT = BuildConfig(subsample=600, n_epochs=30, recall_queries=10, threads=2)
QUICK = msgspec.structs.replace(EXACT, engine="scann", knn="sample", knn_sample=400)


@dataclass
class Grown:
    """An atlas of three segments, and what came before.

    Attributes
    ----------
    survey : Path
        All galaxies as one source.
    root : Path
        The atlas.
    base : Path
        Build of the first segment, kept aside with the files that the later builds share.
    hashes : dict
        Of the base's files, before anything was appended.
    """

    survey: Path
    root: Path
    base: Path
    hashes: dict[str, object]


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("survey") / "all"
    simulate_survey(EDGES[-1], folder, seed=4, dimension=32, quiet=True)
    return folder


@pytest.fixture(scope="module")
def grown(survey: Path, tmp_path_factory: pytest.TempPathFactory) -> Grown:
    folder = tmp_path_factory.mktemp("grown")
    first, second, third = (some_rows(survey, folder / f"source-{a}", a, b) for a, b in itertools.pairwise(EDGES))
    root = folder / "atlas"
    build(first, root, QUICK, quiet=True)
    current = layout.build_path(root, str(current_build(root)))
    base = folder / "base"
    running.link(current, base)  # builds but the last two are dropped
    hashes: dict[str, object] = {p.relative_to(base).as_posix(): hash_file(p) for p in running.files_of(base)}
    append(second, root, quiet=True)
    append(third, root, quiet=True)
    return Grown(survey, root, base, hashes)


@pytest.fixture(scope="module")
def whole(grown: Grown) -> Atlas:
    return Atlas.open(grown.root)


@pytest.fixture(scope="module")
def first(survey: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("first")
    build(some_rows(survey, folder / "source", *EDGES[:2]), folder / "atlas", EXACT, quiet=True)
    return folder / "atlas"


@pytest.fixture
def small(first: Path, tmp_path: Path) -> Path:
    """An atlas of the first 1,500 galaxies, small enough to be scanned; each test has one of its own."""
    running.link(first, tmp_path / "atlas")
    return tmp_path / "atlas"


def test_the_atlas_is_whole_and_says_what_it_is_made_of(grown: Grown, whole: Atlas) -> None:
    assert validate(grown.root) == []
    assert [(s.start, s.stop) for s in whole.manifest.segments] == [(0, 1_500), (1_500, 2_300), (2_300, 3_000)]
    assert [r.name for r in whole.manifest.stages][-2:] == ["append-1", "append-2"]
    assert any("700 galaxies of source-2300 were appended" in note for note in whole.manifest.provenance.notes)


def test_every_row_has_its_values(grown: Grown, whole: Atlas) -> None:
    rows = np.arange(EDGES[-1])
    told = pq.read_table(grown.survey / CATALOG)
    columns = whole.columns()
    for name in ("release", "objid", "mag_r", "ra", "source_type", "true_class"):
        values = told[name].combine_chunks()
        plain = pc.dictionary_decode(values) if hasattr(values, "dictionary") else values
        expected = plain.to_pylist()
        found = columns.values(name, rows)
        if isinstance(expected[0], float):
            np.testing.assert_allclose(np.array(found, float), np.array(expected, float), rtol=1e-6)
        else:
            assert found == expected
    color = np.array(columns.values("g_minus_r", rows), dtype=float)
    difference = told["mag_g"].to_numpy() - told["mag_r"].to_numpy()
    np.testing.assert_allclose(color, difference, atol=1e-5)


def test_quantiles_and_counts_are_those_of_all_rows(whole: Atlas) -> None:
    for column in (c for c in whole.columns("v1") if c.kind == "number"):
        values = np.asarray(whole.columns("v1").array(column.name), dtype=np.float64)
        assert column.missing == np.isnan(values).sum()
        assert column.quantiles[0] == np.nanmin(values) and column.quantiles[-1] == np.nanmax(values)
    for cluster in whole.space().cluster_tree.every:
        assert cluster.size == np.count_nonzero(whole.columns("v1").array(cluster.scale) == cluster.label)


def test_nothing_old_is_copied_or_changed(grown: Grown, whole: Atlas) -> None:
    assert {p.relative_to(grown.base).as_posix(): hash_file(p) for p in running.files_of(grown.base)} == grown.hashes
    for name in ("spaces/v1/embeddings.npy", "columns/ra.npy", "spaces/v1/index/hashed_dataset.npy", "sky/row.npy"):
        assert (whole.build / name).samefile(grown.base / name)
    linked = sum(f.size for n, f in whole.manifest.files.items() if (grown.base / n).exists()
                 and (whole.build / n).samefile(grown.base / n))  # fmt: skip
    assert linked > 0.8 * sum(size.size for size in grown.hashes.values())  # type: ignore[attr-defined]


@pytest.mark.parametrize("row", [0, 1_499, 1_500, 2_299, 2_300, 2_999])
def test_a_search_finds_neighbours_in_every_segment(whole: Atlas, row: int) -> None:
    query = Query(space="v1", ranking=Similar((row,)), limit=20)
    result = whole.run(query)
    assert result.method == "index"
    embeddings = whole.space().embeddings
    exact, scores = top_k_exact(embeddings, np.asarray(embeddings[row], dtype=np.float32), 20, skip=(row,))
    assert np.isin(exact, result.rows).mean() >= 0.95
    np.testing.assert_allclose(np.sort(result.scores)[-10:], np.sort(scores)[-10:], atol=1e-3)


def test_a_new_galaxy_is_found_by_id_position_map_and_sky(whole: Atlas) -> None:
    row = 2_700
    assert whole.identity.row(whole.identity.name(row)) == row
    ra, dec = whole.position(row)
    assert whole.nearest(ra, dec, 1.0)[0] == row
    assert row in whole.mask(Cone(ra, dec, 5.0)).rows
    x, y = (float(whole.columns("v1").array(f"map_{axis}")[row]) for axis in "xy")
    around = ((x - 0.01, y - 0.01), (x + 0.01, y - 0.01), (x + 0.01, y + 0.01), (x - 0.01, y + 0.01))
    assert row in whole.mask(MapPolygon("v1", around)).rows
    assert row in whole.space().plane.viewport(Box(x - 0.01, x + 0.01, y - 0.01, y + 0.01)).rows


def test_names_lead_to_every_row(whole: Atlas) -> None:
    rows = np.arange(0, EDGES[-1], 37)
    assert [whole.identity.row(name) for name in whole.identity.names(rows)] == rows.tolist()
    with pytest.raises(UnknownGalaxyError):
        whole.identity.row("9010-1-999999999")


def test_the_map_draws_all_rows_and_those_before_have_not_moved(grown: Grown, whole: Atlas) -> None:
    plane = whole.space().plane
    assert np.sort(plane.viewport(plane.extent).rows).tolist() == list(range(EDGES[-1]))
    for name in ("map_x", "map_y", "cluster", *PERCENTILES):
        old = np.load(grown.base / "spaces/v1/columns" / f"{name}.npy")
        np.testing.assert_array_equal(whole.columns("v1").array(name)[: EDGES[1]], old)


def assert_scored(atlas: Atlas, part: slice) -> None:
    """Rows have the scores that the model and the percentiles of the very first rows give them."""
    columns, folder = atlas.columns("v1"), atlas.build / "spaces/v1"
    embeddings = atlas.space().embeddings
    rows = anomalies.AnomalyInputs(embeddings, *(columns.array(name) for name in ("anomaly_knn", "cluster", "mag_r")))
    model = anomalies.fit_model(rows, EDGES[1], QUICK)
    assert model.groups > 1, "magnitudes are told apart"
    raw = anomalies.score_rows(model, np.load(folder / "clusters/centroids.npy"), rows[part])
    quantiles = dict(zip(SCORED, np.load(folder / layout.ANOMALY_QUANTILES), strict=True))
    for name, expected in anomalies.as_percentiles(raw, quantiles).items():
        np.testing.assert_allclose(columns.array(name)[part], expected, atol=0.02, err_msg=name)


def test_new_rows_are_scored_as_those_before(whole: Atlas) -> None:
    embeddings = whole.space().embeddings
    assert_scored(whole, slice(0, EDGES[-1]))
    distance = whole.columns("v1").array("anomaly_knn")
    for row in (1_600, 2_900):
        query = np.asarray(embeddings[row], dtype=np.float32)
        nearest = top_k_exact(embeddings[: 2_300 if row < 2_300 else 3_000], query, 10, skip=(row,))[1]
        assert distance[row] == pytest.approx((1 - nearest).mean(), abs=0.02)


def test_neighbours_of_a_share_of_the_new_rows_are_known(whole: Atlas) -> None:
    known = whole.space().known_rows
    assert known is not None and (np.diff(known.astype(np.int64)) > 0).all()
    per_segment = np.histogram(known, EDGES)[0] / np.diff(EDGES)
    np.testing.assert_allclose(per_segment, 400 / 1_500, rtol=0.02)
    assert whole.space().neighbors.shape == (known.size, 10)
    trust = whole.columns("v1").array("trust")
    np.testing.assert_array_equal(np.flatnonzero(~np.isnan(trust)), known)


class Killed(BaseException):
    """Stands for a kill: not an Exception, so nothing may catch it on the way."""


STEPS = (
    "read",
    "embeddings",
    "index",
    "knn",
    "place",
    "anomalies",
    "trust",
    "planes",
    "artefacts",
    "thumbnails",
    "finish",
)


@pytest.mark.parametrize("last", STEPS)
def test_an_interrupted_append_leaves_the_atlas_and_goes_on(
    small: Path, survey: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: str
) -> None:
    more = some_rows(survey, tmp_path / "more", *EDGES[1:3])
    run, before = running.run_stage, current_build(small)

    def killed_after(step: running.WorkStep, *rest: object) -> object:
        run(step, *rest)  # type: ignore[arg-type]
        if step.name == last:
            raise Killed
        return running.read_record(layout.segment_path(_partial(small), 1) / layout.STAGES / f"{step.name}.json")

    with monkeypatch.context() as patch:
        patch.setattr(running, "run_stage", killed_after)
        with pytest.raises(Killed):
            append(more, small, quiet=True)
    assert current_build(small) == before
    assert validate(small) == []
    assert Atlas.open(small).n_rows == EDGES[1]

    ran: list[str] = []

    def noted(step: running.WorkStep) -> None:
        ran.append(step.name)

    real = running.WorkStep.run
    monkeypatch.setattr(running.WorkStep, "run", lambda step, ctx: (noted(step), real(step, ctx))[1])
    append(more, small, quiet=True)
    assert ran == list(STEPS[STEPS.index(last) + 1 :])
    assert validate(small) == []
    assert Atlas.open(small).n_rows == EDGES[2]


def _partial(root: Path) -> Path:
    (found,) = (root / layout.BUILDS).glob(".*.partial")
    return found


def test_the_same_source_again_changes_nothing(small: Path, survey: Path, tmp_path: Path) -> None:
    more = some_rows(survey, tmp_path / "more", *EDGES[1:3])
    first = append(more, small, quiet=True)
    assert append(more, small, quiet=True) == first


def test_galaxies_that_are_there_already_are_refused(small: Path, survey: Path, tmp_path: Path) -> None:
    before = current_build(small)
    overlapping = some_rows(survey, tmp_path / "overlap", 1_490, 1_600)
    with pytest.raises(SourceError, match=r"10 of 110 galaxies are in the atlas already, by release, brickid, objid"):
        append(overlapping, small, quiet=True)
    assert current_build(small) == before and validate(small) == []


def test_a_source_that_does_not_fit_is_told_everything_at_once(small: Path, survey: Path, tmp_path: Path) -> None:
    table = pq.read_table(survey / CATALOG).slice(1_500, 100)
    table = table.drop_columns(["ebv", "maskbits"])
    table = table.set_column(table.schema.get_field_index("mag_r"), "mag_r", [["bright"] * 100])
    wrong = some_rows(survey, tmp_path / "wrong", 1_500, 1_600, table)
    with pytest.raises(SourceError) as told:
        append(wrong, small, quiet=True)
    assert "column mag_r holds words where the atlas has numbers" in str(told.value)
    assert "2 columns that it lacks: ebv, maskbits" in str(told.value)


def test_embeddings_of_another_network_are_refused(small: Path, tmp_path: Path) -> None:
    simulate_survey(200, tmp_path / "other", seed=9, dimension=48, quiet=True)
    other = some_rows(tmp_path / "other", tmp_path / "part", 0, 200)
    with pytest.raises(SourceError, match="embeddings of 48 numbers, the atlas of 32"):
        append(other, small, quiet=True)


def test_columns_that_the_atlas_lacks_are_left_out_and_told(small: Path, survey: Path, tmp_path: Path) -> None:
    table = pq.read_table(survey / CATALOG).slice(1_500, 100)
    more = some_rows(survey, tmp_path / "more", 1_500, 1_600, table.append_column("sfr", [np.arange(100.0)]))
    manifest = append(more, small, quiet=True)
    assert any("left out: sfr" in note for note in manifest.provenance.notes)


def test_a_build_after_an_append_does_not_take_over_what_grew(small: Path, survey: Path, tmp_path: Path) -> None:
    append(some_rows(survey, tmp_path / "more", *EDGES[1:3]), small, quiet=True)
    again = some_rows(survey, tmp_path / "again", *EDGES[:2])
    with pytest.raises(
        SourceError, match=r"800 galaxies of more appended. A build would put it back to the 1,500 .*--force"
    ):
        build(again, small, EXACT, quiet=True)
    assert Atlas.open(small).n_rows == EDGES[2]
    manifest = build(again, small, EXACT, force=True, quiet=True)
    assert manifest.n_rows == EDGES[1] and len(manifest.segments) == 1
    assert validate(small) == []


@pytest.fixture(scope="module")
def merged(grown: Grown, whole: Atlas, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest]:
    root = tmp_path_factory.mktemp("merged") / "atlas"
    running.link(grown.root, root)
    return root, compact(root, quiet=True)


def test_compacting_makes_one_segment_with_the_same_rows(merged: tuple[Path, Manifest], whole: Atlas) -> None:
    root, manifest = merged
    assert validate(root) == []
    assert len(manifest.segments) == 1 and manifest.n_rows == whole.n_rows
    # Recall is that of all rows from here on, and no note says otherwise.
    assert any("were appended" in note for note in manifest.provenance.notes)
    assert not any("measured before" in note for note in manifest.provenance.notes)
    assert not [name for name in manifest.files if name.startswith(layout.SEGMENTS) or name.endswith((".1", ".2"))]
    one = Atlas.open(root)
    for column in one.columns("v1"):
        if column.name != "trust":  # measured again, among all rows
            np.testing.assert_array_equal(one.columns("v1").array(column.name), whole.columns("v1").array(column.name))
    np.testing.assert_array_equal(one.space().embeddings, whole.space().embeddings)


def test_a_compacted_atlas_answers_as_before(merged: tuple[Path, Manifest], whole: Atlas) -> None:
    one = Atlas.open(merged[0])
    box = whole.space().plane.extent
    np.testing.assert_array_equal(
        one.space().plane.viewport(box, 500).rows, whole.space().plane.viewport(box, 500).rows
    )
    query = Query(space="v1", ranking=Similar((2_500,)), limit=50, exact=True)
    np.testing.assert_array_equal(one.run(query).rows, whole.run(query).rows)
    assert one.space().index.n_rows == one.n_rows
    assert [one.identity.row(name) for name in one.identity.names([0, 1_800, 2_999])] == [0, 1_800, 2_999]


def test_a_compacted_atlas_takes_more_rows(merged: tuple[Path, Manifest], tmp_path: Path) -> None:
    root, _ = merged
    simulate_survey(EDGES[-1] + 400, tmp_path / "longer", seed=4, dimension=32, quiet=True)
    append(some_rows(tmp_path / "longer", tmp_path / "tail", EDGES[-1], EDGES[-1] + 400), root, quiet=True)
    assert validate(root) == []
    atlas = Atlas.open(root)
    assert [(s.start, s.stop) for s in atlas.manifest.segments] == [(0, 3_000), (3_000, 3_400)]
    assert_scored(atlas, slice(3_000, 3_400))


def write_chunked(folder: Path, seed: int, d: int = 12) -> Source:
    """A survey of a hundred galaxies with images, whose ids no other seed has."""
    columns = survey_columns(seed=seed)
    columns["objid"] += 1_000 * seed
    write_chunks(folder, columns, (0, 60, 100), survey_images(seed=seed))
    write_representations(folder, survey_embeddings(d=d, seed=seed), (0, 100))
    return open_source(folder)


def test_images_are_packed_behind_those_there(tmp_path: Path) -> None:
    config = msgspec.structs.replace(EXACT, thumbnail_pixels=20)
    build(write_chunked(tmp_path / "a", 1), tmp_path / "atlas", config, quiet=True)
    append(write_chunked(tmp_path / "b", 2), tmp_path / "atlas", quiet=True)
    append(write_chunked(tmp_path / "c", 3), tmp_path / "atlas", quiet=True)
    compact(tmp_path / "atlas", quiet=True)
    assert validate(tmp_path / "atlas") == []
    atlas = Atlas.open(tmp_path / "atlas")
    assert atlas.manifest.thumbnails is not None and atlas.manifest.thumbnails.present == 300
    for row in (0, 99, 100, 150, 200, 299):
        image = survey_images(seed=row // 100 + 1)[row % 100]
        assert atlas.thumbnails is not None
        assert atlas.thumbnails.read(row) == encode_thumbnail(asinh_rgb(image)[::-1], 20)


def test_wide_embeddings_are_reduced_by_the_axes_of_the_first(tmp_path: Path) -> None:
    config = msgspec.structs.replace(EXACT, pca=24)
    build(write_chunked(tmp_path / "a", 1, d=300), tmp_path / "atlas", config, quiet=True)
    append(write_chunked(tmp_path / "b", 2, d=300), tmp_path / "atlas", quiet=True)
    atlas = Atlas.open(tmp_path / "atlas")
    axes = np.load(atlas.build / "spaces/v1/axes.npy")
    for rows, seed in ((slice(0, 100), 1), (slice(100, 200), 2)):
        wide = survey_embeddings(d=300, seed=seed)
        reduced = wide / np.linalg.norm(wide, axis=1, keepdims=True) @ axes
        reduced /= np.linalg.norm(reduced, axis=1, keepdims=True)
        np.testing.assert_allclose(atlas.space().embeddings[rows], reduced, atol=1e-3)


def test_the_page_shows_new_rows_without_a_restart(
    small: Path, survey: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboard.service.current_build.LOOK_EVERY_S", 0.0)
    folders = {f"{name}_dir": str(tmp_path / name) for name in ("cache", "kept", "scratch")}
    settings = load({}, atlas=str(small), **folders)
    server = Flask("test")
    service = Service(settings, Cached(server, settings))
    with server.app_context():
        early = service.atlas
        assert early.n_rows == EDGES[1]
        append(some_rows(survey, tmp_path / "more", *EDGES[1:3]), small, quiet=True)
        until = time.monotonic() + PATIENCE_S
        while (late := service.atlas).n_rows == EDGES[1]:
            assert time.monotonic() < until
            time.sleep(0.02)
        mask = service.mask(Cone(*late.position(2_000), 5.0), late)
        assert mask is not None and 2_000 in mask.rows
        # Who opened the build before can finish with it.
        assert early.run(Query(space="v1", ranking=Similar((3,)), limit=5)).rows.size == 5


def test_an_atlas_of_one_segment_has_nothing_to_compact(small: Path) -> None:
    before = current_build(small)
    assert compact(small, quiet=True).build_id == before


def test_an_atlas_named_by_row_grows_without_images_and_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(running.os, "link", refuse)
    random = np.random.default_rng(3)
    for name, n in (("a", 200), ("b", 50)):
        (tmp_path / name).mkdir()
        pq.write_table(
            pa.table({"ra": random.uniform(0, 9, n), "dec": random.uniform(0, 9, n)}), tmp_path / name / CATALOG
        )
        np.save(tmp_path / name / "embeddings.npy", random.normal(size=(n, 8)).astype(np.float32))
    build(open_source(tmp_path / "a"), tmp_path / "atlas", EXACT, quiet=True)
    manifest = append(open_source(tmp_path / "b"), tmp_path / "atlas", quiet=True)
    assert manifest.id_columns == (layout.SOURCE_ROW,) and validate(tmp_path / "atlas") == []
    pq.write_table(pa.table({"size": np.arange(250.0)}), tmp_path / "more.parquet")
    update(
        open_further(tmp_path / "more.parquet", manifest.columns, manifest.id_columns), tmp_path / "atlas", quiet=True
    )
    atlas = Atlas.open(tmp_path / "atlas")
    assert atlas.identity.name(249) == "249" and atlas.columns().array("size").tolist() == list(range(250))
    assert (atlas.build / "columns/size.npy.1").exists(), "a further segment goes on from there"

    # A further space comes to one segment, by numbers of rows; to none before its embeddings are known to fit.
    vectors = random.normal(size=(250, 9)).astype(np.float32)
    for name, rows in (("few", 249), ("all", 250)):
        ids = np.arange(rows)[::-1].astype("U")
        pq.write_table(pa.table({"object_id": ids, "vector": list(vectors[:rows][::-1])}), tmp_path / f"{name}.parquet")
    with pytest.raises(SourceError, match="1 of 250 galaxies of the atlas have no embedding"):
        add_space(tmp_path / "atlas", "v2", str(tmp_path / "few.parquet"), quiet=True)
    assert len(Atlas.open(tmp_path / "atlas").manifest.segments) == 2
    manifest = add_space(tmp_path / "atlas", "v2", str(tmp_path / "all.parquet"), quiet=True)
    assert len(manifest.segments) == 1 and validate(tmp_path / "atlas") == []
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    np.testing.assert_allclose(Atlas.open(tmp_path / "atlas").space("v2").embeddings, unit, atol=1e-3)
