"""The mean of a column in each pixel, on the map and on the sky, against scipy and scans of all rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binned_statistic_2d

from atlas.errors import InputError
from atlas.mask import Mask
from atlas.planes import column_means as means
from atlas.planes.count_pyramid import DENSITY_FROM_POINTS
from atlas.planes.plane import Box, Plane, write_plane
from atlas.sky.healpix import cell_of
from atlas.sky.projection import Projection
from atlas.sky.sky_plane import SkyPlane, write_sky

N = 400_000
SKY = Projection("ait", 180.0, 0.0)


class Rows:
    """A plane and a sky of the same rows, with a column that follows both."""

    def __init__(self, folder: Path) -> None:
        rng = np.random.default_rng(6)
        self.x, self.y = (rng.normal(size=N).astype(np.float32) for _ in range(2))
        self.x[:3], self.y[3] = [900, -4e4, 7e5], np.nan
        self.ra = rng.uniform(0, 360, N)
        self.dec = np.degrees(np.arcsin(rng.uniform(-1, 1, N)))
        self.column = (57_000 + self.x * 0.01 + rng.normal(0, 0.002, N)).astype(np.float64)
        self.column[rng.random(N) < 0.1] = np.nan
        write_plane(folder / "map", self.x, self.y, seed=1)
        write_sky(folder / "sky", self.ra, self.dec, seed=1)
        self.plane, self.sky = Plane.open(folder / "map"), SkyPlane.open(folder / "sky", self.ra, self.dec)

    def binned(self, box: Box, width: int, height: int, keep: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Means by scipy, first row at the bottom."""
        keep = keep & np.isfinite(self.column) & box.contains(self.x, self.y)
        bounds = [[box.x0, box.x1], [box.y0, box.y1]]
        x, y = self.x[keep].astype(float), self.y[keep].astype(float)
        return binned_statistic_2d(x, y, self.column[keep] - 57_000, "mean", [width, height], bounds).statistic.T


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    return Rows(tmp_path_factory.mktemp("means"))


@pytest.fixture(scope="module")
def half() -> Mask:
    return Mask.from_dense(np.random.default_rng(8).random(N) < 0.7)


@pytest.mark.parametrize("masked", [False, True])
def test_a_close_view_shows_the_mean_of_the_rows_in_each_pixel(rows: Rows, half: Mask, masked: bool) -> None:
    box = Box(-0.3, 0.41, 0.1, 0.9)
    mask = half if masked else None
    assert 1000 < rows.plane.count(box, mask) <= DENSITY_FROM_POINTS
    expected = rows.binned(box, 70, 90, half.dense if masked else np.ones(N, dtype=np.bool_))
    found = rows.plane.mean(box, 70, 90, rows.column, mask)
    assert found.shape == (90, 70) and found.dtype == np.float64
    np.testing.assert_allclose(found - 57_000.0, expected, atol=2e-4)


@pytest.mark.parametrize("masked", [False, True])
def test_a_wide_view_shows_the_same_from_sums_over_a_grid(rows: Rows, half: Mask, masked: bool) -> None:
    mask = half if masked else None
    frame = rows.plane.frame
    assert rows.plane.count(frame, mask) > DENSITY_FROM_POINTS
    expected = rows.binned(frame, 64, 64, half.dense if masked else np.ones(N, dtype=np.bool_))
    near = rows.column - 57_000  # a column of its own, whose mean float32 can tell to the last digit
    found = rows.plane.mean(frame, 64, 64, near, mask)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    far = rows.plane.mean(frame, 64, 64, rows.column, mask)
    assert np.array_equal(np.isnan(far), np.isnan(expected))
    np.testing.assert_allclose(far - 57_000.0, expected, atol=0.004)


def test_totals_are_kept_wherever_the_view_ends(rows: Rows) -> None:
    values = (np.nan_to_num(rows.x) + 3).astype(np.float32)
    frame = rows.plane.frame
    for box in (
        Box(frame.x0 - 3.3, frame.x1 + 1.7, frame.y0 - 0.2, frame.y1 + 5),
        Box(-5e4, 1000.0, -20.0, 20.0),  # with rows beyond the frame
    ):
        mean = rows.plane.mean(box, 37, 53, values)
        density = rows.plane.density(box, 37, 53).counts
        inside = box.contains(rows.x, rows.y)
        np.testing.assert_allclose(
            np.nansum(mean * density, dtype=np.float64), values[inside].sum(dtype=np.float64), rtol=1e-4
        )
        assert np.array_equal(np.isnan(mean), density < means.SLIVER)


@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.uint8, np.bool_])
def test_a_column_may_be_of_any_number_type(rows: Rows, dtype: type) -> None:
    values = (rows.x > 0.2).astype(dtype)
    for box in (rows.plane.frame, Box(-0.5, 0.5, -0.5, 0.5)):
        found = rows.plane.mean(box, 2, 2, values)
        assert ((found >= 0) & (found <= 1)).all() and (found[:, 0] < found[:, 1]).all()


@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
def test_whole_numbers_keep_their_last_digits(rows: Rows, dtype: type) -> None:
    zero = 2**60 + 5
    steps = np.floor(np.clip(rows.x, -3, 3) * 100).astype(np.int64)
    values = (zero + steps).astype(dtype)
    near, far = Box(-0.02, 0.02, -0.3, 0.3), rows.plane.frame
    assert rows.plane.count(near) < DENSITY_FROM_POINTS < rows.plane.count(far)
    for box in (near, far):
        exact, counted = (rows.plane.mean(box, 3, 3, column, zero=at) for column, at in ((steps, 0), (values, zero)))
        np.testing.assert_allclose(counted, exact, atol=1e-3)
    wide = np.where(rows.x > 0, 2**64 - 1, 0).astype(np.uint64)
    assert np.nanmax(rows.plane.mean(far, 3, 3, wide)) <= 2.0**64
    for box in (Box(-1, 1, -1, 1), Box(-180, 180, -90, 90)):
        exact, counted = (rows.sky.mean(SKY, box, 4, 3, column, zero=at) for column, at in ((steps, 0), (values, zero)))
        np.testing.assert_allclose(counted, exact, atol=1e-3)


def test_sums_are_made_once_for_a_column_and_a_mask(
    rows: Rows, half: Mask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_plane(tmp_path, rows.x, rows.y, seed=1)
    plane = Plane.open(tmp_path)
    made: list[means.Sums] = []
    add = means.sum_cells
    monkeypatch.setattr("atlas.planes.plane.sum_cells", lambda *a: made.append(add(*a)) or made[-1])
    other = rows.column[::-1].copy()
    frame = plane.frame
    first = plane.mean(frame, 9, 9, rows.column)
    plane.mean(Box(frame.x0, 1.0, frame.y0, 2.0), 30, 30, rows.column)
    assert len(made) == 1
    second = plane.mean(frame, 9, 9, rows.column, half)
    known = Mask.from_dense(half.dense & np.isfinite(rows.column))
    assert len(made) == 2 and made[1].counts.sum() == plane.count(frame, known)
    third = plane.mean(frame, 9, 9, other)
    assert len(made) == 3
    assert not np.array_equal(first, second) and not np.array_equal(first, third)


def test_no_value_in_view_shows_nothing(rows: Rows) -> None:
    nothing = np.full(N, np.nan, dtype=np.float32)
    assert np.isnan(rows.plane.mean(rows.plane.frame, 5, 5, nothing)).all()
    assert np.isnan(rows.plane.mean(Box(500, 501, 500, 501), 5, 5, rows.column)).all()
    assert np.isnan(rows.sky.mean(SKY, SKY_BOX, 8, 4, nothing)).all()


def test_a_column_of_another_atlas_is_refused(rows: Rows) -> None:
    with pytest.raises(ValueError, match="a column of shape"):
        rows.plane.mean(rows.plane.frame, 5, 5, rows.column[:-1])
    with pytest.raises(ValueError, match="a column of shape"):
        rows.sky.mean(SKY, SKY_BOX, 5, 5, rows.column[:-1])
    with pytest.raises(InputError, match="view with an area"):
        rows.plane.mean(Box(1, 1, 0, 1), 5, 5, rows.column)
    with pytest.raises(InputError, match="view with an area"):
        rows.sky.mean(SKY, Box(1, 1, 0, 1), 5, 5, rows.column)


SKY_BOX = Box(-180.0, 180.0, -90.0, 90.0)


@pytest.mark.parametrize("masked", [False, True])
def test_the_whole_sky_shows_means_of_healpix_cells(rows: Rows, half: Mask, masked: bool) -> None:
    mask = half if masked else None
    width, height = 120, 60
    found = rows.sky.mean(SKY, SKY_BOX, width, height, rows.column - 57_000, mask)
    x, y = np.meshgrid(-180 + (np.arange(width) + 0.5) * 3.0, -90 + (np.arange(height) + 0.5) * 3.0)
    ra, dec = SKY.inverse(x, y)
    on_sky = np.isfinite(ra)
    assert np.isnan(found[~on_sky]).all() and not on_sky.all()
    keep = np.isfinite(rows.column) & (half.dense if masked else True)
    order = 4  # cells of 3.7°: the smallest that are no smaller than pixels of 3°
    cells = cell_of(rows.ra, rows.dec, order)[keep]
    counts = np.bincount(cells, minlength=12 * 4**order)
    expected = np.bincount(cells, rows.column[keep] - 57_000, minlength=counts.size) / counts
    np.testing.assert_allclose(found[on_sky], expected[cell_of(ra[on_sky], dec[on_sky], order)], atol=1e-6)


def test_a_close_view_of_the_sky_shows_the_mean_of_the_rows_in_each_pixel(rows: Rows) -> None:
    tangent = Projection("tan", 40.0, 20.0)
    box = Box(-8.0, 8.0, -8.0, 8.0)
    found = rows.sky.mean(tangent, box, 20, 10, rows.column - 57_000)
    x, y = tangent.forward(rows.ra, rows.dec)
    keep = np.isfinite(rows.column) & box.contains(x, y)
    expected = binned_statistic_2d(
        x[keep], y[keep], rows.column[keep] - 57_000, "mean", [20, 10], [[-8, 8], [-8, 8]]
    ).statistic.T
    assert np.array_equal(np.isnan(found), np.isnan(expected))
    np.testing.assert_allclose(found, expected, atol=1e-6)
