"""Artefacts are measured where a camera made them, and not where the sky did."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from precompute.descriptor.artefacts import MEASURES, STRENGTHS, _medians, measure_artefacts, score, strengths
from precompute.descriptor.features import FEATURES, GALAXY, Descriptor, describe
from precompute.descriptor.sky_level import fill_blank

Floats = NDArray[np.float32]
STREAK, BAD_COLUMN, SATURATION, BLANK = range(STRENGTHS)


def galaxies(n: int = 20, size: int = 96, bands: int = 3, *, ratio: float = 0.7, peak: float = 60.0) -> Floats:
    """Exponential discs of one colour at all angles, in the middle of noise of one sigma; (n, size, size, bands)."""
    rng = np.random.default_rng(size + bands)
    y, x = np.indices((size, size)) - (size - 1) / 2
    angle = np.linspace(0, np.pi, n, endpoint=False)[:, None, None]
    along, across = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    light = peak * np.exp(-np.hypot(along, across / ratio) / (size / 20))
    colour = np.linspace(1, 0.5, bands)
    return (light[..., None] * colour + rng.normal(0, 1, (n, size, size, bands)) + 3).astype(np.float32)


def streak(size: int, angle_deg: float, offset: float) -> Floats:
    """A line, two pixels wide, of height one; (size, size)."""
    y, x = np.indices((size, size)) - (size - 1) / 2
    angle = np.radians(angle_deg)
    return np.exp(-0.5 * ((np.cos(angle) * x + np.sin(angle) * y - offset) / 1.0) ** 2).astype(np.float32)


def measured(images: NDArray[np.generic]) -> Floats:
    return measure_artefacts(*fill_blank(images))


def measure(images: NDArray[np.generic], name: str) -> Floats:
    return measured(images)[:, MEASURES.index(name)]


@pytest.mark.parametrize("size", [48, 96, 152])
@pytest.mark.parametrize("ratio", [0.15, 0.7])
def test_galaxies_of_one_colour_are_no_artefacts(size: int, ratio: float) -> None:
    assert score(measured(galaxies(size=size, ratio=ratio, peak=200))).max() < 0.5


@pytest.mark.parametrize("angle_deg", [0, 20, 45, 71, 90, 133])
@pytest.mark.parametrize("band", [0, 1, 2])
def test_a_streak_in_one_band_is_found_at_any_angle(angle_deg: float, band: int) -> None:
    images = galaxies()
    images[..., band] += 3 * streak(96, angle_deg, offset=11.0)
    found = strengths(measured(images))[:, [STREAK, BAD_COLUMN]].max(axis=1)
    assert np.median(found) > 0.9


def test_the_same_line_in_all_bands_is_the_skys() -> None:
    images = galaxies() + 15 * streak(96, 30, offset=11.0)[..., None] * np.linspace(1, 0.5, 3, dtype=np.float32)
    assert score(measured(images)).max() < 0.5


@pytest.mark.parametrize("value", [-8.0, 8.0])
@pytest.mark.parametrize("half", [False, True])
def test_a_dead_or_hot_column_is_found_and_is_no_streak(value: float, half: bool) -> None:
    images = galaxies()
    images[:, 48 if half else 0 :, 61, 2] += value
    found = strengths(measured(images))
    assert found[:, BAD_COLUMN].min() > 0.9
    assert found[:, STREAK].max() < 0.5
    assert strengths(measured(images.swapaxes(1, 2)))[:, BAD_COLUMN].min() > 0.9  # rows are read out as well


def test_a_flat_top_is_found_where_it_is_bright() -> None:
    images = galaxies(peak=2000)
    assert score(measured(np.minimum(images, 300)))[0] > 0.9
    assert score(measured(images)).max() < 0.5
    assert score(measured(np.minimum(images, 7))).max() < 0.5  # four sigma above the sky: a cut of the noise


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0, -999.0])
def test_blank_parts_are_counted_and_change_nothing_else(value: float) -> None:
    images = galaxies()
    cut = images.copy()
    cut[:, :12] = value
    found, whole = measured(cut), measured(images)
    np.testing.assert_allclose(found[:, MEASURES.index("blank_share")], 12 / 96, rtol=1e-6)
    np.testing.assert_allclose(found[:, MEASURES.index("edge_share")], (96 + 2 * 11) / (4 * 95), rtol=1e-6)
    np.testing.assert_allclose(found[:, MEASURES.index("sky_noise")], whole[:, MEASURES.index("sky_noise")], rtol=0.05)
    assert strengths(found)[:, :BLANK].max() < 0.5
    assert strengths(found)[:, BLANK].min() > 0.5
    np.testing.assert_allclose(describe(cut)[:, : len(GALAXY)], describe(images)[:, : len(GALAXY)], atol=0.25)


def test_a_black_sky_and_a_saturated_core_are_not_blank() -> None:
    images = galaxies(peak=2000)
    black = np.clip(np.rint(images - 8), 0, 255).astype(np.uint8)
    assert (black[:, :10] == 0).mean() > 0.99
    core = np.minimum(images, 100)
    assert measure(black, "blank_share").max() == measure(core, "blank_share").max() == 0


def test_an_image_of_nothing_is_measured_without_a_warning() -> None:
    for bands in (1, 3, 5):
        for value in (0.0, 7.5, np.nan):
            image = np.full((2, 40, 40, bands), value)
            assert measure(image, "blank_share").tolist() == [1, 1]
            assert np.isfinite(measured(image)).all() and np.isfinite(describe(image)).all()
    noiseless = np.round(galaxies(2) * 0)
    noiseless[:, 30:40, 30:40] = 200
    assert np.isfinite(describe(noiseless)).all()


def test_the_noise_of_the_sky_is_that_of_the_image() -> None:
    np.testing.assert_allclose(measure(5 * galaxies(), "sky_noise"), 5, rtol=0.05)


def test_an_image_is_measured_alike_whatever_is_beside_it() -> None:
    images = galaxies(70)
    images[3, :20] = 0
    at_once = describe(images)[:, len(GALAXY) :]
    for rows in (slice(3, 4), slice(60, 70)):
        np.testing.assert_array_equal(describe(images[rows])[:, len(GALAXY) :], at_once[rows])


@pytest.mark.parametrize("bands", [1, 2, 4, 5])
def test_any_number_of_bands_is_described(bands: int) -> None:
    images = galaxies(40, bands=bands)
    images[:20, :, :, 0] += 4 * streak(96, 45, offset=9.0)
    features = describe(images)
    assert features.shape == (40, len(FEATURES)) and np.isfinite(features).all()
    assert np.median(score(features[:20, len(GALAXY) :])) > 0.9
    assert score(features[20:, len(GALAXY) :]).max() < 0.5
    assert np.isfinite(Descriptor.fit(features, dimension=16).embed(features)).all()
    reddening = features[:, FEATURES.index("colour_red_blue")]
    assert (np.abs(reddening) < 1e-3).all() if bands == 1 else (reddening[20:] > 0.3).all()


def test_an_edge_on_galaxy_of_one_band_is_hardly_ever_a_streak() -> None:
    assert (score(measured(galaxies(bands=1, ratio=0.15, peak=300))) < 0.5).mean() >= 0.95


def test_small_images_are_measured() -> None:
    images = galaxies(30, size=24)
    plain = score(measured(images)).max()
    images[:, :, 4, 1] += 12
    assert plain < 0.5 < strengths(measured(images))[:, BAD_COLUMN].min()


def test_a_plain_artefact_decides_who_is_alike() -> None:
    images = galaxies(60)
    images[:6, :, 70, 1] -= 20
    features = describe(images)
    rows = Descriptor.fit(features, dimension=16).embed(features)
    similarity = rows[:6] @ rows.T
    assert similarity[:, :6].min() > similarity[:, 6:].max()


@pytest.mark.parametrize("count", [7, 8])
def test_medians_are_those_of_numpy(count: int) -> None:
    values = np.random.default_rng(0).normal(size=(50, count)).astype(np.float32)
    assert np.array_equal(_medians(values), np.median(values, axis=1))


def test_a_blank_corner_no_larger_than_the_filter_sees_is_found() -> None:
    image = np.random.default_rng(1).integers(90, 93, (1, 40, 40, 3)).astype(np.float32)
    image[0, :3, :3] = 0
    assert fill_blank(image)[1].blank[0, :3, :3].all()
