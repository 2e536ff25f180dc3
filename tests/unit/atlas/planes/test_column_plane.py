"""Any column against any column: planes that are built once, kept within bounds, and lassos that need none of them."""

from __future__ import annotations

import multiprocessing
import threading
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from atlas import Atlas, ColumnPolygon, InputError
from atlas.catalog.columns import is_skewed
from atlas.errors import FormatError
from atlas.planes import column_plane as module
from atlas.planes.axis import Axis
from atlas.planes.column_plane import PlaneAxes
from atlas.planes.plane import Box
from atlas.planes.polygon import geometry
from atlas.planes.sampling import uniform_sample
from atlas.queries.column_lasso import column_lasso
from atlas.queries.selection import canonical, encode_selection
from atlas.storage.derived_files import open_or_make
from atlas.storage.manifest import Column
from benchmarks.bare_atlas import SEED, bare_atlas

N = 60_000
WORDS = ("PSF", "DEV")


def columns(n: int = N) -> dict[str, NDArray | tuple[NDArray, tuple[str, ...]]]:
    rng = np.random.default_rng(4)
    magnitude = rng.normal(21, 1.5, n).astype(np.float32)
    redshift = rng.gamma(3, 0.2, n)
    magnitude[rng.random(n) < 0.02] = np.nan
    redshift[rng.random(n) < 0.3] = np.nan
    flux = 10 ** rng.normal(3, 1.5, n)
    flux[5] = 1e300  # beyond float32, its logarithm is not
    return {
        "map_x": rng.normal(size=n).astype(np.float32),
        "map_y": rng.normal(size=n).astype(np.float32),
        "mag_r": magnitude,
        "z_phot": redshift,
        "flux": flux,
        "nobs": rng.integers(1, 9, n).astype(np.int16),
        "kind": (rng.integers(0, 2, n).astype(np.uint8), WORDS),
        "empty": np.full(n, np.nan, dtype=np.float32),
    }


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    return bare_atlas(tmp_path_factory.mktemp("atlas") / "build", columns())


@pytest.fixture
def atlas(written: Atlas) -> Atlas:
    return again(written)


def again(atlas: Atlas) -> Atlas:
    """The atlas with nothing in memory, as another process opens it."""
    return Atlas(atlas.build, atlas.manifest)


def placed(atlas: Atlas, name: str) -> NDArray[np.float32]:
    """Where the values of a column should lie."""
    values = np.asarray(atlas.columns("v1").array(name))
    with np.errstate(all="ignore"):
        shown = (np.log10(values.astype(np.float64)) if name == "flux" else values).astype(np.float32)
    return np.where(np.isfinite(shown), shown, np.float32(np.nan))


@pytest.mark.parametrize(
    ("x", "y"), [("mag_r", "z_phot"), ("z_phot", "mag_r"), ("flux", "nobs"), ("nobs", "flux"), ("map_x", "flux")]
)
def test_a_plane_of_two_columns_shows_every_row_that_has_both(atlas: Atlas, tmp_path: Path, x: str, y: str) -> None:
    plane = atlas.column_plane(x, y, tmp_path)
    px, py = placed(atlas, x), placed(atlas, y)
    present = np.isfinite(px) & np.isfinite(py)
    assert plane.count(plane.extent) == np.count_nonzero(present)
    f = plane.frame
    box = Box(f.x0 + f.width * 0.2, f.x0 + f.width * 0.7, f.y0, f.y0 + f.height * 0.4)
    inside = np.flatnonzero((px >= box.x0) & (px <= box.x1) & (py >= box.y0) & (py <= box.y1)).astype(np.uint32)
    sample = plane.viewport(box, 1000)
    assert sample.in_view == inside.size > 1000
    assert np.array_equal(sample.rows, uniform_sample(inside, SEED, 1000))
    assert np.array_equal(sample.x, px[sample.rows]) and np.array_equal(sample.y, py[sample.rows])


def test_an_axis_is_logarithmic_where_values_are_positive_and_skewed(atlas: Atlas) -> None:
    assert atlas.column_axes("flux", "mag_r") == PlaneAxes(Axis(log=True), Axis())
    assert atlas.column_axes("nobs", "z_phot") == PlaneAxes(Axis(), Axis())

    def column(*quantiles: float) -> Column:
        return Column(name="a", file="a", dtype="float32", kind="number", quantiles=quantiles)

    tail = (2, 3, 4, 5, 6, 7, 40, 100)
    assert is_skewed(column(1, *tail))
    assert not is_skewed(column(0, *tail)) and not is_skewed(column(-1, *tail))
    assert not is_skewed(column(1, 2, 3, 4, 6, 7, 8, 19, 100))
    assert not is_skewed(column(*(1000 + q for q in (1, *tail))))  # the logarithm of a date is a date
    assert not is_skewed(column())  # nothing is known of it


def test_a_plane_is_built_once_for_all_who_ask(atlas: Atlas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    write = module.write_plane
    monkeypatch.setattr(module, "write_plane", lambda *args, **more: made.append(1) or write(*args, **more))
    assert not atlas.column_plane_ready("mag_r", "z_phot", tmp_path)
    others = [again(atlas) for _ in range(3)]
    threads = [
        threading.Thread(target=one.column_plane, args=("mag_r", "z_phot", tmp_path)) for one in (atlas, atlas, *others)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [1]
    assert atlas.column_plane("mag_r", "z_phot", tmp_path) is atlas.column_plane("mag_r", "z_phot", tmp_path)
    assert again(atlas).column_plane_ready("mag_r", "z_phot", tmp_path)
    assert not atlas.column_plane_ready("z_phot", "mag_r", tmp_path)


def make_slowly(scratch: Path, log: Path, name: str) -> None:
    def make(folder: Path) -> None:
        with log.open("a") as f:
            f.write("begun\n")
        (folder / "value").write_text(name)
        with log.open("a") as f:
            f.write("done\n")

    def opened(folder: Path) -> str:
        try:
            return (folder / "value").read_text()
        except OSError as error:
            raise FormatError(str(error)) from error

    assert open_or_make(scratch, "b", name, opened, make, kind="*", keep=9, max_bytes=10**6) == name


def test_processes_wait_for_each_other(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    log = tmp_path / "log"
    names = ["one", "one", "two", "two"]
    processes = [context.Process(target=make_slowly, args=(tmp_path / "s", log, name)) for name in names]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert log.read_text().split() == ["begun", "done"] * 2


@pytest.mark.parametrize("name", ["plane.json", "axes.json", "cell.npy", "x.npy"])
def test_a_damaged_plane_is_built_again(atlas: Atlas, tmp_path: Path, name: str) -> None:
    plane = atlas.column_plane("mag_r", "z_phot", tmp_path)
    count = plane.count(plane.extent)
    path = tmp_path / atlas.build_id / "mag_r--z_phot" / name
    path.write_bytes(path.read_bytes()[:-5])
    assert not again(atlas).column_plane_ready("mag_r", "z_phot", tmp_path)
    mended = again(atlas).column_plane("mag_r", "z_phot", tmp_path)
    assert mended.count(mended.extent) == count


def test_the_least_recently_used_planes_go_first(atlas: Atlas, tmp_path: Path) -> None:
    (tmp_path / "fedcba987654" / "mag_r--nobs").mkdir(parents=True)  # of a build that is gone
    for y in ("z_phot", "flux", "nobs"):
        atlas.column_plane("mag_r", y, tmp_path, keep=3)
    atlas.column_plane("mag_r", "z_phot", tmp_path, keep=3)
    atlas.column_plane("map_x", "map_y", tmp_path, keep=3)
    folder = tmp_path / atlas.build_id
    assert sorted(path.name for path in folder.iterdir()) == ["mag_r--nobs", "mag_r--z_phot", "map_x--map_y"]
    assert not (tmp_path / "fedcba987654" / "mag_r--nobs").exists()
    # A bound in bytes leaves the one that was asked for, whatever its size.
    again(atlas).column_plane("nobs", "flux", tmp_path, max_bytes=1000)
    assert sorted(path.name for path in folder.iterdir()) == ["nobs--flux"]


def test_a_plane_that_was_removed_elsewhere_still_serves_who_has_it_open(atlas: Atlas, tmp_path: Path) -> None:
    plane = atlas.column_plane("mag_r", "z_phot", tmp_path)
    count = plane.count(plane.frame)
    again(atlas).column_plane("mag_r", "nobs", tmp_path, keep=1)
    assert atlas.column_plane("mag_r", "z_phot", tmp_path).count(plane.frame) == count
    assert not again(atlas).column_plane_ready("mag_r", "z_phot", tmp_path)


def test_progress_rises_to_one_and_stopping_leaves_nothing(atlas: Atlas, tmp_path: Path) -> None:
    shares: list[float] = []
    atlas.column_plane("flux", "z_phot", tmp_path, advance=shares.append)
    assert shares == sorted(shares) and shares[-1] == 1.0 and len(shares) > 4

    def stop(share: float) -> None:
        if share > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        atlas.column_plane("flux", "mag_r", tmp_path, advance=stop)
    assert [path.name for path in (tmp_path / atlas.build_id).iterdir()] == ["flux--z_phot"]


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ("kind", "mag_r", "holds category, not numbers"),
        ("mag_q", "mag_r", "did you mean 'mag_r'"),
        ("empty", "mag_r", "no galaxy has a value of both 'empty' and 'mag_r'"),
    ],
)
def test_columns_that_make_no_plane_are_named(atlas: Atlas, tmp_path: Path, x: str, y: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        atlas.column_plane(x, y, tmp_path)
    assert not list(tmp_path.glob("*/*"))


def lasso(x: float, y: float, width: float, height: float, corners: int, seed: int) -> tuple[tuple[float, float], ...]:
    rng = np.random.default_rng(seed)
    angles, away = np.sort(rng.uniform(0, 2 * np.pi, corners)), rng.uniform(0.3, 1, corners)
    return tuple(
        zip((x + width * away * np.cos(angles)).tolist(), (y + height * away * np.sin(angles)).tolist(), strict=True)
    )


@given(st.integers(0, 2**31), st.integers(3, 300), st.sampled_from([("mag_r", "z_phot"), ("flux", "nobs")]))
@settings(max_examples=25)
def test_a_lasso_holds_the_same_rows_with_and_without_the_plane(
    written: Atlas, tmp_path_factory: pytest.TempPathFactory, seed: int, corners: int, names: tuple[str, str]
) -> None:
    px, py = (placed(written, name) for name in names)
    rng = np.random.default_rng(seed)
    row = rng.choice(np.flatnonzero(np.isfinite(px) & np.isfinite(py)))
    width, height = 10 ** rng.uniform(-3, 0.5, 2)
    vertices = lasso(float(px[row]), float(py[row]), float(width), float(height), corners, seed)
    axes = written.column_axes(*names)
    selection = column_lasso(axes, *names, vertices)

    without = again(written)
    found = without.mask(selection)
    simple = canonical(selection)
    assert isinstance(simple, ColumnPolygon) and len(simple.vertices) <= 100
    expected = shapely.contains_xy(geometry(np.array(simple.vertices)), px.astype(float), py.astype(float))
    assert np.array_equal(found.dense, expected)

    having = again(written)
    plane = having.column_plane(*names, tmp_path_factory.getbasetemp() / "lasso")
    asked: list[int] = []
    polygon = plane.polygon
    plane.polygon = lambda corners: asked.append(1) or polygon(corners)  # type: ignore[method-assign]
    assert np.array_equal(having.mask(selection).packed, found.packed)
    assert asked == [1]


def test_a_lasso_of_other_axes_than_the_plane_goes_by_the_columns(atlas: Atlas, tmp_path: Path) -> None:
    atlas.column_plane("flux", "mag_r", tmp_path)
    square = ((100.0, 20.0), (2000.0, 20.0), (2000.0, 22.0), (100.0, 22.0))
    flux, mag = (np.asarray(atlas.columns().array(name)) for name in ("flux", "mag_r"))
    inside = (flux > 100) & (flux < 2000) & (mag > 20) & (mag < 22)
    assert np.array_equal(atlas.mask(ColumnPolygon("flux", "mag_r", square)).dense, inside)
    logarithmic = tuple((float(np.log10(x)), y) for x, y in square)
    found = atlas.mask(ColumnPolygon("flux", "mag_r", logarithmic, x_log=True))
    assert np.count_nonzero(found.dense != inside) <= 2  # but for the outline, which rounding may move


def test_equal_lassos_are_written_one_way_though_the_axes_differ_a_billionfold() -> None:
    angles = np.linspace(0, 2 * np.pi, 900, endpoint=False)
    x, y = 0.2 + 0.01 * np.cos(angles), 3e8 + 2e8 * np.sin(angles) * np.cos(angles / 2)
    drawn = tuple(zip(x.tolist(), y.tolist(), strict=True))
    size = np.array([0.01, 2e8])
    for vertices in (drawn, drawn[::-1], drawn[7:] + drawn[:7]):
        one = canonical(ColumnPolygon("z_phot", "flux", vertices))
        assert isinstance(one, ColumnPolygon) and 50 < len(one.vertices) <= 100
        assert encode_selection(canonical(one)) == encode_selection(one)
        lost = geometry(np.array(drawn) / size).symmetric_difference(geometry(np.array(one.vertices) / size))
        assert lost.area < 0.01
    few = lasso(0.2, 3e8, 0.01, 2e8, 30, 3)
    same = [canonical(ColumnPolygon("z_phot", "flux", v)) for v in (few, few[::-1], few[4:] + few[:4])]
    assert len({encode_selection(s) for s in same}) == 1
    assert same[0] != canonical(ColumnPolygon("flux", "z_phot", few))
    # Rounded by seven digits of each axis' own extent.
    written, given_ = np.array(same[0].vertices), np.array(few)  # type: ignore[union-attr]
    assert np.abs(np.sort(written[:, 0]) - np.sort(given_[:, 0])).max() < 0.02 * 1e-6
    assert np.abs(np.sort(written[:, 1]) - np.sort(given_[:, 1])).max() < 4e8 * 1e-6


def test_coordinates_do_not_depend_on_what_stands_beside_a_value() -> None:
    values = 10 ** np.random.default_rng(0).normal(0, 9, 4099)
    log = Axis(log=True)
    whole = log.coordinates(values)
    assert np.array_equal(whole, np.concatenate([log.coordinates(values[i : i + 7]) for i in range(0, 4099, 7)]))
    assert np.isnan(log.coordinates(np.array([0.0, -1.0, np.nan, np.inf]))).all()
    assert np.isnan(Axis().coordinates(np.array([1e300, np.nan]))).all()
