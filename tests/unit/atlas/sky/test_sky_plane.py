"""The sky: views, cones, nearest rows and lassos against scans of all rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from astropy.coordinates import angular_separation
from astropy_healpix import healpy
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from atlas.errors import CoordinateError, FormatError, InputError
from atlas.mask import Mask
from atlas.planes.polygon import geometry, validate_polygon
from atlas.planes.region import Box
from atlas.planes.sampling import SAMPLE_BUDGET, uniform_sample
from atlas.sky.healpix import cell_area_deg2, cell_radius_deg, centers
from atlas.sky.projection import Projection, tangent
from atlas.sky.sky_plane import SkyPlane, write_sky
from atlas.sky.sky_segment import SkySegment
from tests.unit.places import survey

N, LARGE, SEED = 60_000, 250_000, 5
ALL_SKY = Box(-180, 180, -90, 90)
WHOLE = Projection("ait", 180.0, 0.0)
GALACTIC = [Projection("ait", 0.0, 0.0, "galactic"), Projection("mol", 0.0, 0.0, "galactic")]
Floats = NDArray[np.float64]


class Atlas:
    """A sky with the positions that it was made from."""

    def __init__(self, folder: Path, ra: Floats, dec: Floats, seed: int = SEED) -> None:
        write_sky(folder, ra, dec, seed=seed)
        self.ra, self.dec, self.seed, self.n = ra, dec, seed, ra.size
        self.sky = SkyPlane.open(folder, ra, dec)

    def separation(self, ra_deg: float, dec_deg: float) -> Floats:
        """Of all rows from a position, in arcseconds."""
        pairs = map(np.radians, (ra_deg, dec_deg, self.ra, self.dec))
        result: Floats = np.degrees(angular_separation(*pairs)) * 3600
        return result

    def in_view(self, projection: Projection, box: Box, mask: Mask | None = None) -> NDArray[np.uint32]:
        x, y = projection.forward(self.ra, self.dec)
        inside = (x >= box.x0) & (x <= box.x1) & (y >= box.y0) & (y <= box.y1)
        return np.flatnonzero(inside if mask is None else inside & mask.dense).astype(np.uint32)

    def check(self, projection: Projection, box: Box, budget: int = SAMPLE_BUDGET, mask: Mask | None = None) -> None:
        expected = self.in_view(projection, box, mask)
        sample = self.sky.viewport(projection, box, budget, mask)
        assert sample.in_view == expected.size == self.sky.count(projection, box, mask)
        assert np.array_equal(sample.rows, uniform_sample(expected, self.seed, budget))
        x, y = projection.forward(self.ra[sample.rows], self.dec[sample.rows])
        stretch = 1 + np.radians(np.hypot(x, y)) ** 2
        rounding = 4e-4 if projection.kind == "mol" else 1e-7 * stretch  # where all meridians meet
        assert (np.hypot(sample.x - x, sample.y - y) < rounding + 2e-7 * np.hypot(x, y)).all()

    def random_view(self, rng: np.random.Generator) -> tuple[Projection, Box]:
        """Somewhere near a row, of any size, in any projection."""
        row = int(rng.integers(self.n))
        ra, dec = float(self.ra[row]), float(self.dec[row])
        away = 10 ** rng.uniform(-3, 1.5)
        tilted = Projection("tan", (ra + rng.normal() * away) % 360, float(np.clip(dec + rng.normal() * away, -90, 90)))
        others = [Projection("ait", ra, 0.0), Projection("mol", ra, 0.0), tangent(ra, dec, "galactic"), *GALACTIC]
        projection = [tilted, Projection("tan", ra, dec), WHOLE, *others][rng.integers(8)]
        x, y = (float(np.nan_to_num(value)) for value in projection.forward(ra, dec))
        width, height = 10 ** rng.uniform(-4, 2, 2)
        return projection, Box(x - width * rng.random(), x + width, y - height * rng.random(), y + height)


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    return Atlas(tmp_path_factory.mktemp("sky"), *survey(N))


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    """So many rows that densities come from counts of cells."""
    return Atlas(tmp_path_factory.mktemp("large"), *survey(LARGE))


@given(st.integers(0, 2**32), st.sampled_from([1, 500, 20_000]))
@settings(max_examples=40)
def test_a_view_counts_every_row_and_draws_those_with_the_smallest_hashes(atlas: Atlas, seed: int, budget: int) -> None:
    atlas.check(*atlas.random_view(np.random.default_rng(seed)), budget)


@given(st.integers(0, 2**32), st.sampled_from([0.0, 1e-4, 0.05, 0.6, 1.0]))
@settings(max_examples=25)
def test_a_filtered_view_does_the_same_within_the_mask(atlas: Atlas, seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    mask = Mask.from_dense(rng.random(N) < share)
    for _ in range(3):
        atlas.check(*atlas.random_view(rng), 2000, mask)


@pytest.mark.parametrize("frame", ["icrs", "galactic"])
@pytest.mark.parametrize("kind", ["ait", "mol"])
@pytest.mark.parametrize("ra_deg", [0.0, 180.0, 359.9, 53.16])
def test_the_whole_sky_is_in_view_of_the_whole_sky(atlas: Atlas, ra_deg: float, kind: Any, frame: Any) -> None:
    atlas.check(Projection(kind, ra_deg, 0.0, frame), ALL_SKY)
    assert atlas.sky.viewport(Projection(kind, ra_deg, 0.0, frame), ALL_SKY).in_view == N


@given(st.integers(0, 2**32), st.sampled_from([*GALACTIC, Projection("mol", 180.0, 0.0), tangent(0.1, 89, "galactic")]))
@settings(max_examples=15)
def test_a_lasso_is_exact_in_any_frame_and_projection(atlas: Atlas, seed: int, projection: Projection) -> None:
    rng = np.random.default_rng(seed)
    middle = rng.uniform([-150, -80], [150, 80]) if projection.all_sky else np.zeros(2)
    size = 10 ** rng.uniform(-1, 1.8)
    vertices = middle + size * rng.normal(size=(12, 2))
    x, y = projection.forward(atlas.ra, atlas.dec)
    expected = shapely.contains_xy(geometry(validate_polygon(vertices)), x, y)
    assert np.array_equal(atlas.sky.polygon(projection, vertices).dense, expected)


@pytest.mark.parametrize("dec_deg", [-90.0, -45.0, 0.0, 90.0])
def test_a_tangent_plane_shows_its_half_of_the_sky_and_nothing_behind_it(atlas: Atlas, dec_deg: float) -> None:
    projection = Projection("tan", 0.0, dec_deg)
    for size in (100.0, 1e4, 1e7):
        atlas.check(projection, Box(-size, size, -size, size), 1000)
    assert atlas.sky.count(projection, Box(-1e7, 1e7, -1e7, 1e7)) < 0.8 * N


def test_rows_touched_stay_below_20_budgets_wherever_one_looks(large: Atlas) -> None:
    rng = np.random.default_rng(2)
    touched = [large.sky.viewport(*large.random_view(rng)).touched for _ in range(100)]
    assert max(touched) <= 20 * SAMPLE_BUDGET
    assert max(touched) < LARGE / 2  # most views touch far less
    assert large.sky.viewport(WHOLE, ALL_SKY).touched <= 3 * SAMPLE_BUDGET


def test_samples_are_unbiased_by_quadrant(tmp_path: Path) -> None:
    budget, scores = 400, []
    ra, dec = survey(20_000, seed=3)
    for seed in range(12):
        atlas = Atlas(tmp_path / str(seed), ra, dec, seed)
        for projection, size in (
            (WHOLE, 150.0),
            (Projection("tan", 0.0, 90.0), 60.0),
            (Projection("tan", 0.0, 0.0), 30),
        ):
            box = Box(-size, size, -size / 2, size / 2)
            expected, sample = atlas.in_view(projection, box), atlas.sky.viewport(projection, box, budget)
            assert expected.size > 2 * budget
            x, y = projection.forward(ra[expected], dec[expected])
            for quadrant in (Box(box.x0, 0, box.y0, 0), Box(0, box.x1, box.y0, 0)):
                share = np.count_nonzero(quadrant.contains(x, y)) / expected.size
                drawn = np.count_nonzero(quadrant.contains(sample.x, sample.y))
                scores.append((drawn - budget * share) / np.sqrt(budget * share * (1 - share)))
    assert abs(np.mean(scores)) < 0.5
    assert 0.5 < np.var(scores) < 1.6
    assert np.abs(scores).max() < 4.5


@given(st.integers(0, 2**32), st.floats(-2, 5.8))
@settings(max_examples=40)
def test_a_cone_holds_what_astropy_finds_nearest_first(atlas: Atlas, seed: int, log_radius: float) -> None:
    rng = np.random.default_rng(seed)
    row, radius = rng.integers(N), min(10**log_radius, 180 * 3600)
    ra = float((atlas.ra[row] + rng.normal() * radius / 3600) % 360)
    dec = float(np.clip(atlas.dec[row] + rng.normal() * radius / 3600, -90, 90))
    rows, separations = atlas.sky.cone(ra, dec, radius)
    expected = atlas.separation(ra, dec)
    inside = np.flatnonzero(expected <= radius)
    assert np.array_equal(np.sort(rows), inside)
    assert separations == pytest.approx(expected[rows], abs=1e-9)
    assert (np.diff(separations) >= 0).all()
    assert np.array_equal(atlas.sky.cone_mask(ra, dec, radius).rows, inside)


@pytest.mark.parametrize(
    ("ra_deg", "dec_deg"), [(0.0, 0.0), (359.999, 0.1), (0.001, -0.1), (77.0, 90.0), (300.0, -90.0)]
)
def test_cones_cross_ra_0_and_the_poles(atlas: Atlas, ra_deg: float, dec_deg: float) -> None:
    rows, _ = atlas.sky.cone(ra_deg, dec_deg, 3600.0)
    expected = np.flatnonzero(atlas.separation(ra_deg, dec_deg) <= 3600)
    assert expected.size > 1000
    assert np.array_equal(np.sort(rows), expected)
    assert np.ptp(atlas.ra[rows]) > 350


def test_rows_exactly_on_the_edge_of_a_cone_are_decided_by_their_exact_positions(tmp_path: Path) -> None:
    # Steps of 0.00005″, finer than stored positions.
    dec = np.arange(2000) * 5e-5 / 3600
    atlas = Atlas(tmp_path, np.full(2000, 10.0), dec)
    expected = atlas.separation(10.0, 0.0)
    for row in (400, 900, 1500):
        rows, _ = atlas.sky.cone(10.0, 0.0, float(expected[row]))
        assert rows.tolist() == list(range(row + 1))
    projection = Projection("tan", 10.0, 0.0)
    _, y = projection.forward(atlas.ra, dec)
    for row in (400, 900, 1500):
        assert atlas.sky.viewport(projection, Box(-1, 1, -1, float(y[row]))).in_view == row + 1
        corners = np.array([(-1, -1), (1, -1), (1, (y[row] + y[row + 1]) / 2), (-1, (y[row] + y[row + 1]) / 2)])
        assert atlas.sky.polygon(projection, corners).count == row + 1


def test_without_columns_positions_are_good_to_a_fifth_of_a_milliarcsecond(atlas: Atlas, tmp_path: Path) -> None:
    write_sky(tmp_path, atlas.ra, atlas.dec, seed=1)
    sky = SkyPlane.open(tmp_path)
    rows, separations = sky.cone(0.0, 90.0, 7200.0)
    assert rows.size > 1000
    assert np.abs(separations - atlas.separation(0.0, 90.0)[rows]).max() < 2e-4


@given(st.integers(0, 2**32), st.sampled_from([1e-4, 0.1, 3.0]))
@settings(max_examples=40)
def test_nearest_is_the_one_astropy_finds(atlas: Atlas, seed: int, away_deg: float) -> None:
    rng = np.random.default_rng(seed)
    row = rng.integers(N)
    ra = float((atlas.ra[row] + rng.normal() * away_deg) % 360)
    dec = float(np.clip(atlas.dec[row] + rng.normal() * away_deg, -90, 90))
    separations = atlas.separation(ra, dec)
    best = int(np.argmin(separations))
    found = atlas.sky.nearest(ra, dec, 2.0)
    if separations[best] > 7200:
        assert found is None
    else:
        assert found is not None
        assert found[0] == best
        assert found[1] == pytest.approx(separations[best], abs=1e-9)


def test_nothing_near_is_found_out_without_reading_the_sky(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ra, dec = np.random.default_rng(0).uniform([[100], [10]], [[140], [40]], (2, 50_000))
    atlas = Atlas(tmp_path, ra, dec)
    read: list[int] = []
    stored = SkySegment.stored
    monkeypatch.setattr(SkySegment, "stored", lambda self, at: read.append(at.size) or stored(self, at))
    assert atlas.sky.nearest(300.0, -60.0, 2.0) is None
    assert sum(read) == 0


def random_polygon(x: float, y: float, size: float, corners: int, rng: np.random.Generator) -> Floats:
    angles, away = np.sort(rng.uniform(0, 2 * np.pi, corners)), size * rng.uniform(0.2, 1, corners)
    return np.column_stack([x + away * np.cos(angles), y + away * np.sin(angles)])


@given(st.integers(0, 2**32), st.floats(-3, 1.9), st.integers(3, 40))
@settings(max_examples=50)
def test_a_lasso_on_the_sky_holds_every_row_inside_it(atlas: Atlas, seed: int, scale: float, corners: int) -> None:
    rng = np.random.default_rng(seed)
    projection, box = atlas.random_view(rng)
    vertices = random_polygon((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2, 10**scale, corners, rng)
    x, y = projection.forward(atlas.ra, atlas.dec)
    expected = shapely.contains_xy(geometry(validate_polygon(vertices)), x, y)
    assert np.array_equal(atlas.sky.polygon(projection, vertices).dense, expected)


@pytest.mark.parametrize("projection", [Projection("tan", 0.0, 0.0), Projection("ait", 0.0, 0.0), WHOLE])
def test_lassos_cross_ra_0_and_the_seam_of_the_plane(atlas: Atlas, projection: Projection) -> None:
    vertices = np.array([(-170, -60), (170, -60), (175, 0), (170, 60), (-170, 60), (-100, 0)])
    x, y = projection.forward(atlas.ra, atlas.dec)
    expected = shapely.contains_xy(geometry(validate_polygon(vertices)), x, y)
    mask = atlas.sky.polygon(projection, vertices)
    assert np.array_equal(mask.dense, expected)
    assert np.ptp(atlas.ra[mask.rows]) > 355


def test_a_lasso_without_an_area_is_refused(atlas: Atlas) -> None:
    with pytest.raises(InputError, match="one line"):
        atlas.sky.polygon(WHOLE, [(0, 0), (1, 1), (2, 2)])


def test_density_of_the_whole_sky_counts_healpix_cells(large: Atlas) -> None:
    density = large.sky.density(WHOLE, ALL_SKY, 180, 90)
    counts, order = density.counts, 4  # cells of 3.7°: the smallest that are larger than pixels of 2°
    ra, dec = WHOLE.inverse(*np.meshgrid(np.arange(-179, 180, 2), np.arange(-89, 90, 2)))
    on_sky = np.isfinite(ra)
    assert density.resolved
    assert np.array_equal(np.isnan(counts), ~on_sky)
    in_cell = np.bincount(
        healpy.ang2pix(2**order, large.ra, large.dec, nest=True, lonlat=True), minlength=12 * 4**order
    )
    expected = in_cell[healpy.ang2pix(2**order, ra[on_sky], dec[on_sky], nest=True, lonlat=True)]
    assert counts[on_sky] == pytest.approx(expected * 4 / cell_area_deg2(order), rel=1e-6)
    assert np.nansum(counts) == pytest.approx(LARGE, rel=0.05)


@pytest.mark.parametrize("share", [0.03, 0.9])
def test_density_of_a_selection_is_that_of_its_rows(large: Atlas, share: float) -> None:
    mask = Mask.from_dense(np.random.default_rng(4).random(LARGE) < share)
    all_sky = large.sky.density(WHOLE, ALL_SKY, 90, 45, mask).counts
    assert np.nansum(all_sky) == pytest.approx(mask.count, rel=0.1)
    half = Projection("tan", 53.16, -27.79)
    close = large.sky.density(half, Box(-0.02, 0.02, -0.02, 0.02), 40, 40, mask).counts
    assert close.sum() == large.in_view(half, Box(-0.02, 0.02, -0.02, 0.02), mask).size


def test_density_of_a_close_view_counts_its_rows_pixel_by_pixel(atlas: Atlas) -> None:
    projection, box = Projection("tan", 0.0, 89.9), Box(-2, 2, -1.5, 1.5)
    density = atlas.sky.density(projection, box, 400, 300)
    x, y = projection.forward(atlas.ra, atlas.dec)
    near = np.isfinite(x)
    expected = np.histogram2d(y[near], x[near], bins=(300, 400), range=[[-1.5, 1.5], [-2, 2]])[0]
    assert density.resolved
    assert np.abs(density.counts - expected).sum() <= 4
    with pytest.raises(InputError, match="area"):
        atlas.sky.density(projection, Box(0, 0, 0, 1), 4, 4)


def test_the_footprint_holds_all_rows_closely(tmp_path: Path) -> None:
    projection = Projection("tan", 359.99, 60.0)
    x, y = np.random.default_rng(0).uniform(-0.05, 0.05, (2, 5000))
    atlas = Atlas(tmp_path, *projection.inverse(x, y))
    ra, dec, radius = atlas.sky.footprint
    away = atlas.separation(ra, dec) / 3600
    assert away.max() - 1e-9 <= radius < 0.08
    assert atlas.separation(359.99, 60.0).min() < 60


@pytest.mark.parametrize("n", [1, 2, 17, 1000])
@pytest.mark.parametrize("place", ["anywhere", "pole", "one point"])
def test_small_atlases_work(tmp_path: Path, n: int, place: str) -> None:
    rng = np.random.default_rng(n)
    ra, dec = survey(n, seed=n)
    if place == "pole":
        dec = -90 + np.abs(rng.normal(size=n)) * 1e-3
    elif place == "one point":
        ra, dec = np.full(n, 359.9999), np.full(n, 12.0)
    atlas = Atlas(tmp_path, ra, dec)
    for _ in range(10):
        atlas.check(*atlas.random_view(rng), 5, Mask.from_dense(rng.random(n) < 0.5))
    atlas.check(WHOLE, ALL_SKY)
    found = atlas.sky.nearest(float(ra[0]), float(dec[0]), 1.0)
    assert found is not None
    assert found[1] == pytest.approx(0, abs=1e-9)
    assert np.nansum(atlas.sky.density(WHOLE, ALL_SKY, 20, 10).counts) == n
    center_ra, center_dec, radius = atlas.sky.footprint
    assert atlas.separation(center_ra, center_dec).max() / 3600 <= radius + 1e-9


def test_ra_360_is_ra_0(tmp_path: Path) -> None:
    atlas = Atlas(tmp_path, np.array([360.0, 0.0, 359.9999999999]), np.zeros(3))
    assert sorted(atlas.sky.cone(0.0, 0.0, 0.001)[0].tolist()) == [0, 1, 2]


@pytest.mark.parametrize("bad", [(np.nan, 0.0), (0.0, np.nan), (-0.1, 0.0), (361.0, 0.0), (0.0, 90.1)])
def test_a_row_without_a_position_is_named(tmp_path: Path, bad: tuple[float, float]) -> None:
    ra, dec = np.array([[1.0, 2, bad[0]], [1, 2, bad[1]]])
    with pytest.raises(CoordinateError, match="row 2"):
        write_sky(tmp_path, ra, dec, seed=1)


@pytest.mark.parametrize(
    "arguments", [(0.0, 91.0, 1.0), (np.nan, 0.0, 1.0), (0.0, 0.0, -1.0), (0.0, 0.0, np.nan), (0.0, 0.0, 1e6)]
)
def test_an_impossible_cone_is_refused(atlas: Atlas, arguments: Any) -> None:
    with pytest.raises(CoordinateError, match=r"RA in 0|a radius must"):
        atlas.sky.cone(*arguments)


@pytest.mark.parametrize("name", ["sky.json", "ra.npy", "dec.npy", "position.npy", "starts.npy"])
def test_a_damaged_file_is_named_when_the_sky_opens(tmp_path: Path, name: str) -> None:
    write_sky(tmp_path, *survey(2000), seed=1)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-20])
    with pytest.raises(FormatError, match=name):
        SkyPlane.open(tmp_path)


def test_same_positions_and_seed_make_the_same_bytes(tmp_path: Path) -> None:
    for name in "ab":
        write_sky(tmp_path / name, *survey(30_000), seed=1)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


@pytest.mark.parametrize("order", [0, 1, 2, 3, 5, 8, 11, 14])
def test_cells_lie_within_their_radius_and_no_radius_is_wasted(order: int) -> None:
    total = 12 * 4**order
    cells = np.arange(total) if order < 6 else np.random.default_rng(0).integers(0, total, 60_000)
    corners = np.stack(healpy.boundaries(2**order, cells, step=3, nest=True))  # (k, 3, 12)
    middles = centers(order, cells).T[:, :, None]
    away = np.degrees(
        np.arctan2(np.linalg.norm(np.cross(middles, corners, axis=1), axis=1), (middles * corners).sum(1))
    )
    assert away.max() <= cell_radius_deg(order) * (1 + 1e-12) + 1e-12
    assert away.max() >= cell_radius_deg(order) * 0.995


def test_the_nearest_row_is_found_however_far_it_is(tmp_path: Path) -> None:
    ra, dec = survey(3000)
    field = Atlas(tmp_path, ra % 40, np.abs(dec) / 3)
    for there in ((200.0, -80.0), (20.0, 10.0), (359.0, 0.0), (0.0, 90.0), (220.0, -15.0)):
        row, away = field.sky.nearest_of_all(*there)
        separations = field.separation(*there)
        assert away == pytest.approx(separations.min()) and separations[row] == pytest.approx(away)


def test_the_footprint_covers_every_row_and_no_more_of_the_sky_than_cells_that_hold_one(atlas: Atlas) -> None:
    order, cells = atlas.sky.occupied
    theirs = np.unique(healpy.ang2pix(2**order, atlas.ra, atlas.dec, nest=True, lonlat=True))
    np.testing.assert_array_equal(cells, theirs)
    assert atlas.sky.coverage_mask(atlas.sky.coverage).count == N
    assert atlas.sky.covers(float(atlas.ra[5]), float(atlas.dec[5])) and cells.size <= N / 8
