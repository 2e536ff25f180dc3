"""The simulated survey: the same for the same seed, true to its own truth, never half-written."""

from __future__ import annotations

from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from scipy import stats
from scipy.spatial import cKDTree

from atlas.errors import InputError, ResourceError
from precompute.errors import SourceError
from precompute.simulation import catalog_survey as simulated
from precompute.simulation import footprint as simulated_sky
from precompute.simulation.catalog_galaxies import BLOCK_ROWS, CLASS_NAMES, CLASSES, Survey
from precompute.simulation.catalog_survey import CATALOG, EMBEDDINGS, FILENAME, simulate_survey
from precompute.simulation.footprint import Footprint
from precompute.sources.source import open_source

N = 60_000
Simulated = namedtuple("Simulated", "folder columns embeddings survey")


def read(folder: Path) -> tuple[dict[str, Any], np.ndarray]:
    table = pq.read_table(folder / CATALOG)
    columns = {name: table[name].to_numpy() for name in table.column_names}
    return columns, np.load(folder / EMBEDDINGS, allow_pickle=False)


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    folder = tmp_path_factory.mktemp("simulated") / "survey"
    simulate_survey(N, folder, seed=3, quiet=True)
    columns, embeddings = read(folder)
    return Simulated(folder, columns, embeddings.astype(np.float32), Survey.draw(3, 128))


def assert_starts_with(survey: Simulated, columns: dict[str, Any], embeddings: np.ndarray) -> None:
    n = len(embeddings)
    assert np.array_equal(embeddings, survey.embeddings[:n])
    assert list(columns) == list(survey.columns)
    for name, values in survey.columns.items():
        # Only floats can be asked whether they are NaN.
        assert np.array_equal(columns[name], values[:n], equal_nan=values.dtype.kind == "f"), name


def assert_within_poisson(count: int, expected: float) -> None:
    assert abs(count - expected) <= 5 * np.sqrt(expected) + 1


# Reproducible


def test_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        simulate_survey(20_000, tmp_path / name, seed=7, dimension=32, quiet=True)
    for file in (CATALOG, EMBEDDINGS, FILENAME):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_another_seed_gives_other_galaxies(tmp_path: Path, survey: Simulated) -> None:
    simulate_survey(500, tmp_path, seed=4, quiet=True)
    columns, embeddings = read(tmp_path)
    assert not np.any(columns["ra"] == survey.columns["ra"][:500])
    assert not np.any(np.all(embeddings == survey.embeddings[:500], axis=1))


@pytest.mark.parametrize("n", [100, BLOCK_ROWS, BLOCK_ROWS + 1])
def test_a_short_survey_is_the_start_of_a_longer_one(tmp_path: Path, survey: Simulated, n: int) -> None:
    simulate_survey(n, tmp_path, seed=3, quiet=True)
    columns, embeddings = read(tmp_path)
    assert len(embeddings) == n
    assert_starts_with(survey, columns, embeddings)


@pytest.mark.parametrize("first_row", [1, BLOCK_ROWS - 1, BLOCK_ROWS, 20_000])
def test_what_a_survey_grows_by_are_the_next_rows_of_a_longer_one(
    tmp_path: Path, survey: Simulated, first_row: int
) -> None:
    n = 20_000
    simulate_survey(n, tmp_path, first_row=first_row, seed=3, quiet=True)
    columns, embeddings = read(tmp_path)
    assert np.array_equal(embeddings, survey.embeddings[first_row : first_row + n])
    for name in ("objid", "brickid", "ra", "mag_r"):
        assert np.array_equal(columns[name], survey.columns[name][first_row : first_row + n])


def test_rows_do_not_depend_on_the_chunk_they_are_written_in(
    tmp_path: Path, survey: Simulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulated, "BLOCKS_PER_CHUNK", 1)
    n = 3 * BLOCK_ROWS - 5
    simulate_survey(n, tmp_path, seed=3, quiet=True)
    assert pq.ParquetFile(tmp_path / CATALOG).num_row_groups == 3
    assert_starts_with(survey, *read(tmp_path))


# Embeddings


def test_embeddings_are_unit_rows_in_float16(survey: Simulated) -> None:
    stored = np.load(survey.folder / EMBEDDINGS, mmap_mode="r")
    assert stored.shape == (N, 128)
    assert stored.dtype == np.float16
    assert np.abs(np.linalg.norm(survey.embeddings, axis=1) - 1).max() < 1e-3


def nearest(survey: Simulated, rows: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest other rows of some rows and their cosine similarities, nearest first; by brute force."""
    similarity = survey.embeddings[rows] @ survey.embeddings.T
    similarity[np.arange(len(rows)), rows] = -1
    found = np.argpartition(-similarity, k, axis=1)[:, :k]
    order = np.argsort(-np.take_along_axis(similarity, found, axis=1), axis=1)
    found = np.take_along_axis(found, order, axis=1)
    return found, np.take_along_axis(similarity, found, axis=1)


@pytest.fixture(scope="module")
def typical(survey: Simulated) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Some rows of groups with their 20 nearest."""
    grouped = np.flatnonzero(~survey.columns["is_outlier"])
    rows = np.random.default_rng(0).choice(grouped, 100, replace=False)
    return rows, *nearest(survey, rows, 20)


def test_neighbourhoods_have_ten_to_fourteen_dimensions(typical: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    # Maximum likelihood estimate of Levina & Bickel (2004, NIPS 17), from the distances to 20 neighbours.
    distance = np.sqrt(2 - 2 * typical[2])
    dimension = 19 / np.log(distance[:, -1:] / distance[:, :-1]).sum(axis=1)
    assert 10 < np.median(dimension) < 15


def test_neighbours_are_mostly_but_not_only_of_the_same_group(
    survey: Simulated, typical: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> None:
    group = survey.columns["true_group"]
    same = (group[typical[1]] == group[typical[0]][:, None]).mean()
    assert 0.85 < same < 0.99


def test_outliers_lie_far_from_every_galaxy(
    survey: Simulated, typical: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> None:
    outliers = np.flatnonzero(survey.columns["is_outlier"])
    _, similarity = nearest(survey, outliers, 1)
    assert similarity.max() < 0.8 < np.quantile(typical[2][:, 0], 0.01)
    assert (survey.embeddings[outliers] @ survey.survey.centres.T).max() < 0.8


def test_the_catalogue_can_be_read_from_the_embeddings(survey: Simulated) -> None:
    rows = np.flatnonzero(survey.columns["true_group"] == 0)[:4000]
    centred = survey.embeddings[rows] - survey.embeddings[rows].mean(axis=0)
    magnitude = survey.columns["mag_r"][rows].astype(np.float64)
    train, test = rows.size // 2, slice(rows.size // 2, None)
    weights = np.linalg.lstsq(centred[:train], magnitude[:train] - magnitude.mean(), rcond=None)[0]
    predicted = centred[test] @ weights
    assert np.corrcoef(predicted, magnitude[test])[0, 1] > 0.7


# Truth


def test_class_shares_are_those_asked_for(survey: Simulated) -> None:
    true_class = survey.columns["true_class"]
    assert set(true_class) == set(CLASS_NAMES)
    for galaxy_class in CLASSES:
        if galaxy_class.share:
            assert_within_poisson(int((true_class == galaxy_class.name).sum()), N * galaxy_class.share)


def test_rare_classes_are_as_rare_as_promised() -> None:
    assert {c.name: c.share for c in CLASSES if c.share} == {
        "ring": 1e-3,
        "jellyfish": 3e-4,
        "lens": 1e-4,
        "outlier": 3e-4,
    }


def test_group_sizes_follow_a_power_law(survey: Simulated) -> None:
    group = survey.columns["true_group"]
    sizes = np.bincount(group[group >= 0])
    assert 40 <= sizes.size <= 80
    common = sizes[:56]
    fit = stats.linregress(np.log(np.arange(1, 57)), np.log(common))
    assert fit.slope == pytest.approx(-1, abs=0.05)
    assert fit.rvalue**2 > 0.98


def test_outliers_have_their_own_class_and_no_group(survey: Simulated) -> None:
    is_outlier = survey.columns["is_outlier"]
    assert np.array_equal(is_outlier, survey.columns["true_class"] == "outlier")
    assert np.array_equal(is_outlier, survey.columns["true_group"] == -1)


def test_every_group_is_of_one_class(survey: Simulated) -> None:
    group, true_class = survey.columns["true_group"], survey.columns["true_class"]
    assert all(len(set(true_class[group == g])) == 1 for g in np.unique(group))


# Sky


def test_footprint_keeps_away_from_the_galactic_plane_by_astropy(survey: Simulated) -> None:
    sky = SkyCoord(survey.columns["ra"], survey.columns["dec"], unit="deg")
    assert np.abs(sky.galactic.b.deg).min() > 20 - 1e-4
    assert survey.columns["dec"].min() > -30


def test_footprint_crosses_ra_zero_and_reaches_the_pole(survey: Simulated) -> None:
    ra, dec = survey.columns["ra"], survey.columns["dec"]
    assert ra.min() >= 0 and ra.max() < 360
    assert (ra < 1).sum() > 20
    assert (ra > 359).sum() > 20
    assert dec.max() > 88


def test_footprint_has_round_holes(survey: Simulated) -> None:
    footprint = survey.survey.footprint
    tree = cKDTree(SkyCoord(survey.columns["ra"], survey.columns["dec"], unit="deg").cartesian.xyz.value.T)
    inside, around = 0, 0
    for centre, radius_deg in zip(footprint.hole_xyz, footprint.hole_radius_deg, strict=True):
        chord = 2 * np.sin(np.radians(radius_deg) / 2)
        inside += len(tree.query_ball_point(centre, chord * (1 - 1e-6)))
        around += len(tree.query_ball_point(centre, chord * 1.3))
    assert inside == 0
    assert around > 1000


def test_galaxies_cluster_mildly(monkeypatch: pytest.MonkeyPatch, survey: Simulated) -> None:
    def close_pairs(xyz: np.ndarray) -> int:
        return len(cKDTree(xyz).query_pairs(np.radians(0.1)))

    m = 30_000
    clustered = close_pairs(survey.survey.footprint.sample(np.random.default_rng(1), m))
    monkeypatch.setattr(simulated_sky, "CLUSTERED_SHARE", 0.0)
    uniform = close_pairs(survey.survey.footprint.sample(np.random.default_rng(1), m))
    assert 1.5 * uniform < clustered < 20 * uniform


def test_an_angle_just_below_zero_is_not_360() -> None:
    ra_deg, _ = simulated_sky.to_ra_dec_deg(np.array([[1.0, -1e-20, 0.0]]))
    assert ra_deg[0] == 0


def test_bricks_are_small_tiles(survey: Simulated) -> None:
    brickid, ra, dec = (survey.columns[name] for name in ("brickid", "ra", "dec"))
    order = np.argsort(brickid, kind="stable")
    starts = np.flatnonzero(np.diff(brickid[order], prepend=-1))
    width = np.maximum.reduceat(ra[order], starts) - np.minimum.reduceat(ra[order], starts)
    height = np.maximum.reduceat(dec[order], starts) - np.minimum.reduceat(dec[order], starts)
    assert height.max() <= 0.25
    # The bricks at the pole itself are whole rings.
    assert (width * np.cos(np.radians(dec[order][starts])))[dec[order][starts] < 89].max() < 0.3


# Catalogue


def test_ids_are_unique_only_together(survey: Simulated) -> None:
    release, brickid, objid = (survey.columns[name].astype(np.int64) for name in ("release", "brickid", "objid"))
    assert len(np.unique(np.column_stack([release, brickid, objid]), axis=0)) == N
    for pair in ((release, brickid), (release, objid), (brickid, objid)):
        assert len(np.unique(np.column_stack(pair), axis=0)) < N


def test_number_counts_rise_as_in_euclidean_space(survey: Simulated) -> None:
    def cumulative(mag: np.ndarray) -> np.ndarray:
        return (10 ** (0.6 * mag) - 10 ** (0.6 * 15)) / (10 ** (0.6 * 20) - 10 ** (0.6 * 15))

    mag = survey.columns["mag_r"].astype(np.float64)
    assert mag.min() >= 15 and mag.max() <= 20
    assert stats.kstest(mag, cumulative).pvalue > 1e-3


def test_photometry_and_redshift_depend_on_the_class(survey: Simulated) -> None:
    c = survey.columns
    colour = c["mag_g"] - c["mag_r"]
    by_class = {name: c["true_class"] == name for name in CLASS_NAMES}
    assert colour[by_class["elliptical"]].mean() > colour[by_class["irregular"]].mean() + 0.3
    assert np.median(c["z_phot"][by_class["lens"]]) > 2 * np.median(c["z_phot"])
    assert (c["source_type"][by_class["compact"]] == "REX").mean() > 0.6
    faint = c["mag_r"] > 19
    assert np.median(c["z_phot"][faint]) > 1.5 * np.median(c["z_phot"][c["mag_r"] < 17])


def test_few_galaxies_have_a_spectrum_and_it_agrees_with_the_photometric_redshift(survey: Simulated) -> None:
    z_spec, z_phot = survey.columns["z_spec"], survey.columns["z_phot"]
    measured = ~np.isnan(z_spec)
    assert_within_poisson(int(measured.sum()), 0.05 * N)
    assert np.std((z_phot - z_spec)[measured] / (1 + z_spec[measured])) == pytest.approx(0.02, rel=0.1)


def test_dust_thickens_towards_the_galactic_plane(survey: Simulated) -> None:
    b = np.abs(SkyCoord(survey.columns["ra"], survey.columns["dec"], unit=u.deg).galactic.b.deg)
    ebv = survey.columns["ebv"]
    assert ebv.min() > 0
    assert np.median(ebv[b < 25]) > 1.8 * np.median(ebv[b > 60])


def test_the_source_opens_without_a_note_and_with_units(survey: Simulated) -> None:
    source = open_source(survey.folder)
    catalog = source.check()
    assert (source.n_rows, source.dimension, source.has_images) == (N, 128, False)
    assert source.notes == [] and catalog.notes == ()
    assert catalog.id_columns == ("release", "brickid", "objid")
    assert source.description.ground_truth == ("true_class", "true_group", "is_outlier")
    assert source.description.columns["mag_r"].unit == "mag"
    assert source.description.columns["maskbits"].flags
    assert source.description.columns["maskbits"].bits[1] == "BRIGHT"
    assert all(source.description.columns[name].description for name in source.column_names)
    assert np.array_equal(catalog.ra_deg, survey.columns["ra"])


# Refusals and interruptions


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"n": 99}, "number of rows is 99; allowed are 100 to"),
        ({"n": 2**31}, "number of rows is 2147483648"),
        ({"n": 100, "dimension": 15}, "dimension is 15; allowed are 16 to"),
        ({"n": 100, "seed": -1}, "seed is -1; allowed are 0 to"),
    ],
)
def test_numbers_out_of_range_are_refused_before_anything_is_written(
    tmp_path: Path, arguments: dict[str, int], match: str
) -> None:
    with pytest.raises(InputError, match=match):
        simulate_survey(folder=tmp_path / "new", quiet=True, **arguments)
    assert not (tmp_path / "new").exists()


def test_a_foreign_folder_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match=r"holds 'thesis\.tex'; give a new folder"):
        simulate_survey(100, tmp_path, quiet=True)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("told", [None, b'{"name": "mine"}', b"not json"])
def test_a_survey_of_ones_own_is_not_overwritten(tmp_path: Path, told: bytes | None) -> None:
    simulate_survey(100, tmp_path, quiet=True)
    before = (tmp_path / CATALOG).read_bytes()
    (tmp_path / FILENAME).unlink()
    if told is not None:
        (tmp_path / FILENAME).write_bytes(told)
    with pytest.raises(InputError, match="holds a source that was not simulated"):
        simulate_survey(200, tmp_path, quiet=True)
    assert (tmp_path / CATALOG).read_bytes() == before


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(InputError, match="is a file; give a folder"):
        simulate_survey(100, tmp_path / "out", quiet=True)


def test_an_earlier_simulated_survey_is_replaced(tmp_path: Path) -> None:
    simulate_survey(200, tmp_path, quiet=True)
    simulate_survey(100, tmp_path, quiet=True)
    assert open_source(tmp_path).n_rows == 100
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted((CATALOG, EMBEDDINGS, FILENAME))


def test_a_full_disk_is_refused_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("atlas.storage.publish.shutil.disk_usage", lambda _: usage(10**9, 10**9, 10**6))
    with pytest.raises(ResourceError, match=r"simulated survey of 1,000,000 galaxies needs about .* are free"):
        simulate_survey(1_000_000, tmp_path / "new", quiet=True)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("point", "before"), [("catalogue", False), ("description", False), (0, True), (1, True), (2, True), (2, False)]
)
def test_whatever_interrupts_the_writing_the_folder_is_refused_and_the_same_command_mends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str | int, before: bool
) -> None:
    if before:
        simulate_survey(300, tmp_path, quiet=True)

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if point == "catalogue":
            patch.setattr(simulated, "_to_table", stop)
        elif point == "description":
            patch.setattr(simulated, "write_description", stop)
        else:
            move, moved = Path.replace, []

            def move_or_stop(path: Path, target: Path) -> Path:
                moved.append(path)
                return stop() if len(moved) > point else move(path, target)

            patch.setattr(Path, "replace", move_or_stop)
        with pytest.raises(KeyboardInterrupt):
            simulate_survey(150, tmp_path, quiet=True)
    with pytest.raises(SourceError, match="never finished: run the command that writes it again"):
        open_source(tmp_path)
    simulate_survey(150, tmp_path, quiet=True)
    assert open_source(tmp_path).n_rows == 150


def test_footprint_agrees_with_a_plain_computation_of_separations() -> None:
    footprint = Footprint.draw(np.random.default_rng(5))
    xyz = np.random.default_rng(6).normal(size=(2000, 3))
    xyz /= np.linalg.norm(xyz, axis=1, keepdims=True)
    sky = SkyCoord(*xyz.T, representation_type="cartesian")
    sky.representation_type = "unitspherical"
    holes = SkyCoord(*footprint.hole_xyz.T, representation_type="cartesian")
    holes.representation_type = "unitspherical"
    in_hole = (sky[:, None].separation(holes[None]).deg < footprint.hole_radius_deg).any(axis=1)
    expected = (sky.dec.deg > -30) & (np.abs(sky.galactic.b.deg) > 20) & ~in_hole
    assert np.array_equal(footprint.contains(xyz), expected)
