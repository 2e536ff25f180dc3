"""The descriptor sees the galaxy, not how it lies, how bright it is, or what stands beside it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.descriptor import BRIGHTEST, DeepField, Drawing, finds_itself, fit_raw_pixels
from precompute.descriptor.ellipse import Ellipse, fit_ellipse, sample_rings
from precompute.descriptor.features import COMMON, FEATURES, MAX_DIMENSION, RARE, Descriptor, describe
from precompute.descriptor.sky_level import fill_blank, subtract_sky
from precompute.errors import SourceError

Floats = NDArray[np.float32]


@pytest.fixture(scope="module")
def field() -> DeepField:
    return DeepField()


@pytest.fixture(scope="module")
def features(field: DeepField) -> Floats:
    return describe(field.originals)


@pytest.fixture(scope="module")
def drawn(field: DeepField) -> NDArray[np.uint8]:
    return field.redraw(Drawing("turned by 37°", 37), seed=0, brightest=BRIGHTEST)


def gaussian(
    x: float, y: float, major: float, minor: float, angle: float, colour: tuple[float, float, float] = (3, 2, 1)
) -> Floats:
    """One image, (64, 64, 3), of an elliptical Gaussian; x, y from the middle."""
    rows, columns = np.indices((64, 64)) - 31.5
    along = (columns - x) * np.cos(angle) + (rows - y) * np.sin(angle)
    across = (rows - y) * np.cos(angle) - (columns - x) * np.sin(angle)
    light = np.exp(-0.5 * ((along / major) ** 2 + (across / minor) ** 2))
    return (100 * light[..., None] * np.array(colour)).astype(np.float32)


def feature(values: Floats, name: str) -> Floats:
    return values[:, FEATURES.index(name)]


def embedded_likeness(features: Floats, changed: Floats) -> Floats:
    fitted = Descriptor.fit(features)
    return np.asarray((fitted.embed(features[: len(changed)]) * fitted.embed(changed)).sum(axis=1))


def test_redrawn_galaxies_find_their_originals_first(features: Floats, drawn: NDArray[np.uint8]) -> None:
    fitted = Descriptor.fit(features)
    first = finds_itself(fitted.embed(features), fitted.embed(describe(drawn)))
    assert len(features) > 900  # candidates are all galaxies, not the brightest
    assert first.shape == (BRIGHTEST,)
    assert first.mean() >= 0.97


def test_raw_pixels_do_not(field: DeepField, drawn: NDArray[np.uint8]) -> None:
    embed = fit_raw_pixels(field.originals)
    assert finds_itself(embed(field.originals), embed(drawn)).mean() < 0.2


def test_the_measure_counts_only_the_first_place() -> None:
    originals = np.eye(3, dtype=np.float32)
    drawn = np.array([[0.9, 0.1, 0], [0.8, 0.6, 0], [0.7, 0, 0.7]], dtype=np.float32)
    np.testing.assert_array_equal(finds_itself(originals, drawn), [True, False, False])


@pytest.mark.parametrize(
    "turn",
    [
        lambda images: np.rot90(images, 1, axes=(1, 2)),
        lambda images: np.rot90(images, 2, axes=(1, 2)),
        lambda images: images[:, :, ::-1],
        lambda images: images.swapaxes(1, 2),
    ],
    ids=["quarter turn", "half turn", "mirror", "transpose"],
)
def test_turns_and_mirrors_of_the_pixels_change_nothing(field: DeepField, features: Floats, turn) -> None:  # type: ignore[no-untyped-def]
    changed = describe(turn(field.originals[:100]))
    assert embedded_likeness(features, changed).min() > 0.999


def test_brightness_and_sky_level_change_nothing(field: DeepField, features: Floats) -> None:
    images = field.originals[:100].astype(np.float64)
    for factor, level in ((3.7, 100.0), (1e-12, -3e-10)):
        changed = describe(images * factor + level)
        galaxy, artefacts = np.split(np.abs(changed - features[:100]), [len(COMMON)], axis=1)
        assert galaxy.max() < 0.03
        # The noise of whole numbers is a whole number: rounding decides which.
        assert np.quantile(artefacts[:, :-1], 0.98, axis=0).max() < 0.1
        assert np.median(feature(changed, "sky_noise") / feature(features[:100], "sky_noise")) == pytest.approx(factor)
        assert embedded_likeness(features, changed).min() > 0.999


def test_features_tell_colour_size_shape_and_clumps_apart() -> None:
    plain = gaussian(0, 0, 3, 3, 0)
    others = np.stack(
        [
            plain,
            gaussian(0, 0, 3, 3, 0, colour=(1, 2, 3)),
            gaussian(0, 0, 5, 5, 0),
            gaussian(0, 0, 5, 2, 0.3),
            plain + gaussian(4, 0, 1, 1, 0),
        ]
    )
    values = describe(others)
    assert feature(values, "colour_red_blue")[0] > 0 > feature(values, "colour_red_blue")[1]
    assert np.exp(feature(values, "log_size")[2] - feature(values, "log_size")[0]) == pytest.approx(5 / 3, rel=0.1)
    assert feature(values, "axis_ratio")[3] < 0.55 < 0.95 < feature(values, "axis_ratio")[0]
    assert feature(values, "asymmetry")[4] > 5 * feature(values, "asymmetry")[0]


def test_concentration_of_a_gaussian_is_the_textbook_value() -> None:
    # A Gaussian's curve of growth is 1 - exp(-r² / 2), cut at the outermost ring of three radii.
    whole = 1 - np.exp(-4.5)
    r20, r80 = (np.sqrt(-2 * np.log(1 - fraction * whole)) for fraction in (0.2, 0.8))
    value = feature(describe(gaussian(0.3, -0.2, 5, 4, 0.5)[None]), "concentration")[0]
    assert value == pytest.approx(5 * np.log10(r80 / r20), abs=0.1)


def test_azimuthal_power_names_the_order() -> None:
    rows, columns = np.indices((64, 64)) - 31.5
    radius, angle = np.hypot(columns, rows), np.arctan2(rows, columns)
    for order in (3, 4, 5):
        light = np.exp(-0.5 * (radius / 6) ** 2) * (1 + 0.5 * np.cos(order * angle)) * 100
        values = describe(np.repeat(light[None, ..., None], 3, axis=3).astype(np.float32))
        power = [feature(values, f"power_2_{m}")[0] for m in range(1, 6)]
        assert int(np.argmax(power)) + 1 == order


def test_adaptive_moments_recover_a_gaussian() -> None:
    truth = [(0.4, -0.7, 4.0, 2.5, 0.5), (-0.3, 0.2, 3.0, 2.0, -1.2), (1.0, 1.0, 6.0, 4.0, 1.5)]
    light = np.stack([gaussian(*t) for t in truth]).mean(axis=3)
    light /= light.max()
    found = fit_ellipse(light, np.full(3, 0.01, dtype=np.float32))
    for k, (x, y, major, minor, angle) in enumerate(truth):
        # The image is smoothed by one pixel before it is measured.
        smoothed = np.hypot([major, minor], 1.0)
        assert (found.x[k] - 31.5, found.y[k] - 31.5) == pytest.approx((x, y), abs=0.03)
        assert (found.major[k], found.minor[k]) == pytest.approx(smoothed, rel=0.05)
        assert np.sin(found.angle[k] - angle) == pytest.approx(0, abs=0.03)


def test_a_neighbour_does_not_move_the_ellipse() -> None:
    galaxy, neighbour = gaussian(0, 0, 3, 2, 0.5), gaussian(9, -7, 2, 2, 0)
    light = np.stack([galaxy, galaxy + neighbour]).mean(axis=3) / 300
    alone, beside = np.stack(fit_ellipse(light, np.zeros(2, dtype=np.float32)), axis=1)
    np.testing.assert_allclose(beside, alone, rtol=0.03, atol=0.05)


def test_pixels_that_a_source_does_not_reach_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    light = np.stack([gaussian(0.4, -0.3, major, 0.6 * major, 0.5).mean(axis=2) for major in (1.2, 2.5, 4, 7)])
    light += np.random.default_rng(0).normal(0, 1, light.shape).astype(np.float32)
    noise = np.ones(len(light), np.float32)
    near = fit_ellipse(light, noise)
    monkeypatch.setattr("precompute.descriptor.ellipse.WINDOWS", (np.inf,))
    np.testing.assert_allclose(near, fit_ellipse(light, noise), atol=1e-4)


def test_rings_sample_the_image_bilinearly() -> None:
    rows, columns = np.indices((32, 32))
    plane = np.repeat((2.0 * columns + 3.0 * rows)[None, ..., None], 3, axis=3).astype(np.float32)
    ellipse = Ellipse(*(np.array([v], dtype=np.float32) for v in (15.3, 14.8, 4.0, 2.0, 0.6)))
    rings = sample_rings(plane, ellipse, np.array([1.0, 2.0], dtype=np.float32))
    phi = np.arange(rings.shape[2]) * 2 * np.pi / rings.shape[2]
    for ring, radius in enumerate((1.0, 2.0)):
        along, across = 4 * radius * np.cos(phi), 2 * radius * np.sin(phi)
        x = 15.3 + along * np.cos(0.6) - across * np.sin(0.6)
        y = 14.8 + along * np.sin(0.6) + across * np.cos(0.6)
        np.testing.assert_allclose(rings[0, ring, :, 0], 2 * x + 3 * y, rtol=1e-5)


def test_sky_is_found_under_galaxies() -> None:
    rng = np.random.default_rng(1)
    sky = np.array([10.0, 200.0, -5.0])
    images = sky + rng.normal(0, 2, (20, 64, 64, 3)) + gaussian(0, 0, 4, 3, 0) + gaussian(22, 20, 5, 5, 0)
    light, noise = subtract_sky(*fill_blank(images))
    peak = (images - sky).max(axis=(1, 2, 3))
    found = images - light * peak[:, None, None, None]
    np.testing.assert_allclose(np.median(found, axis=(0, 1, 2)), sky, atol=0.7)
    np.testing.assert_allclose(noise * peak, 2, rtol=0.1)


def test_embedding_needs_no_refit(features: Floats) -> None:
    fitted = Descriptor.fit(features, dimension=16)
    rows = fitted.embed(features)
    assert rows.shape == (len(features), 16)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(fitted.embed(features[5:8]), rows[5:8], atol=1e-5)


def test_one_wild_feature_cannot_decide(features: Floats) -> None:
    fitted = Descriptor.fit(features)
    wild = features[:1].copy()
    wild[0, FEATURES.index("m20")] = 1e9
    assert (fitted.embed(wild) @ fitted.embed(features[:1]).T)[0, 0] > 0.5


def test_images_in_chunks_equal_images_at_once(field: DeepField, features: Floats) -> None:
    np.testing.assert_allclose(describe(field.originals[60:70]), features[60:70], atol=1e-3)


def test_an_empty_image_is_described_without_a_warning() -> None:
    noise = np.random.default_rng(2).normal(0, 1, (1, 48, 48, 3))
    for image in (np.zeros((1, 48, 48, 3), np.uint8), np.full((1, 48, 48, 3), 7.5), noise):
        assert np.isfinite(describe(image)).all()


def test_every_feature_has_one_name() -> None:
    assert len(set(FEATURES)) == len(FEATURES) == describe(np.zeros((1, 24, 24, 3))).shape[1]


@pytest.mark.parametrize("shape", [(2, 48, 48), (2, 48, 48, 0), (2, 48, 40, 3), (2, 10, 10, 3)])
def test_images_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(SourceError, match=r"expected \(n, h, h, bands\)"):
        describe(np.zeros(shape, np.uint8))


def test_more_dimensions_than_galaxies_or_features_are_refused(features: Floats) -> None:
    for some, dimension, most in ((features[:20], 32, 20), (features, 99, MAX_DIMENSION)):
        with pytest.raises(SourceError, match=f"{RARE + 1} to {most} dimensions, not {dimension}"):
            Descriptor.fit(some, dimension=dimension)
