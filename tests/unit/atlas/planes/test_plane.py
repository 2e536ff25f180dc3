"""The map: viewports, counts, densities and lassos against scans of all rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from atlas.errors import FormatError, InputError
from atlas.mask import Mask
from atlas.planes.level_store import StoreRows
from atlas.planes.morton import cell_along
from atlas.planes.plane import Box, Plane, write_plane
from atlas.planes.polygon import geometry
from atlas.planes.sampling import SAMPLE_BUDGET, uniform_sample
from atlas.recent import PerMask
from tests.unit.places import clusters

N, SEED = 300_000, 11
Floats = NDArray[np.float32]


class Atlas:
    """A plane with the coordinates that it was made from."""

    def __init__(self, folder: Path, x: Floats, y: Floats, seed: int = SEED) -> None:
        write_plane(folder, x, y, seed=seed)
        self.x, self.y, self.seed, self.n = x, y, seed, x.size
        self.plane = Plane.open(folder)

    def in_view(self, box: Box, mask: Mask | None = None) -> NDArray[np.uint32]:
        inside = (self.x >= box.x0) & (self.x <= box.x1) & (self.y >= box.y0) & (self.y <= box.y1)
        return np.flatnonzero(inside if mask is None else inside & mask.dense).astype(np.uint32)

    def check(self, box: Box, budget: int = SAMPLE_BUDGET, mask: Mask | None = None) -> None:
        """A viewport is the exact count and the rows with the smallest hashes, with their coordinates."""
        expected = self.in_view(box, mask)
        sample = self.plane.viewport(box, budget, mask)
        assert sample.in_view == expected.size == self.plane.count(box, mask)
        assert np.array_equal(sample.rows, uniform_sample(expected, self.seed, budget))
        assert np.array_equal(sample.x, self.x[sample.rows])
        assert np.array_equal(sample.y, self.y[sample.rows])
        assert sample.drawn_all == (expected.size <= budget)

    def random_box(self, rng: np.random.Generator, largest: float = 1.3) -> Box:
        """Around a row, of any size."""
        row = int(rng.integers(self.n))
        width, height = 10 ** rng.uniform(-3, largest, 2)
        x, y = float(np.nan_to_num(self.x[row])), float(np.nan_to_num(self.y[row]))
        return Box(x - width * rng.random(), x + width, y - height * rng.random(), y + height)


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    return Atlas(tmp_path_factory.mktemp("plane"), *clusters(N))


@given(st.integers(0, 2**32), st.sampled_from([1, 500, 20_000]))
@settings(max_examples=60)
def test_a_viewport_counts_every_row_and_draws_those_with_the_smallest_hashes(
    atlas: Atlas, seed: int, budget: int
) -> None:
    atlas.check(atlas.random_box(np.random.default_rng(seed)), budget)


@given(st.integers(0, 2**32), st.sampled_from([0.0, 1e-4, 0.01, 0.2, 0.9, 1.0]))
@settings(max_examples=40)
def test_a_filtered_viewport_does_the_same_within_the_mask(atlas: Atlas, seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    mask = Mask.from_dense(rng.random(N) < share)
    for _ in range(3):
        atlas.check(atlas.random_box(rng), 2000, mask)


def test_rows_touched_stay_below_20_budgets_wherever_one_looks(atlas: Atlas) -> None:
    rng = np.random.default_rng(2)
    boxes = [atlas.random_box(rng) for _ in range(100)]
    touched = [atlas.plane.viewport(box).touched for box in [*boxes, atlas.plane.extent, atlas.plane.frame]]
    assert max(touched) <= 20 * SAMPLE_BUDGET
    assert max(touched) < N / 2  # on this map most views touch far less
    # A small budget in a small view must not read large parts of the map to count it.
    assert max(atlas.plane.viewport(box, 2000).touched for box in boxes) <= 20 * 2000


def test_points_that_are_drawn_stay_while_zooming_in(atlas: Atlas) -> None:
    outer, inner = Box(-8, 8, -8, 8), Box(-3, 2, -2, 4)
    drawn, closer = atlas.plane.viewport(outer, 5000), atlas.plane.viewport(inner, 5000)
    still_in_view = drawn.rows[inner.contains(drawn.x, drawn.y)]
    assert still_in_view.size > 100
    assert np.isin(still_in_view, closer.rows).all()
    assert closer.rows.size > still_in_view.size


def test_samples_are_unbiased_by_quadrant(tmp_path: Path) -> None:
    budget, scores = 400, []
    x, y = clusters(20_000, seed=5)
    for seed in range(12):
        atlas = Atlas(tmp_path / str(seed), x, y, seed)
        for box in (Box(-9, 9, -9, 9), Box(-6, 3, -2, 7), Box(-4, 8, -8, 1)):
            expected, sample = atlas.in_view(box), atlas.plane.viewport(box, budget)
            left, low = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
            for quadrant in (Box(box.x0, left, box.y0, low), Box(left, box.x1, low, box.y1)):
                share = np.count_nonzero(quadrant.contains(x[expected], y[expected])) / expected.size
                drawn = np.count_nonzero(quadrant.contains(sample.x, sample.y))
                scores.append((drawn - budget * share) / np.sqrt(budget * share * (1 - share)))
    # 72 standard scores of a hypergeometric draw: variance a little below 1.
    assert abs(np.mean(scores)) < 0.5
    assert 0.5 < np.var(scores) < 1.6
    assert np.abs(scores).max() < 4.5


def star(x: float, y: float, radius: float, corners: int, seed: int) -> NDArray[np.float64]:
    angles = np.sort(np.random.default_rng(seed).uniform(0, 2 * np.pi, corners))
    away = radius * np.random.default_rng(seed + 1).uniform(0.2, 1, corners)
    return np.column_stack([x + away * np.cos(angles), y + away * np.sin(angles)])


@given(st.integers(0, 2**31), st.floats(-2, 1.5), st.integers(3, 60))
@settings(max_examples=40)
def test_a_lasso_counts_every_row_not_the_sample(atlas: Atlas, seed: int, scale: float, corners: int) -> None:
    row = np.random.default_rng(seed).integers(N)
    vertices = star(float(atlas.x[row]), float(np.nan_to_num(atlas.y[row])), 10**scale, corners, seed)
    mask = atlas.plane.polygon(vertices)
    expected = shapely.contains_xy(geometry(vertices), atlas.x.astype(float), atlas.y.astype(float))
    assert np.array_equal(mask.dense, expected)
    assert mask.count == np.count_nonzero(expected)


def test_a_lasso_of_most_of_the_map_counts_far_more_than_is_drawn(atlas: Atlas) -> None:
    vertices = star(0, 0, 40, 100, 1)
    assert atlas.plane.polygon(vertices).count > 10 * SAMPLE_BUDGET


def test_rows_on_the_outline_of_a_lasso_are_outside(tmp_path: Path) -> None:
    x, y = (grid.ravel().astype(np.float32) for grid in np.meshgrid(np.arange(100), np.arange(100)))
    plane = Atlas(tmp_path, x, y).plane
    assert plane.polygon(np.array([(10, 10), (20, 10), (20, 20), (10, 20)])).count == 9 * 9
    assert plane.viewport(Box(10, 20, 10, 20)).in_view == 11 * 11
    assert plane.polygon(np.array([(0, 0), (10, 10), (0, 10)])).count == 9 * 8 / 2


def test_a_lasso_without_an_area_is_refused(atlas: Atlas) -> None:
    with pytest.raises(InputError, match="one line"):
        atlas.plane.polygon(np.array([(0, 0), (1, 1), (2, 2)]))


def histogram(atlas: Atlas, box: Box, width: int, height: int, mask: Mask | None = None) -> NDArray[np.float64]:
    rows = atlas.in_view(box, mask)
    bounds = [[box.y0, box.y1], [box.x0, box.x1]]
    return np.histogram2d(atlas.y[rows], atlas.x[rows], bins=(height, width), range=bounds)[0]


def test_density_on_the_cells_of_the_pyramid_is_the_histogram(atlas: Atlas) -> None:
    frame = atlas.plane.frame
    for pixels in (64, 128, 256):
        density = atlas.plane.density(frame, pixels, pixels)
        assert density.resolved
        # A row on the edge of two pixels may count in either.
        assert np.abs(density.counts - histogram(atlas, frame, pixels, pixels)).sum() <= 20
        assert density.counts.sum() == pytest.approx(atlas.in_view(frame).size, abs=0.5)


def shares(edges: NDArray[np.float64], cell_edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Part of each cell that lies in each pixel."""
    overlap = np.minimum(edges[1:, None], cell_edges[1:]) - np.maximum(edges[:-1, None], cell_edges[:-1])
    return np.clip(overlap, 0, None) / np.diff(cell_edges)


@given(st.integers(0, 2**32))
@settings(max_examples=20)
def test_density_of_any_view_shares_the_cells_out_by_area(atlas: Atlas, seed: int) -> None:
    rng, frame = np.random.default_rng(seed), atlas.plane.frame
    x0, y0 = rng.uniform([frame.x0, frame.y0], [0, 0])
    box = Box(x0, x0 + frame.width * rng.uniform(0.2, 0.9), y0, y0 + frame.height * rng.uniform(0.2, 0.9))
    density = atlas.plane.density(box, 50, 40)
    finest = max(50 * frame.width / box.width, 40 * frame.height / box.height)
    cells = next(64 * 2**k for k in range(9) if 64 * 2**k >= finest)
    across, up = np.linspace(frame.x0, frame.x1, cells + 1), np.linspace(frame.y0, frame.y1, cells + 1)
    in_row = shares(np.linspace(box.y0, box.y1, 41), up)
    in_column = shares(np.linspace(box.x0, box.x1, 51), across)
    expected = in_row @ histogram(atlas, frame, cells, cells) @ in_column.T
    assert density.resolved
    assert density.counts.shape == (40, 50)
    assert density.counts.dtype == np.float32
    # A row on the edge of two cells may count in either.
    assert np.abs(density.counts - expected).sum() < 20 + 1e-5 * expected.sum()


def test_density_keeps_sums_where_pixels_are_larger_or_smaller_than_cells(atlas: Atlas) -> None:
    frame = atlas.plane.frame
    expected = atlas.in_view(frame).size
    for width, height in ((1, 1), (37, 91), (800, 600), (3000, 10)):
        assert atlas.plane.density(frame, width, height).counts.sum() == pytest.approx(expected, rel=1e-5)


def test_density_of_a_close_view_counts_its_rows_pixel_by_pixel(atlas: Atlas) -> None:
    box = Box(-1.5, 1.5, -1.5, 1.5)
    density = atlas.plane.density(box, 2000, 1500)
    assert density.resolved
    assert np.abs(density.counts - histogram(atlas, box, 2000, 1500)).sum() <= 2


def test_density_of_a_selection_is_that_of_its_rows(atlas: Atlas) -> None:
    rng = np.random.default_rng(8)
    few, many = (Mask.from_dense(rng.random(N) < share) for share in (0.02, 0.9))
    box = Box(-6, 6, -5, 7)
    assert np.abs(atlas.plane.density(box, 40, 30, few).counts - histogram(atlas, box, 40, 30, few)).sum() <= 2
    dense, expected = atlas.plane.density(box, 40, 30, many).counts, histogram(atlas, box, 40, 30, many)
    assert np.abs(dense - expected).sum() < 0.1 * expected.sum()
    assert dense.sum() == pytest.approx(expected.sum(), rel=0.01)


def test_far_outliers_do_not_spoil_the_frame_but_are_in_the_density(atlas: Atlas) -> None:
    extent, frame = atlas.plane.extent, atlas.plane.frame
    assert extent.width > 1e7
    assert frame.width < 100
    outside = np.count_nonzero(~frame.contains(atlas.x, atlas.y) & np.isfinite(atlas.y))
    assert 0 < outside < 0.004 * N
    density = atlas.plane.density(extent, 300, 300).counts
    assert density.sum() == pytest.approx(np.count_nonzero(np.isfinite(atlas.y)), rel=1e-6)
    assert (density[histogram(atlas, extent, 300, 300) > 0] > 0).all()


def test_too_many_rows_in_too_small_a_view_are_spread_and_said_to_be(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.uniform(0, 1e-3, (2, 300_000)).astype(np.float32)
    x[:60_000], y[:60_000] = rng.uniform(-500, 500, (2, 60_000))
    density = Atlas(tmp_path, x, y).plane.density(Box(-1e-3, 2e-3, -1e-3, 2e-3), 30, 30)
    assert not density.resolved
    assert density.counts.min() == density.counts.max() > 0


def test_density_wants_an_area(atlas: Atlas) -> None:
    with pytest.raises(InputError, match="area"):
        atlas.plane.density(Box(0, 0, 0, 1), 10, 10)


@pytest.mark.parametrize("n", [1, 2, 17, 1000])
def test_small_atlases_work_and_have_small_files(tmp_path: Path, n: int) -> None:
    rng = np.random.default_rng(n)
    atlas = Atlas(tmp_path, *rng.normal(size=(2, n)).astype(np.float32))
    atlas.check(atlas.plane.extent)
    atlas.check(Box(50, 60, 50, 60))
    for _ in range(20):
        atlas.check(atlas.random_box(rng), 5, Mask.from_dense(rng.random(n) < 0.5))
    assert atlas.plane.density(atlas.plane.frame, 20, 10).counts.sum() == n
    assert atlas.plane.polygon(np.array([(-9, -9), (9, -9), (0, 18)])).count > 0
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 20_000 + 60 * n


def test_a_view_of_nothing_is_empty(atlas: Atlas) -> None:
    sample = atlas.plane.viewport(Box(100, 200, 100, 200))
    assert (sample.rows.size, sample.in_view, sample.drawn_all) == (0, 0, True)
    assert atlas.plane.density(Box(100, 200, 100, 200), 8, 8).counts.sum() == 0
    assert atlas.plane.polygon(np.array([(100, 100), (200, 100), (100, 200)])).count == 0


def test_identical_points_are_counted_without_being_touched(tmp_path: Path) -> None:
    n = 100_000
    atlas = Atlas(tmp_path, np.full(n, 3.7, dtype=np.float32), np.full(n, -1.2, dtype=np.float32))
    atlas.check(Box(3, 4, -2, -1), 100)
    atlas.check(Box(3.8, 4, -2, -1), 100)
    assert atlas.plane.viewport(Box(3, 4, -2, -1), 2000).touched < 20 * 2000
    assert atlas.plane.polygon(np.array([(3, -2), (5, -2), (3, 0)])).count == n
    assert atlas.plane.density(Box(3, 4, -2, -1), 10, 10).counts.sum() == n


def test_values_that_many_rows_share_cost_nothing_beside_an_edge(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(2, 200_000)).astype(np.float32)
    x[rng.random(x.size) < 0.6] = 0
    y = np.round(y, 1)
    atlas = Atlas(tmp_path, x, y)
    for box in (Box(1e-4, 2, -1.05, 1.05), Box(-2, -1e-4, -3, 3), Box(0, 0, -1, 1)):
        atlas.check(box, 1000)
        assert atlas.plane.viewport(box, 1000).touched < 20_000


def test_rows_without_a_position_are_in_no_view(tmp_path: Path) -> None:
    x, y = np.array([[0, 1, np.nan, 3, np.inf], [0, np.nan, 2, 3, 4]], dtype=np.float32)
    atlas = Atlas(tmp_path, x, y)
    assert atlas.plane.n_rows == 5
    assert sorted(atlas.plane.viewport(Box(-10, 10, -10, 10)).rows.tolist()) == [0, 3]
    every = Mask.from_dense(np.ones(5, dtype=np.bool_))
    assert atlas.plane.viewport(Box(-10, 10, -10, 10), mask=every).in_view == 2
    assert atlas.plane.viewport(Box(-10, 10, -10, 10), mask=Mask.from_rows(np.array([1]), 5)).in_view == 0


def test_every_other_row_without_a_position_leaves_the_rest_whole(tmp_path: Path) -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 2_400_000)).astype(np.float32)
    x[::2] = np.nan
    atlas = Atlas(tmp_path, x, y)
    atlas.check(atlas.plane.extent, 100)
    atlas.check(Box(-1, 0.3, -0.2, 2), 100)


def test_a_map_without_any_position_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none of the 3 rows"):
        write_plane(tmp_path, *np.full((2, 3), np.nan, dtype=np.float32), seed=1)


def test_a_mask_of_another_atlas_is_refused(atlas: Atlas) -> None:
    with pytest.raises(ValueError, match="mask of 7 rows"):
        atlas.plane.viewport(Box(0, 1, 0, 1), mask=Mask.from_dense(np.ones(7, dtype=np.bool_)))


def test_same_rows_and_seed_make_the_same_bytes_from_memory_maps_too(tmp_path: Path) -> None:
    x, y = clusters(30_000)
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    write_plane(tmp_path / "a", x, y, seed=1)
    write_plane(tmp_path / "b", mapped, y, seed=1)
    write_plane(tmp_path / "c", x, y, seed=2)
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in files)
    assert (tmp_path / "a" / "levels.npy").read_bytes() != (tmp_path / "c" / "levels.npy").read_bytes()


@pytest.mark.parametrize(
    "name", ["plane.json", "x.npy", "edges.npy", "counts.npy", "cell.npy", "row.npy", "starts.npy", "levels.npy"]
)
@pytest.mark.parametrize("harm", ["missing", "truncated", "foreign"])
def test_a_damaged_file_is_named_when_the_map_opens(tmp_path: Path, name: str, harm: str) -> None:
    write_plane(tmp_path, *clusters(20_000), seed=1)
    if harm == "missing":
        (tmp_path / name).unlink()
    elif harm == "truncated":
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-40])
    else:
        (tmp_path / name).write_bytes(b'{"a": 1}' * 100)
    with pytest.raises(FormatError, match=name):
        Plane.open(tmp_path)


def test_a_mask_is_brought_into_order_once_for_all_views(atlas: Atlas, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    build = StoreRows.__init__
    monkeypatch.setattr(
        StoreRows, "__init__", lambda self, store, mask: made.append(mask.count) or build(self, store, mask)
    )
    mask = Mask.from_dense(np.random.default_rng(77).random(N) < 0.1)
    for box in (Box(0, 1, 0, 1), Box(-2, 2, 0, 9)):
        atlas.check(box, 100, mask)
        atlas.plane.density(box, 10, 10, mask)
    assert made == [mask.count]


def test_cells_along_an_axis_are_those_of_a_search_for_each_value() -> None:
    rng = np.random.default_rng(3)
    edges = np.sort(rng.normal(size=1023)).astype(np.float32)
    values = np.concatenate([rng.normal(size=20_000).astype(np.float32), edges, edges, [-np.inf, np.inf, np.nan]])
    values = rng.permutation(values).astype(np.float32)
    assert np.array_equal(cell_along(values, edges), np.searchsorted(edges, values, "right"))
    assert cell_along(values[:0], edges).size == 0


def test_few_masks_are_remembered_and_never_mixed_up() -> None:
    counted = PerMask(lambda mask: [mask.count], keep=2)
    masks = [Mask.from_dense(np.arange(40) < k) for k in range(5)]
    first = counted(masks[0])
    assert counted(masks[0]) is first
    assert [counted(mask) for mask in masks] == [[0], [1], [2], [3], [4]]
    assert counted(masks[0]) is not first
    # A mask that is gone may leave its address to another.
    for k in range(50):
        assert counted(Mask.from_dense(np.arange(40) < k % 7)) == [k % 7]
