"""Coverage maps and polygons on the sphere, against mocpy and regions."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS
from astropy_healpix import boundaries_lonlat, neighbours
from hypothesis import given, settings
from hypothesis import strategies as st
from mocpy import MOC
from regions import PolygonSphericalSkyRegion, RectangleSkyRegion
from shapely import Polygon, contains_xy

from atlas.errors import InputError
from atlas.sky.coverage import order_of, read_coverage, share_of_sky, write_coverage
from atlas.sky.outlines import box_on_plane, edges, polygon_on_plane
from atlas.sky.projection import Projection
from atlas.sky.sky_plane import SkyPlane, write_sky

from ...places import survey

CELLS = st.integers(0, 16).flatmap(lambda order: st.tuples(st.just(order), st.integers(0, 12 * 4**order - 1)))
MAPS = st.lists(CELLS, min_size=1, max_size=12).map(lambda cells: " ".join(f"{order}/{cell}" for order, cell in cells))
RA, DEC = survey(3000, seed=8)


def mocpy_of(text: str) -> MOC:
    """A map by mocpy, which takes no cell twice."""
    first, *others = (MOC.from_string(word, "ascii") for word in text.split())
    return first.union(*others) if others else first


@pytest.fixture(scope="module")
def sky(tmp_path_factory: pytest.TempPathFactory) -> SkyPlane:
    folder = tmp_path_factory.mktemp("sky")
    write_sky(folder, RA, DEC, seed=1)
    return SkyPlane.open(folder, RA, DEC)


@given(text=MAPS)
@settings(max_examples=25, deadline=None)
def test_a_map_is_read_and_written_as_mocpy_does(text: str) -> None:
    ranges, theirs = read_coverage(text), mocpy_of(text)
    np.testing.assert_array_equal(ranges, theirs.to_depth29_ranges.astype(np.int64))
    assert (MOC.from_string(write_coverage(ranges), "ascii").to_depth29_ranges == theirs.to_depth29_ranges).all()
    np.testing.assert_array_equal(read_coverage(write_coverage(ranges)), ranges)
    assert share_of_sky(ranges) == pytest.approx(theirs.sky_fraction)
    assert order_of(ranges) <= theirs.max_order


@given(text=MAPS)
@settings(max_examples=25, deadline=None)
def test_the_rows_in_a_map_are_those_of_mocpy(sky: SkyPlane, text: str) -> None:
    found = sky.coverage_mask(read_coverage(text)).dense
    theirs = mocpy_of(text).contains_lonlat(RA * u.deg, DEC * u.deg)
    np.testing.assert_array_equal(found, theirs)


def test_cells_smaller_than_those_of_the_store_are_exact_too(sky: SkyPlane) -> None:
    theirs = MOC.from_lonlat(RA[::3] * u.deg, DEC[::3] * u.deg, max_norder=24)
    found = sky.coverage_mask(read_coverage(theirs.to_string("ascii")))
    np.testing.assert_array_equal(found.dense, theirs.contains_lonlat(RA * u.deg, DEC * u.deg))


@pytest.mark.parametrize(
    "text", ["x", "5/8-", "5/8-4", "3", "30/1", "2/192", "2/-1", "1/2/3", "5/99999999999999999999"]
)
def test_what_is_no_map_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        read_coverage(text)


def length_of(ra: np.ndarray, dec: np.ndarray) -> float:
    whole = np.isfinite(ra[:-1]) & np.isfinite(ra[1:])
    start, end = (SkyCoord(ra[at][whole], dec[at][whole], unit="deg") for at in (slice(-1), slice(1, None)))
    return float(start.separation(end).deg.sum())


@pytest.mark.parametrize("text", ["3/7 4/0-2 6/900", "0/1 6/0", "2/17 3/66 4/5 5/9 6/3000-3400", "6/0", "1/0 1/5 1/40"])
def test_the_edge_is_where_a_cell_has_none_of_the_map_beside_it(text: str) -> None:
    ranges = read_coverage(text)
    cells = MOC.from_string(write_coverage(ranges) + " 6/", "ascii").flatten().astype(np.int64)
    with np.errstate(invalid="ignore"):  # of corners that some cells lack, and at the poles
        around = neighbours(cells, 64, order="nested")[[0, 2, 4, 6]].T
        lon, lat = boundaries_lonlat(cells, 1, 64, order="nested")
    corners = [[1, 2], [0, 1], [3, 0], [2, 3]]
    brute = 0.0
    for side in range(4):
        edge = ~np.isin(around[:, side], cells)
        (a, b), (c, d) = (angle.deg[edge][:, corners[side]].T for angle in (lon, lat))
        brute += float(SkyCoord(a, c, unit="deg").separation(SkyCoord(b, d, unit="deg")).deg.sum())
    assert length_of(*edges(ranges, 10**6)) == pytest.approx(brute, rel=2e-3)


def test_the_edge_in_view_is_finer_than_that_of_the_whole() -> None:
    disc = MOC.from_cone(lon=53 * u.deg, lat=-27 * u.deg, radius=5 * u.deg, max_depth=11)
    ranges = read_coverage(disc.to_string("ascii"))
    whole, near = edges(ranges, 400), edges(ranges, 400, (53, -22, 0.5))
    assert np.count_nonzero(np.isnan(whole[0])) <= 400 and np.count_nonzero(np.isnan(near[0])) <= 400
    lengths = [
        SkyCoord(ra[0], dec[0], unit="deg").separation(SkyCoord(ra[1], dec[1], unit="deg")) for ra, dec in (whole, near)
    ]
    assert lengths[1] < lengths[0] / 4


@given(
    middle=st.tuples(st.floats(0, 359.999), st.floats(-90, 90)),
    size=st.sampled_from([0.02, 1.0, 20.0, 60.0]),
    corners=st.integers(3, 8),
)
@settings(max_examples=25, deadline=None)
def test_a_polygon_holds_what_regions_finds_in_it(middle: tuple[float, float], size: float, corners: int) -> None:
    centre = SkyCoord(*middle, unit="deg")
    turns = np.linspace(0, 360, corners, endpoint=False)[::-1] + 7.0
    outline = centre.directional_offset_by(turns * u.deg, size * u.deg)
    projection, vertices = polygon_on_plane(outline.ra.deg % 360, outline.dec.deg)
    rng = np.random.default_rng(3)
    points = centre.directional_offset_by(rng.uniform(0, 360, 300) * u.deg, rng.uniform(0, 1.2, 300) * size * u.deg)
    found = contains_xy(Polygon(vertices), *projection.forward(points.ra.deg, points.dec.deg))
    np.testing.assert_array_equal(found, PolygonSphericalSkyRegion(outline).contains(points))


@pytest.mark.parametrize("angle", [0.0, 30.0, -100.0])
def test_a_box_as_regions_reads_it(angle: float) -> None:
    centre = SkyCoord(0.01, 89.7, unit="deg")
    projection, vertices = box_on_plane(centre.ra.deg, centre.dec.deg, 2 / 60, 1 / 60, angle)
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval = ["RA---TAN", "DEC--TAN"], [centre.ra.deg, centre.dec.deg]
    wcs.wcs.cdelt, wcs.wcs.crpix = [-1e-4, 1e-4], [1, 1]
    theirs = RectangleSkyRegion(centre, 2 * u.arcmin, 1 * u.arcmin, angle * u.deg).to_pixel(wcs)
    corners = np.asarray(theirs.corners) * [1e-4, 1e-4]
    assert {tuple(np.round(one, 7)) for one in corners} == {tuple(np.round(one, 7)) for one in vertices}
    assert projection == Projection("tan", centre.ra.deg, centre.dec.deg)


def test_a_polygon_too_large_for_a_hemisphere_is_refused() -> None:
    with pytest.raises(InputError, match="within 80°"):
        polygon_on_plane([0, 120, 240], [0, 0, 0])
    with pytest.raises(InputError, match="at least three"):
        polygon_on_plane([0, 1], [0, 1])
    with pytest.raises(InputError, match="sides of a box"):
        box_on_plane(0, 0, 0, 1)
