"""A map and a sky of several segments against one of all rows. `atlas.planes.segments` and what stands on it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest
from astropy.coordinates import angular_separation
from numpy.typing import NDArray

from atlas.errors import CoordinateError, FormatError, InputError
from atlas.mask import Mask
from atlas.planes.count_pyramid import DENSITY_FROM_POINTS
from atlas.planes.level_store import StoreRows
from atlas.planes.level_store_files import FIRST_STORED_LEVEL
from atlas.planes.plane import Box, Plane, write_plane
from atlas.planes.sampling import level_of, row_hash, uniform_sample
from atlas.sky.projection import Projection
from atlas.sky.sky_plane import SkyPlane, write_sky
from tests.unit.places import clusters, survey

N, SEED = 240_000, 11
CUTS = [(), (200_000,), (3_000, 3_001), (130_000, 239_999), (60_000, 60_500, 220_000)]
LOST = slice(60_000, 60_500)  # rows without a position on the map: the whole of a segment once
ALL_SKY, WHOLE = Box(-180, 180, -90, 90), Projection("ait", 180.0, 0.0)


def parts(n: int, cuts: Sequence[int]) -> list[slice]:
    """Ranges of n rows, cut at some of them."""
    edges = [0, *cuts, n]
    return [slice(first, end) for first, end in pairwise(edges)]


def masks(cuts: Sequence[int]) -> list[Mask | None]:
    """No mask; few and most rows; those that were not appended, and the others; those that no list of levels has."""
    rng, rows = np.random.default_rng(len(cuts)), np.arange(N)
    first = rows < (cuts[0] if cuts else N)
    unlisted = level_of(row_hash(rows, SEED)) < FIRST_STORED_LEVEL
    return [None, *map(Mask.from_dense, (rng.random(N) < 0.01, rng.random(N) < 0.9, first, ~first, unlisted))]


class Places:
    """Rows with their places on the map and on the sky, and a column; each plane in segments, and in one store."""

    def __init__(self, folder: Path, cuts: Sequence[int]) -> None:
        self.cuts = cuts
        self.x, self.y = clusters(N)
        self.x[LOST] = np.nan
        self.ra, self.dec = survey(N)
        self.column = 57_000 + np.nan_to_num(self.x, posinf=0).astype(np.float64) % 3
        self.column[::7] = np.nan
        folders = [folder / str(k) for k in range(len(cuts) + 1)]
        frame = None
        for path, part in zip(folders, parts(N, cuts), strict=True):
            first = part.start
            write_plane(path / "map", self.x[part], self.y[part], seed=SEED, first_row=first, frame=frame)
            write_sky(path / "sky", self.ra[part], self.dec[part], seed=SEED, first_row=first)
            frame = frame or Plane.open(path / "map").frame
        write_plane(folder / "whole/map", self.x, self.y, seed=SEED, frame=frame)
        write_sky(folder / "whole/sky", self.ra, self.dec, seed=SEED)
        self.plane = Plane.open(folders[0] / "map", [path / "map" for path in folders[1:]])
        self.sky = SkyPlane.open(folders[0] / "sky", self.ra, self.dec, [path / "sky" for path in folders[1:]])
        self.whole = Plane.open(folder / "whole/map")
        self.whole_sky = SkyPlane.open(folder / "whole/sky", self.ra, self.dec)

    def boxes(self) -> list[Box]:
        """Views of every size around rows, of nothing, of everything and of the frame."""
        rng = np.random.default_rng(4)
        boxes = [self.plane.extent, self.plane.frame, Box(900, 901, 900, 901)]
        for row in rng.integers(N, size=12):
            x, y = (float(np.nan_to_num(values[row])) for values in (self.x, self.y))
            width, height = 10 ** rng.uniform(-2, 1.3, 2)
            boxes.append(Box(x - width, x + width * rng.random(), y - height, y + height * rng.random()))
        return boxes

    def views(self) -> list[tuple[Projection, Box]]:
        """The whole sky, RA 0/360, both poles, a crowded place, and others."""
        rng = np.random.default_rng(5)
        views = [(WHOLE, ALL_SKY), (Projection("ait", 0.0, 0.0), Box(-20, 20, -30, 10))]
        for ra, dec in ((0.0, 0.0), (77.0, 90.0), (300.0, -90.0), (53.16, -27.79), (200.0, 40.0), (359.9, -60.0)):
            size = 10 ** rng.uniform(-1.5, 1)
            views.append((Projection("tan", ra, dec), Box(-size, size, -size / 2, size)))
        return views


@pytest.fixture(scope="module", params=CUTS, ids=str)
def places(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Places:
    return Places(tmp_path_factory.mktemp("segments"), request.param)


def test_a_map_of_segments_counts_and_draws_what_one_store_of_all_rows_would(places: Places) -> None:
    views = [(box, box.contains(places.x, places.y)) for box in places.boxes()]
    for mask in masks(places.cuts):
        for (box, inside), budget in product(views, (1, 700, 20_000)):
            expected = np.flatnonzero(inside if mask is None else inside & mask.dense).astype(np.uint32)
            sample = places.plane.viewport(box, budget, mask)
            assert sample.in_view == expected.size == places.plane.count(box, mask)
            assert np.array_equal(sample.rows, uniform_sample(expected, SEED, budget))
            assert np.array_equal(sample.x, places.x[sample.rows])
            assert np.array_equal(sample.y, places.y[sample.rows])


def test_a_sky_of_segments_counts_and_draws_what_one_store_of_all_rows_would(places: Places) -> None:
    views = [(at, box, box.contains(*at.forward(places.ra, places.dec))) for at, box in places.views()]
    for mask in masks(places.cuts):
        for (projection, box, inside), budget in product(views, (1, 700, 20_000)):
            expected = np.flatnonzero(inside if mask is None else inside & mask.dense).astype(np.uint32)
            sample, whole = (sky.viewport(projection, box, budget, mask) for sky in (places.sky, places.whole_sky))
            assert sample.in_view == expected.size == places.sky.count(projection, box, mask)
            assert np.array_equal(sample.rows, uniform_sample(expected, SEED, budget))
            assert np.array_equal(sample.x, whole.x)
            assert np.array_equal(sample.y, whole.y)


def test_rows_touched_are_hardly_more_than_with_one_store(places: Places) -> None:
    more = len(places.cuts) * 8192  # a store that lists no levels is read as a whole
    for budget in (2_000, 20_000):
        for box in places.boxes():
            one = places.whole.viewport(box, budget).touched
            assert places.plane.viewport(box, budget).touched <= min(1.5 * one + more, 20 * budget)
        for projection, box in places.views():
            one = places.whole_sky.viewport(projection, box, budget).touched
            assert places.sky.viewport(projection, box, budget).touched <= min(1.5 * one + more, 20 * budget)


def star(size: float, seed: int) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    angles, away = np.sort(rng.uniform(0, 2 * np.pi, 30)), size * rng.uniform(0.3, 1, 30)
    return np.column_stack([away * np.cos(angles), away * np.sin(angles)])


@pytest.mark.parametrize("size", [0.05, 1.0, 30.0])
def test_lassos_hold_rows_of_all_segments(places: Places, size: float) -> None:
    vertices = star(size, 2)
    mask = places.plane.polygon(vertices)
    assert mask.n_rows == N and mask.count > 0
    assert np.array_equal(mask.dense, places.whole.polygon(vertices).dense)
    for projection, _ in places.views():
        found = places.sky.polygon(projection, vertices)
        assert np.array_equal(found.dense, places.whole_sky.polygon(projection, vertices).dense)


@pytest.mark.parametrize(
    ("ra_deg", "dec_deg"), [(0.0, 0.0), (359.99, 0.1), (77.0, 90.0), (300.0, -90.0), (53.1, -27.8)]
)
def test_cones_and_the_nearest_are_found_among_all_segments(places: Places, ra_deg: float, dec_deg: float) -> None:
    here = np.radians([ra_deg, dec_deg])
    away = np.degrees(angular_separation(*here, np.radians(places.ra), np.radians(places.dec))) * 3600
    for radius in (30.0, 3600.0, 80_000.0):
        rows, separations = places.sky.cone(ra_deg, dec_deg, radius)
        assert np.array_equal(np.sort(rows), np.flatnonzero(away <= radius))
        assert separations == pytest.approx(away[rows], abs=1e-9)
        assert (np.diff(separations) >= 0).all()
        assert np.array_equal(places.sky.cone_mask(ra_deg, dec_deg, radius).rows, np.sort(rows))
    row, separation = places.sky.nearest(ra_deg, dec_deg, 180.0) or (-1, np.nan)
    assert row == np.argmin(away)
    assert separation == pytest.approx(away.min(), abs=1e-9)
    assert places.sky.nearest(ra_deg, dec_deg, away.min() / 3600 * 0.999) is None


def test_the_nearest_of_each_segment_is_found(places: Places) -> None:
    for part in parts(N, places.cuts):
        for row in (part.start, part.stop - 1):
            found = places.sky.nearest(float(places.ra[row]), float(places.dec[row]), 0.01)
            assert found is not None
            assert found == (row, pytest.approx(0, abs=1e-9))


def test_densities_of_the_map_add_up(places: Places) -> None:
    frame = places.plane.frame
    for pixels in (64, 128, 256):
        density, whole = (plane.density(frame, pixels, pixels) for plane in (places.plane, places.whole))
        assert density.resolved and whole.resolved
        assert density.counts.dtype == np.float32
        # A row on the edge of two pixels may count in either.
        assert np.abs(density.counts - whole.counts).sum() <= 20
    for box in places.boxes():
        density, whole = (plane.density(box, 60, 45) for plane in (places.plane, places.whole))
        assert density.counts.sum() == pytest.approx(whole.counts.sum(), rel=0.02, abs=5)
        if places.plane.count(box) <= DENSITY_FROM_POINTS and density.resolved and whole.resolved:
            # Cells of another size are shared out to other pixels, but not far.
            assert np.abs(density.counts - whole.counts).sum() <= 0.25 * whole.counts.sum() + 5


def test_a_segment_of_few_rows_does_not_coarsen_the_density(tmp_path: Path) -> None:
    x, y = np.random.default_rng(1).uniform(0, 1, (2, 600_001)).astype(np.float32)
    write_plane(tmp_path / "a", x[:-1], y[:-1], seed=1)
    box = Plane.open(tmp_path / "a").frame
    write_plane(tmp_path / "b", x[-1:], y[-1:], seed=1, first_row=600_000, frame=box)
    density = Plane.open(tmp_path / "a", [tmp_path / "b"]).density(box, 512, 512)
    assert density.resolved
    more = density.counts - Plane.open(tmp_path / "a").density(box, 512, 512).counts
    assert np.count_nonzero(more) == 1 and more.max() == 1
    at = np.unravel_index(np.argmax(more), more.shape)
    assert at == (int((y[-1] - box.y0) / box.height * 512), int((x[-1] - box.x0) / box.width * 512))


def test_densities_within_a_mask_are_those_of_one_store(places: Places) -> None:
    for mask in masks(places.cuts)[1:]:
        for box in places.boxes():
            density, whole = (plane.density(box, 60, 45, mask) for plane in (places.plane, places.whole))
            assert density.resolved == whole.resolved
            np.testing.assert_allclose(density.counts, whole.counts, rtol=1e-5, atol=1e-4)


def test_densities_of_the_sky_are_those_of_one_store(places: Places) -> None:
    for mask in masks(places.cuts):
        for projection, box in places.views():
            density, whole = (sky.density(projection, box, 60, 30, mask) for sky in (places.sky, places.whole_sky))
            assert density.resolved == whole.resolved
            np.testing.assert_array_equal(density.counts, whole.counts)


def test_means_are_those_of_one_store(places: Places) -> None:
    for mask in masks(places.cuts):
        for box in places.boxes():
            mean, whole = (plane.mean(box, 40, 30, places.column, mask) for plane in (places.plane, places.whole))
            np.testing.assert_allclose(mean, whole, rtol=0, atol=0.01)  # float32 tells 0.004 at 57,000
        for projection, box in places.views():
            mean, whole = (
                sky.mean(projection, box, 40, 20, places.column, mask) for sky in (places.sky, places.whole_sky)
            )
            np.testing.assert_allclose(mean, whole, rtol=0, atol=0.01)


def test_the_bounds_hold_all_segments(places: Places) -> None:
    assert places.plane.extent == places.whole.extent
    assert places.plane.frame == places.whole.frame
    assert (places.plane.n_rows, places.plane.seed, places.sky.n_rows) == (N, SEED, N)


@pytest.mark.parametrize(
    "middles",
    [
        [(359.9, 10.0), (0.3, 10.2)],
        [(10.0, 89.9), (190.0, 89.8)],
        [(40.0, -70.0), (40.0, -70.0)],
        [(10.0, 0.0), (100.0, 30.0), (250.0, -60.0)],
        [(10.0, 20.0), (190.0, -20.0)],
    ],
)
def test_the_footprint_holds_the_rows_of_all_segments(tmp_path: Path, middles: list[tuple[float, float]]) -> None:
    rng = np.random.default_rng(3)
    positions = [
        Projection("tan", *middle).inverse(*rng.uniform(-size, size, (2, 500)))
        for middle, size in zip(middles, (0.1, 0.05, 2.0), strict=False)
    ]
    for k, (ra, dec) in enumerate(positions):
        write_sky(tmp_path / str(k), ra, dec, seed=1, first_row=500 * k)
    appended = [tmp_path / str(k) for k in range(1, len(middles))]
    ra_deg, dec_deg, radius_deg = SkyPlane.open(tmp_path / "0", appended=appended).footprint
    ra, dec = (np.radians(np.concatenate(values)) for values in zip(*positions, strict=True))
    away = np.degrees(angular_separation(np.radians(ra_deg), np.radians(dec_deg), ra, dec))
    assert away.max() <= radius_deg + 1e-9
    assert 0 <= ra_deg < 360
    if len(middles) == 2 and radius_deg < 90:
        assert radius_deg < away.max() + 0.2  # no more room than the corners of the squares take


def test_a_segment_without_a_position_on_the_map_is_a_header(tmp_path: Path) -> None:
    x, y = clusters(5000)
    nowhere = np.full(300, np.nan, dtype=np.float32)
    told: list[float] = []
    write_plane(tmp_path / "a", x, y, seed=1)
    frame = Plane.open(tmp_path / "a").frame
    write_plane(tmp_path / "b", nowhere, nowhere, seed=1, first_row=5000, frame=frame, advance=told.append)
    write_plane(tmp_path / "c", x, y, seed=1, first_row=5300, frame=frame)
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["plane.json"]
    assert sum(told) == 3 * 300
    plane = Plane.open(tmp_path / "a", [tmp_path / "b", tmp_path / "c"])
    assert plane.n_rows == 10_300
    assert plane.count(plane.extent) == 2 * np.count_nonzero(np.isfinite(y))
    assert plane.count(plane.extent, Mask.from_rows(np.arange(5000, 5300), 10_300)) == 0
    with pytest.raises(FormatError, match="no row with a position"):
        write_plane(tmp_path / "d", nowhere, nowhere, seed=1, frame=frame)
        Plane.open(tmp_path / "d")
    with pytest.raises(InputError, match="none of the 300 rows"):
        write_plane(tmp_path / "e", nowhere, nowhere, seed=1)


def test_segments_that_do_not_follow_each_other_are_refused(tmp_path: Path) -> None:
    x, y = clusters(3000)
    ra, dec = survey(3000)
    frame = Box(-30.0, 30.0, -30.0, 30.0)
    for name, first, seed in (("a", 0, 1), ("b", 3000, 1), ("gap", 3001, 1), ("overlap", 2999, 1), ("seed", 3000, 2)):
        write_plane(tmp_path / name / "map", x, y, seed=seed, first_row=first, frame=frame)
        write_sky(tmp_path / name / "sky", ra, dec, seed=seed, first_row=first)
    write_plane(tmp_path / "frame/map", x, y, seed=1, first_row=3000)

    for names, message in (
        (["a", "gap"], r"gap/\w+ begins at row 3001, expected 3000"),
        (["a", "overlap"], r"overlap/\w+ begins at row 2999, expected 3000"),
        (["b", "a"], r"b/\w+ begins at row 3000, expected 0"),
        (["a", "b", "b"], r"b/\w+ begins at row 3000, expected 6000"),
        (["a", "seed"], r"seed/\w+ has seed 2, expected 1"),
    ):
        with pytest.raises(FormatError, match=message):
            Plane.open(tmp_path / names[0] / "map", [tmp_path / name / "map" for name in names[1:]])
        with pytest.raises(FormatError, match=message):
            SkyPlane.open(tmp_path / names[0] / "sky", appended=[tmp_path / name / "sky" for name in names[1:]])
    with pytest.raises(FormatError, match=r"frame/map counts over .*, expected the map's"):
        Plane.open(tmp_path / "a/map", [tmp_path / "frame/map"])
    with pytest.raises(FormatError, match=r"sky/plane\.json cannot be read"):
        Plane.open(tmp_path / "a/map", [tmp_path / "b/sky"])
    with pytest.raises(CoordinateError, match="row 3002 has no position"):
        write_sky(tmp_path / "f", np.array([1.0, 2, np.nan]), np.zeros(3), seed=1, first_row=3000)


@pytest.mark.parametrize("name", ["map/plane.json", "sky/sky.json"])
def test_stores_written_before_rows_could_be_appended_open(tmp_path: Path, name: str) -> None:
    x, y = clusters(3000)
    ra, dec = survey(3000)
    write_plane(tmp_path / "map", x, y, seed=1)
    write_sky(tmp_path / "sky", ra, dec, seed=1)
    header = json.loads((tmp_path / name).read_text())
    del header["store"]["first_row"]
    (tmp_path / name).write_text(json.dumps(header))
    plane = Plane.open(tmp_path / "map")
    assert plane.count(plane.extent) == np.count_nonzero(np.isfinite(y))
    assert SkyPlane.open(tmp_path / "sky").count(WHOLE, ALL_SKY) == 3000


def test_masks_are_of_all_rows_and_brought_into_order_once_a_segment(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    build = StoreRows.__init__

    def counted(self: StoreRows, store: object, mask: Mask) -> None:
        build(self, store, mask)
        made.append(self.positions.size)

    monkeypatch.setattr(StoreRows, "__init__", counted)
    mask = Mask.from_dense(np.random.default_rng(77).random(N) < 0.3)
    for box in (Box(0, 1, 0, 1), Box(-2, 2, 0, 9)):
        places.plane.viewport(box, 100, mask)
        places.plane.density(box, 10, 10, mask)
        places.plane.mean(box, 10, 10, places.column, mask)
    expected = [np.count_nonzero(mask.dense[p] & np.isfinite(places.x[p] + places.y[p])) for p in parts(N, places.cuts)]
    assert made == [size for size, p in zip(expected, parts(N, places.cuts), strict=True) if p != LOST]
    for n in (N - 1, N + 1, places.cuts[0] if places.cuts else 7):
        with pytest.raises(ValueError, match=f"a mask of {n} rows"):
            places.plane.viewport(Box(0, 1, 0, 1), mask=Mask.from_dense(np.ones(n, dtype=np.bool_)))
