"""Rendered galaxies: light is where, and as much as, the parameters say; lenses obey the lens equation."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import integrate, optimize, special
from scipy.signal import fftconvolve

from precompute.simulation.rendering.camera import BETA, noise_sigma, point_source_sigma, render, render_noiseless
from precompute.simulation.rendering.lens import add_lensed, deflection
from precompute.simulation.rendering.parameters import (
    BAD_COLUMN,
    BANDS,
    BRIGHTEST_MAG_Z,
    CLASS_NAMES,
    CLASSES,
    ELECTRONS,
    FAINTEST_MAG_Z,
    IS_ARTEFACT,
    LENS,
    PIXEL_ARCSEC,
    SATURATED,
    STAR,
    TRAIL,
    Parameters,
    draw_parameters,
    fluxes,
    observed_magnitudes,
)
from precompute.simulation.rendering.profiles import add_bar, add_disc, add_edge_on, add_ring, add_sersic, bessel_k1
from precompute.simulation.rendering.random_streams import draw_normals

SEED = 5
N = 150_000
ONE = np.ones(3)


@pytest.fixture(scope="module")
def parameters() -> Parameters:
    return draw_parameters(SEED, np.arange(N))


def members(parameters: Parameters, index: int, count: int) -> Parameters:
    return parameters[np.flatnonzero(parameters["true_class"] == index)[:count]]


def moffat(pixels: int, x: float, y: float, fwhm: float, beta: float) -> NDArray[np.float64]:
    """A Moffat profile of flux 1 at x, y pixels from the middle, fwhm in pixels."""
    alpha = fwhm / 2 / np.sqrt(2 ** (1 / beta) - 1)
    rows, columns = np.indices((pixels, pixels)) - (pixels - 1) / 2
    square = (columns - x) ** 2 + (rows - y) ** 2
    return (beta - 1) / (np.pi * alpha**2) * (1 + square / alpha**2) ** -beta


def seeing_pixels(galaxy: np.void, band: int) -> float:
    return float(galaxy[f"seeing_{BANDS[band]}"]) / PIXEL_ARCSEC


# Classes and parameters


def test_classes_are_as_rare_as_promised(parameters: Parameters) -> None:
    assert sum(c.share for c in CLASSES) == pytest.approx(1)
    assert CLASSES[LENS].share == 1e-3
    counts = np.bincount(parameters["true_class"], minlength=len(CLASSES))
    for name, share, count in zip(CLASS_NAMES, (c.share for c in CLASSES), counts, strict=True):
        assert abs(count - N * share) <= 5 * np.sqrt(N * share), name


def test_a_galaxy_is_the_same_whichever_others_are_drawn(parameters: Parameters) -> None:
    numbers = np.array([77_777, 3, 149_999])
    assert draw_parameters(SEED, numbers).tobytes() == parameters[numbers].tobytes()
    other_seed = draw_parameters(SEED + 1, numbers)
    assert not np.any(other_seed["mag_z"] == parameters["mag_z"][numbers])


def test_magnitudes_and_colours_are_those_of_galaxies(parameters: Parameters) -> None:
    mag = observed_magnitudes(parameters)
    assert mag[:, 2].min() >= BRIGHTEST_MAG_Z and mag[:, 2].max() <= FAINTEST_MAG_Z
    g_r, r_z = mag[:, 0] - mag[:, 1], mag[:, 1] - mag[:, 2]
    galaxies = parameters["true_class"] != STAR
    assert g_r[galaxies].min() > -0.1 and g_r[galaxies].max() < 2
    assert r_z[galaxies].min() > -0.3 and r_z[galaxies].max() < 1.6
    names = np.array(CLASS_NAMES)[parameters["true_class"]]
    assert np.median(g_r[names == "elliptical"]) > np.median(g_r[names == "spiral"]) + 0.3
    np.testing.assert_allclose(22.5 - 2.5 * np.log10(fluxes(parameters)), mag, atol=1e-5)
    bright, faint = mag[:, 2] < 17, mag[:, 2] > 19.5
    assert np.median(parameters["radius"][bright]) > 1.5 * np.median(parameters["radius"][faint])


def test_random_numbers_of_different_galaxies_and_purposes_are_independent() -> None:
    first, second = (draw_normals(1, np.arange(4000), purpose, 5).astype(np.float64) for purpose in (0, 1))
    for values in (first, second):
        assert abs(values.mean()) < 4 / np.sqrt(values.size)
        assert values.var() == pytest.approx(1, abs=0.04)
    together = np.corrcoef(np.concatenate([first, second, first[1:].tolist() + first[:1].tolist()], axis=1).T)
    assert np.abs(together - np.eye(15)).max() < 0.08
    assert special.ndtr(first).max() < 1


# Photometry


@pytest.mark.parametrize("index", range(len(CLASSES)), ids=CLASS_NAMES)
def test_the_light_of_an_image_is_the_flux_of_the_catalogue(parameters: Parameters, index: int) -> None:
    small = parameters[parameters["radius"] < 1.6]
    chosen = members(small, index, 12)
    for galaxy, flux in zip(chosen, fluxes(chosen), strict=True):
        total = render_noiseless(SEED, galaxy, 256, alone=True).sum(axis=(1, 2), dtype=np.float64)
        np.testing.assert_allclose(total, flux, rtol=0.015)


def brightness(planes: NDArray[np.float32]) -> NDArray[np.float64]:
    return planes.sum(axis=(1, 2), dtype=np.float64)


def test_every_component_adds_the_flux_that_it_is_given() -> None:
    flux = np.array([1.0, 2.0, 3.0])
    components = {
        "Sérsic 1": lambda planes: add_sersic(planes, 3.3, -2.1, 8.0, 0.4, 0.7, 1.0, flux),
        "Sérsic 4": lambda planes: add_sersic(planes, 0.3, 0.2, 6.0, 0.8, 0.7, 4.0, flux),
        "small Sérsic 5": lambda planes: add_sersic(planes, 0.1, 0.0, 1.1, 0.8, 0.7, 5.0, flux),
        "disc": lambda planes: add_disc(planes, 0.3, 1.1, 14.0, 0.6, 2.0, flux, 2, 0.3, 1.0, 0.9, 2.5, 0.4),
        "bar": lambda planes: add_bar(planes, 0.3, 1.1, 14.0, 0.4, 0.6, 2.0, flux),
        "ring": lambda planes: add_ring(planes, 0.3, 1.1, 20.0, 4.0, 0.6, 2.0, 1.0, 0.8, flux),
        "edge-on": lambda planes: add_edge_on(planes, 0.3, 1.1, 8.0, 2.0, 2.0, 2.0, flux),
    }
    for name, add in components.items():
        planes = np.zeros((3, 301, 301), np.float32)
        add(planes)
        np.testing.assert_allclose(brightness(planes), flux, rtol=0.012, err_msg=name)
        assert planes.min() >= 0, name


def test_half_of_the_light_lies_within_the_half_light_ellipse() -> None:
    planes = np.zeros((3, 401, 401), np.float32)
    add_sersic(planes, 0, 0, 20.0, 0.5, np.radians(30), 2.0, ONE)
    dy, dx = np.indices((401, 401)) - 200
    # 30° from north (rows upwards) to east (columns downwards).
    along = np.cos(np.radians(30)) * dy - np.sin(np.radians(30)) * dx
    across = -np.sin(np.radians(30)) * dy - np.cos(np.radians(30)) * dx
    inside = np.hypot(along, across / 0.5) < 20
    assert planes[0][inside].sum() / planes[0].sum() == pytest.approx(0.5, abs=0.012)


def test_bessel_function_agrees_with_scipy() -> None:
    x = np.geomspace(1e-3, 12, 200)
    np.testing.assert_allclose([bessel_k1(v) for v in x], special.k1(x), rtol=1e-6)


# Seeing and noise


def test_a_star_has_the_moffat_profile_of_its_seeing(parameters: Parameters) -> None:
    for star in members(parameters[parameters["mag_z"] > 18], STAR, 4):
        image = render_noiseless(SEED, star, 61, alone=True)
        for band, flux in enumerate(fluxes(np.array([star]))[0]):
            x, y = star["x"] / PIXEL_ARCSEC, star["y"] / PIXEL_ARCSEC
            expected = flux * moffat(61, x, y, seeing_pixels(star, band), BETA[band])
            np.testing.assert_allclose(image[band], expected, atol=2e-4 * expected.max())


def test_galaxies_are_blurred_by_the_same_profile(parameters: Parameters) -> None:
    faint = parameters[(parameters["mag_z"] > 18) & (parameters["radius"] < 2)]
    galaxy = members(faint, CLASS_NAMES.index("elliptical"), 1)[0]
    image = render_noiseless(SEED, galaxy, 96, alone=True)
    sharp = np.zeros((3, 255, 255), np.float32)
    place = (galaxy["x"] / PIXEL_ARCSEC, galaxy["y"] / PIXEL_ARCSEC, galaxy["radius"] / PIXEL_ARCSEC)
    flux = fluxes(np.array([galaxy]))[0].astype(np.float64)
    # The middle of 96 pixels lies between two, that of 255 on one.
    add_sersic(
        sharp, place[0] + 0.5, place[1] + 0.5, place[2], galaxy["axis_ratio"], galaxy["angle"], galaxy["index"], flux
    )
    for band in range(3):
        psf = moffat(255, 0, 0, seeing_pixels(galaxy, band), BETA[band])
        expected = fftconvolve(sharp[band].astype(np.float64), psf, mode="same")[80:176, 80:176]
        np.testing.assert_allclose(image[band], expected, atol=0.004 * expected.max())


def test_noise_is_that_of_sky_and_photons(parameters: Parameters) -> None:
    clean = parameters[~IS_ARTEFACT[parameters["true_class"]]][:40]
    sky = noise_sigma(clean)
    assert np.median(sky) > 0
    pulls = []
    for galaxy, image, sigma in zip(clean, render(SEED, clean, 64), sky, strict=True):
        light = render_noiseless(SEED, galaxy, 64)
        gain = ELECTRONS * [galaxy[f"exposures_{band}"] for band in BANDS]
        expected = np.sqrt(sigma[:, None, None] ** 2 + np.maximum(light, 0) / gain[:, None, None])
        pulls.append((image - light) / expected)
    pull = np.array(pulls)
    assert pull.std() == pytest.approx(1, abs=0.02)
    assert abs(pull.mean()) < 0.05  # what the sky subtraction left
    # Noise of neighbouring pixels is independent.
    centred = pull - pull.mean(axis=(2, 3), keepdims=True)
    assert abs((centred[..., 1:] * centred[..., :-1]).mean()) < 0.02


def test_depth_is_the_noise_of_a_fitted_star(parameters: Parameters) -> None:
    galaxy = parameters[:1]
    for band in range(3):
        profile = moffat(201, 0, 0, seeing_pixels(galaxy[0], band), BETA[band])
        expected = noise_sigma(galaxy)[0, band] / np.sqrt((profile**2).sum())
        assert point_source_sigma(galaxy)[0, band] == pytest.approx(expected, rel=0.01)


def test_a_larger_picture_shows_the_same_sky(parameters: Parameters) -> None:
    for galaxy in parameters[:20]:
        small, large = (render_noiseless(SEED, galaxy, pixels) for pixels in (64, 96))
        np.testing.assert_allclose(large[:, 16:80, 16:80], small, atol=0.01 * small.max() + 1e-3)


def test_there_are_neighbours_but_none_on_top_of_the_galaxy(parameters: Parameters) -> None:
    ordinary = members(parameters, CLASS_NAMES.index("disc"), 60)
    others = np.array([render_noiseless(SEED, g, 96) - render_noiseless(SEED, g, 96, alone=True) for g in ordinary])
    sigma = noise_sigma(ordinary)[:, 1]
    seen = (others[:, 1].max(axis=(1, 2)) > 3 * sigma).mean()
    assert 0.6 < seen <= 1


# Artefacts


@pytest.mark.parametrize("index", [TRAIL, SATURATED, BAD_COLUMN])
def test_an_artefact_lies_over_an_ordinary_galaxy(parameters: Parameters, index: int) -> None:
    spoilt = members(parameters, index, 12)
    assert set(spoilt["shape"]) <= set(range(5))
    marks = []
    for galaxy, image in zip(spoilt, render(SEED, spoilt, 96), strict=True):
        clean = render_noiseless(SEED, galaxy, 96, alone=index == SATURATED)
        excess = np.abs(image - clean) / noise_sigma(np.array([galaxy]))[0][:, None, None]
        marks.append(float((excess > 6).any(axis=0).mean()))
    # Most are plain to see, some are faint; none covers all of every image.
    assert np.median(marks) > 0.002
    assert np.min(marks) < 0.5


# Lenses, against a deflection that is integrated and not looked up


def integrated_deflection(x: float, y: float, einstein: float, q: float) -> NDArray[np.float64]:
    """Deflection of elliptical mass by quadrature (Schramm 1990, A&A 231, 19; Keeton 2001, astro-ph/0102341)."""

    def integrand(t: float, n: float) -> float:
        u = t * t  # the convergence grows as u^(-1/2) at the centre
        stretched = 1 - (1 - q * q) * u
        xi = np.sqrt(u * (x * x + y * y / stretched))
        return 2 * t * einstein / (2 * np.sqrt(q) * xi) / stretched ** (n + 0.5)

    j0, j1 = (integrate.quad(integrand, 0, 1, args=(n,))[0] for n in (0, 1))
    return np.array([q * x * j0, q * y * j1])


@pytest.mark.parametrize("q", [0.35, 0.7, 0.95, 1.0])
def test_the_analytic_deflection_is_the_integral_over_the_mass(q: float) -> None:
    for x, y in [(1.0, 0.0), (0.0, 1.3), (0.4, -0.8), (-2.1, 0.3), (-0.2, -0.1)]:
        np.testing.assert_allclose(deflection(x, y, 1.4, q), integrated_deflection(x, y, 1.4, q), rtol=1e-4, atol=1e-6)


def solve_lens_equation(source: NDArray[np.float64], q: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Images of a point (unit Einstein radius) and their magnifications, by Newton's method from many starts."""

    def miss(place: NDArray[np.float64]) -> NDArray[np.float64]:
        return place - integrated_deflection(place[0], place[1], 1.0, q) - source

    images: list[NDArray[np.float64]] = []
    for radius in (0.5, 0.9, 1.3):
        for angle in np.arange(12) * np.pi / 6 + 0.1:
            found = optimize.root(miss, [radius * np.cos(angle), radius * np.sin(angle)])
            # The centre, where mass is infinite, only looks like a solution.
            if found.success and np.hypot(*found.x) > 0.05 and not any(np.hypot(*(found.x - i)) < 1e-3 for i in images):
                images.append(found.x)
    step = 1e-4
    magnifications = []
    for place in images:
        columns = [(miss(place + step * e) - miss(place - step * e)) / (2 * step) for e in np.eye(2)]
        magnifications.append(abs(1 / np.linalg.det(np.array(columns))))
    return np.array(images), np.array(magnifications)


@pytest.mark.parametrize(("source", "count"), [((0.06, 0.03), 4), ((0.45, 0.2), 2)])
def test_images_of_a_lens_lie_where_the_lens_equation_puts_them(source: tuple[float, float], count: int) -> None:
    q, einstein, angle = 0.7, 60.0, np.radians(35)
    images, magnifications = solve_lens_equation(np.array(source), q)
    assert len(images) == count
    planes = np.zeros((3, 301, 301), np.float32)
    add_lensed(planes, 0, 0, einstein, q, angle, einstein * source[0], einstein * source[1], 0.5, 1.0, 0.0, ONE)
    rows, columns = np.indices((301, 301)) - 150
    # From the lens's axes to the sky: along its major axis, `angle` from north to east, and across.
    sin, cos = np.sin(angle), np.cos(angle)
    x = einstein * (-sin * images[:, 0] - cos * images[:, 1])
    y = einstein * (cos * images[:, 0] - sin * images[:, 1])
    nearest = np.argmin(np.hypot(columns[..., None] - x, rows[..., None] - y), axis=2)
    for k in range(count):
        light = np.where(nearest == k, planes[0], 0).astype(np.float64)
        assert light.sum() == pytest.approx(magnifications[k], rel=0.06)
        assert (light * columns).sum() / light.sum() == pytest.approx(x[k], abs=0.6)
        assert (light * rows).sum() / light.sum() == pytest.approx(y[k], abs=0.6)


def test_a_lens_shows_light_that_is_not_the_deflectors(parameters: Parameters) -> None:
    lenses = members(parameters, LENS, 20)
    assert lenses["feature"].min() > 1 and lenses["feature"].max() < 3.5
    for galaxy in lenses:
        arcs = render_noiseless(SEED, galaxy, 96)[0] - render_noiseless(SEED, galaxy, 96, alone=True)[0]
        rows, columns = np.indices((96, 96)) - 47.5
        radius = np.hypot(columns, rows) * PIXEL_ARCSEC
        around = arcs[radius < 2 * galaxy["feature"]].sum()
        unlensed = 10 ** (0.4 * (22.5 - galaxy["other_mag"]))
        assert around > unlensed  # magnified
