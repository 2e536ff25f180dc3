"""The demo's source: real galaxies at their true places, complete and the same each time."""

from __future__ import annotations

from pathlib import Path

import astropy.units as u
import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.coordinates import SkyCoord
from astropy.io.votable.ucd import check_ucd
from numpy.typing import NDArray
from PIL import Image

from precompute.deep_field.cutouts import CUTOUT_PIXELS, PAD_PIXELS, pad_with_sky, stamps
from precompute.deep_field.detection import STARS, Detections, detect, photometry
from precompute.deep_field.picture import PIXEL_ARCSEC, Picture, load_picture, picture_wcs, position_angle_deg
from precompute.deep_field.source import is_written, write_deep_field
from precompute.descriptor.features import DIMENSION
from precompute.source_description import SourceDescription, read_description

Column = NDArray[np.float64]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("xdf")
    write_deep_field(path, quiet=True)
    return path


@pytest.fixture(scope="module")
def catalog(folder: Path) -> dict[str, Column]:
    table = pq.read_table(folder / "catalog.parquet")
    return {name: table[name].to_numpy() for name in table.column_names}


@pytest.fixture(scope="module")
def description(folder: Path) -> SourceDescription:
    return read_description(folder)


@pytest.fixture(scope="module")
def picture() -> Picture:
    return load_picture()


@pytest.fixture(scope="module")
def found(picture: Picture) -> Detections:
    return detect(picture)


def gnomonic(xi_arcsec: Column, eta_arcsec: Column, ra0_deg: float, dec0_deg: float) -> tuple[Column, Column]:
    """Inverse gnomonic projection by its textbook formula (Calabretta & Greisen 2002), degrees."""
    xi, eta = np.radians(xi_arcsec / 3600), np.radians(eta_arcsec / 3600)
    ra0, dec0 = np.radians([ra0_deg, dec0_deg])
    below = np.cos(dec0) - eta * np.sin(dec0)
    ra = ra0 + np.arctan2(xi, below)
    dec = np.arctan2(np.sin(dec0) + eta * np.cos(dec0), np.hypot(xi, below))
    return np.degrees(ra), np.degrees(dec)


def on_tangent_plane(ra_deg: Column, dec_deg: Column, ra0_deg: float, dec0_deg: float) -> tuple[Column, Column]:
    """Gnomonic projection, offsets east and north in degrees."""
    ra, dec, ra0, dec0 = map(np.radians, (ra_deg - ra0_deg, dec_deg, 0.0, dec0_deg))
    depth = np.sin(dec0) * np.sin(dec) + np.cos(dec0) * np.cos(dec) * np.cos(ra - ra0)
    xi = np.cos(dec) * np.sin(ra - ra0) / depth
    eta = (np.cos(dec0) * np.sin(dec) - np.sin(dec0) * np.cos(dec) * np.cos(ra - ra0)) / depth
    return np.degrees(xi), np.degrees(eta)


def test_astrometry_reproduces_the_solved_formulas() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.uniform(0, 1000, 50), rng.uniform(0, 872, 50)
    p, q = x - 500, 436 - y
    xi = -0.08962002 * p - 0.11146555 * q - 6.25139744
    eta = -0.11133022 * p + 0.08968164 * q + 28.25846633
    truth = SkyCoord(*gnomonic(xi, eta, 53.1625, -27.7914), unit="deg")
    ours = SkyCoord(*picture_wcs().pixel_to_world_values(x, y), unit="deg")
    assert truth.separation(ours).arcsec.max() < 1e-4


def test_position_angles_are_those_on_the_sky() -> None:
    theta = np.linspace(-1.5, 1.5, 13)
    wcs = picture_wcs()
    start = SkyCoord(*wcs.pixel_to_world_values(500, 436), unit="deg")
    end = SkyCoord(*wcs.pixel_to_world_values(500 + 10 * np.cos(theta), 436 + 10 * np.sin(theta)), unit="deg")
    difference = position_angle_deg(theta) - start.position_angle(end).deg
    assert np.abs((difference + 90) % 180 - 90).max() < 0.05


def test_every_galaxy_has_its_row_embedding_and_image(folder: Path, catalog: dict[str, Column]) -> None:
    n = len(catalog["objid"])
    assert 900 <= n <= 1000
    embeddings = np.load(folder / "embeddings.npy", allow_pickle=False)
    assert (embeddings.shape, embeddings.dtype) == ((n, DIMENSION), np.float32)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)
    assert [path.name for path in sorted((folder / "images").iterdir())] == [f"{row:09d}.png" for row in range(n)]
    with Image.open(folder / "images" / "000000000.png") as image:
        assert (image.size, image.mode) == ((CUTOUT_PIXELS, CUTOUT_PIXELS), "RGB")


def test_a_source_of_an_earlier_version_is_known(folder: Path, tmp_path: Path) -> None:
    assert is_written(folder)
    assert not is_written(tmp_path)
    told = (folder / "source.json").read_text()
    (tmp_path / "source.json").write_text(told.replace("Version ", "Version 0"))
    assert not is_written(tmp_path)


def test_no_galaxy_of_the_deep_field_is_an_artefact_but_a_few_beside_stars(catalog: dict[str, Column]) -> None:
    assert 0 < (catalog["artefact"] > 0.5).sum() < 15
    assert (catalog["blank_share"] == 0).all()
    assert 3 < np.median(catalog["sky_noise"]) < 7


def test_galaxies_are_numbered_by_brightness(catalog: dict[str, Column], found: Detections) -> None:
    np.testing.assert_array_equal(catalog["objid"], np.arange(1, len(found.galaxies) + 1))
    assert (np.diff(found.galaxies["flux"]) <= 0).all()


def test_positions_lie_in_the_field(catalog: dict[str, Column]) -> None:
    centre = SkyCoord(53.1605, -27.7835, unit="deg")
    separation = centre.separation(SkyCoord(catalog["ra"], catalog["dec"], unit="deg")).arcsec
    assert 80 < separation.max() < np.hypot(500, 436) * PIXEL_ARCSEC
    assert all(catalog[name].dtype == np.float64 for name in ("ra", "dec"))


def test_stars_and_the_frame_are_left_out(catalog: dict[str, Column]) -> None:
    x, y = catalog["x_pixel"], catalog["y_pixel"]
    assert all(np.hypot(x - star_x, y - star_y).min() > 12 for star_x, star_y in STARS)
    assert min(x.min(), y.min(), 999 - x.max(), 871 - y.max()) >= 10


def test_every_column_is_described(catalog: dict[str, Column], description: SourceDescription) -> None:
    assert set(description.columns) == set(catalog)
    for name, column in description.columns.items():
        u.Unit(column.unit)
        assert check_ucd(column.ucd, check_controlled_vocabulary=True), (name, column.ucd)
        assert column.description
    magnitudes = [c for name, c in description.columns.items() if name.startswith("inst_")]
    assert len(magnitudes) == 5
    assert all("not calibrated" in column.description for column in magnitudes)
    assert "Illingworth" in description.acknowledgement


def test_measurements_are_finite_and_plausible(catalog: dict[str, Column]) -> None:
    assert all(np.isfinite(values).all() for values in catalog.values())
    assert ((catalog["axis_ratio"] > 0) & (catalog["axis_ratio"] <= 1)).all()
    assert ((catalog["position_angle"] >= 0) & (catalog["position_angle"] < 180)).all()
    assert ((catalog["half_light_radius"] > 0.1) & (catalog["half_light_radius"] < 5)).all()
    brightness = -catalog["inst_mag_green"]
    assert np.corrcoef(brightness, np.log(catalog["snr"] * catalog["footprint_pixels"]))[0, 1] > 0.8


def test_instrumental_magnitude_is_the_sum_of_the_pixels(catalog: dict[str, Column], picture: Picture) -> None:
    # Compact galaxies without company: all their light is in a box about them, whatever the aperture.
    alone = (catalog["blended"] == 0) & (catalog["half_light_radius"] < 0.4) & (catalog["edge"] == 0)
    rows = np.flatnonzero(alone)[:12]
    plane = picture[..., 1].astype(np.float64)
    difference = []
    for row in rows:
        x, y = round(catalog["x_pixel"][row]), round(catalog["y_pixel"][row])
        near = np.s_[y - 8 : y + 9, x - 8 : x + 9]
        sky = np.median(plane[y - 20 : y + 21, x - 20 : x + 21])
        difference.append(catalog["inst_mag_green"][row] + 2.5 * np.log10((plane[near] - sky).sum()))
    assert abs(np.median(difference)) < 0.15


def test_the_background_shows_each_galaxy_where_the_catalogue_puts_it(
    folder: Path, catalog: dict[str, Column], description: SourceDescription, picture: Picture
) -> None:
    sky = description.sky_background
    assert sky is not None
    with Image.open(folder / sky.file) as image:
        pixels = np.asarray(image).astype(np.float64)
    height, width = pixels.shape[:2]
    assert (sky.width_deg / width, sky.height_deg / height) == pytest.approx((PIXEL_ARCSEC / 3600,) * 2)
    xi, eta = on_tangent_plane(catalog["ra"], catalog["dec"], sky.ra_deg, sky.dec_deg)
    column = np.rint((width - 1) / 2 - xi / sky.width_deg * width).astype(int)  # east is left
    row = np.rint((height - 1) / 2 - eta / sky.height_deg * height).astype(int)  # north is up
    assert (pixels[row, column, 3] == 255).all()
    assert (pixels[[0, 0, -1, -1], [0, -1, 0, -1], 3] == 0).all()
    x, y = np.rint(catalog["x_pixel"]).astype(int), np.rint(catalog["y_pixel"]).astype(int)
    there = picture[y, x].astype(np.float64).ravel()
    likeness = {
        (right, down): np.corrcoef(pixels[row + down, column + right, :3].ravel(), there)[0, 1]
        for right in (-1, 0, 1)
        for down in (-1, 0, 1)
    }
    assert max(likeness, key=lambda shift: likeness[shift]) == (0, 0)
    assert likeness[0, 0] > 0.9


def test_borders_hold_sky_and_not_black(picture: Picture, found: Detections) -> None:
    is_sky = found.segmentation == 0
    padded = pad_with_sky(picture, is_sky)
    border = np.ones(padded.shape[:2], bool)
    border[PAD_PIXELS:-PAD_PIXELS, PAD_PIXELS:-PAD_PIXELS] = False
    np.testing.assert_allclose(padded[border].mean(axis=0), picture[is_sky].mean(axis=0), atol=0.1)
    np.testing.assert_allclose(padded[border].std(axis=0), picture[is_sky].std(axis=0), rtol=0.02)


def test_stamps_and_cutouts_are_centred_on_their_galaxy(folder: Path, picture: Picture, found: Detections) -> None:
    images = stamps(pad_with_sky(picture, found.segmentation == 0), found.galaxies[:100])
    centres = images[:, 47:49, 47:49].mean(axis=(1, 2, 3))
    assert (centres > 3 * np.median(images, axis=(1, 2, 3))).mean() > 0.95
    for row in range(0, 100, 9):
        with Image.open(folder / "images" / f"{row:09d}.png") as image:
            pixels = np.asarray(image).astype(np.float64)
        assert pixels[56:72, 56:72].mean() > 2 * np.median(pixels)


def test_the_same_picture_gives_the_same_catalogue(
    catalog: dict[str, Column], picture: Picture, found: Detections
) -> None:
    for name, values in photometry(picture, found).items():
        np.testing.assert_array_equal(values, catalog[name])
