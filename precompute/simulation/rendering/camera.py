"""Images of simulated galaxies as a survey's camera would have them: seeing, noise, and what spoils a picture.

    scene ── Moffat seeing ── stars ── saturation ── noise ── trail, bad column ── float32, nanomaggies a pixel

Rows run from south to north, as those of a FITS image do, columns from east to west. Seeing is applied in Fourier
space, where a Moffat profile has a closed form.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from .parameters import (
    BAD_COLUMN,
    BANDS,
    ELECTRONS,
    PIXEL_ARCSEC,
    PURPOSE_NOISE,
    SATURATED,
    SKY_NOISE,
    TRAIL,
    Parameters,
)
from .profiles import BandPlanes
from .random_streams import Stream, compiled, fill_normal, normal, open_stream, uniform
from .scene import MAX_STARS, draw_scene

DEFAULT_PIXELS = 96
MIN_PIXELS = 32
MAX_PIXELS = 256
MARGIN = 24  # pixels around the image whose light the seeing may bring in; on both sides together

# Moffat (1969, A&A 3, 455) exponents: r and g profiles fall more steeply than z, whose light scatters in the silicon.
BETA = np.array([3.5, 3.5, 2.5])
SATURATION = np.array([9.0, 7.5, 11.0])  # nanomaggies a pixel that a well holds
FAINT = 1e-5  # nanomaggies a pixel: a hundredth of the noise of the deepest images
SPIKED = 150.0  # nanomaggies from which a star shows spikes and a halo
SKY_OFFSET = 0.1  # residual of the sky, in sigma of a pixel's noise
SKY_SLOPE = 0.3  # and its change across the image


def render(seed: int, parameters: Parameters, pixels: int = DEFAULT_PIXELS) -> BandPlanes:
    """Images of galaxies, from nothing but the survey's seed and their parameters.

    Parameters
    ----------
    seed : int
        Of the survey.
    parameters : ndarray of shape (n,), dtype PARAMETERS
        From `draw_parameters`.
    pixels : int
        Edge of an image.

    Returns
    -------
    ndarray of shape (n, 3, pixels, pixels), float32
        In g, r, z, nanomaggies a pixel. Each image is what it is whichever others are drawn beside it.
    """
    images = np.empty((len(parameters), len(BANDS), pixels, pixels), np.float32)
    for image, galaxy in zip(images, parameters, strict=True):
        clean = render_noiseless(seed, galaxy, pixels)
        image[:] = clean
        _observe(seed, galaxy, image)
    return images


def render_noiseless(seed: int, galaxy: Any, pixels: int, *, alone: bool = False) -> BandPlanes:
    """The field of a galaxy, or the galaxy `alone`, under the seeing but without noise; (3, pixels, pixels)."""
    size = fft.next_fast_len(pixels + MARGIN, real=True)
    size += (size - pixels) % 2  # the image sits in the middle
    planes = np.zeros((len(BANDS), size, size), np.float32)
    stars = np.zeros((MAX_STARS, 5))
    count = draw_scene(seed, galaxy, planes, stars, alone)
    spectrum = fft.rfft2(planes)
    _blur(spectrum, size, galaxy)
    seen: BandPlanes = fft.irfft2(spectrum, s=(size, size))
    border = (size - pixels) // 2
    image = np.ascontiguousarray(seen[:, border : border + pixels, border : border + pixels])
    _add_stars(image, stars[:count], galaxy)
    return image


def noise_sigma(parameters: Parameters) -> NDArray[np.float64]:
    """Noise of the sky in a pixel of each band, nanomaggies, shape (n, 3)."""
    exposures = np.stack([parameters[f"exposures_{band}"] for band in BANDS], axis=1)
    sigma: NDArray[np.float64] = SKY_NOISE / np.sqrt(exposures)
    return sigma


def point_source_sigma(parameters: Parameters) -> NDArray[np.float64]:
    """Noise of the flux of a point source fitted with its own profile, nanomaggies, shape (n, 3)."""
    seeing = np.stack([parameters[f"seeing_{band}"].astype(np.float64) for band in BANDS], axis=1) / PIXEL_ARCSEC
    scale = seeing / (2 * np.sqrt(2 ** (1 / BETA) - 1))
    # The sum of a Moffat's squares is (β − 1)² / ((2β − 1) π α²).
    pixels = np.pi * scale**2 * (2 * BETA - 1) / (BETA - 1) ** 2
    sigma: NDArray[np.float64] = noise_sigma(parameters) * np.sqrt(pixels)
    return sigma


@compiled
def _moffat_scale(g: Any, band: int) -> float:
    """α of the band's Moffat profile, pixels."""
    seeing = g.seeing_g if band == 0 else (g.seeing_r if band == 1 else g.seeing_z)
    return float(seeing / PIXEL_ARCSEC / (2.0 * np.sqrt(2.0 ** (1.0 / BETA[band]) - 1.0)))


@compiled
def _blur(spectrum: NDArray[np.complex64], size: int, g: Any) -> None:
    """Multiply by the transform of the Moffat profile.

    That of (1 + r²/α²)^−β is proportional to x^(β−1) K_(β−1)(x) with x = 2π α k; for β = 2.5 and 3.5 the Bessel
    function is elementary.
    """
    for band in range(3):
        scale = 2.0 * np.pi * _moffat_scale(g, band) / size
        is_steep = BETA[band] > 3.0
        for row in range(size):
            ky = row if row <= size // 2 else row - size
            for column in range(size // 2 + 1):
                x = scale * np.hypot(ky, column)
                value = np.exp(-x) * (1.0 + x + (x * x / 3.0 if is_steep else 0.0))
                spectrum[band, row, column] *= np.float32(value)


@compiled
def _add_stars(image: BandPlanes, stars: NDArray[np.float64], g: Any) -> None:
    """Points as Moffat profiles; bright ones with the four spikes of the camera's struts."""
    pixels = image.shape[1]
    middle = (pixels - 1) / 2
    for band in range(3):
        alpha, beta = _moffat_scale(g, band), BETA[band]
        for i in range(len(stars)):
            x, y, flux = stars[i, 0], stars[i, 1], stars[i, 2 + band]
            peak = flux * (beta - 1.0) / (np.pi * alpha * alpha)
            spike = 1.2e-4 * flux if flux > SPIKED else 0.0
            # Where the wings sink below `FAINT`; those of bright stars reach everywhere.
            reach = alpha * (peak / FAINT) ** (0.5 / beta) + 1.0 if spike == 0.0 else 2.0 * pixels
            first_row, last_row = max(0, int(middle + y - reach)), min(pixels - 1, int(middle + y + reach))
            first, last = max(0, int(middle + x - reach)), min(pixels - 1, int(middle + x + reach))
            for row in range(first_row, last_row + 1):
                for column in range(first, last + 1):
                    dx, dy = column - middle - x, row - middle - y
                    value = peak * (1.0 + (dx * dx + dy * dy) / (alpha * alpha)) ** -beta
                    if spike > 0.0:
                        u, v = abs(dx + dy) * 0.7071, abs(dx - dy) * 0.7071
                        near = min(u, v)
                        if near < 5.0:
                            value += spike * np.exp(-0.5 * (near / 1.1) ** 2 - max(u, v) / 22.0)
                        # Scattered light, far out, as the square of the distance (King 1971, PASP 83, 199).
                        value += 2.0e-3 * flux / (60.0 + dx * dx + dy * dy)
                    image[band, row, column] += value


@compiled
def _observe(seed: int, g: Any, image: BandPlanes) -> None:
    """Observe the light as the camera does: wells that overflow, noise of photons and sky, streaks, dead columns."""
    stream = open_stream(seed, g.number, PURPOSE_NOISE)
    pixels = image.shape[1]
    noise = np.empty(pixels * pixels, np.float32)
    for band in range(3):
        exposures = g.exposures_g if band == 0 else (g.exposures_r if band == 1 else g.exposures_z)
        sky = SKY_NOISE[band] / np.sqrt(exposures)
        gain = ELECTRONS[band] * exposures
        if g.true_class == SATURATED:
            _saturate(image[band], SATURATION[band])
        fill_normal(stream, noise)
        level = SKY_OFFSET * sky * normal(stream)
        slope_x, slope_y = SKY_SLOPE * sky * normal(stream) / pixels, SKY_SLOPE * sky * normal(stream) / pixels
        for row in range(pixels):
            for column in range(pixels):
                sigma = np.sqrt(sky * sky + max(image[band, row, column], 0.0) / gain)
                image[band, row, column] += (
                    sigma * noise[row * pixels + column]
                    + level
                    + slope_x * (column - pixels / 2)
                    + slope_y * (row - pixels / 2)
                )
    # Positions and widths are of the sky, not of the picture's size.
    if g.true_class == TRAIL:
        _add_trail(stream, g, image)
    elif g.true_class == BAD_COLUMN:
        _add_bad_column(stream, g, image)


@compiled
def _saturate(plane: NDArray[np.float32], limit: float) -> None:
    """Full wells hold `limit`; what is too much bleeds along the column, half upwards and half downwards."""
    pixels = plane.shape[0]
    for column in range(pixels):
        excess = 0.0
        first, last = pixels, -1
        for row in range(pixels):
            if plane[row, column] > limit:
                excess += plane[row, column] - limit
                plane[row, column] = limit
                first, last = min(first, row), max(last, row)
        if last < 0:
            continue
        # Electrons of bleeding wells are spread thinly by the pipeline's masks.
        reach = int(min(0.06 * excess / limit, 2.0 * pixels))
        for step in range(1, reach + 1):
            fill = limit * np.exp(-2.0 * step / (reach + 1.0))
            if first - step >= 0:
                plane[first - step, column] = max(plane[first - step, column], fill)
            if last + step < pixels:
                plane[last + step, column] = max(plane[last + step, column], fill)


@compiled
def _brightness_in_noise(stream: Stream, low: float, high: float) -> float:
    """A strength between two, in sigma of a pixel, evenly in its logarithm: the faint ones are hard to see."""
    return float(np.exp(uniform(stream, np.log(low), np.log(high))))


@compiled
def _add_trail(stream: Stream, g: Any, image: BandPlanes) -> None:
    """A satellite's streak across the picture, in the one band whose exposure it crossed, seldom in two."""
    pixels = image.shape[1]
    middle = (pixels - 1) / 2
    angle = uniform(stream, 0.0, np.pi)
    offset = uniform(stream, -5.0, 5.0) / PIXEL_ARCSEC
    strength = _brightness_in_noise(stream, 2.5, 40.0)
    first = int(uniform(stream, 0.0, 3.0))
    second = int(uniform(stream, 0.0, 3.0)) if uniform(stream, 0.0, 1.0) < 0.2 else first
    # A satellite is nearer than the focus: its streak is wider than a star.
    width = uniform(stream, 0.9, 1.6)
    tumble = uniform(stream, 0.0, 0.8) if uniform(stream, 0.0, 1.0) < 0.3 else 0.0
    period = uniform(stream, 4.0, 14.0) / PIXEL_ARCSEC
    sin, cos = np.sin(angle), np.cos(angle)
    for band in range(3):
        if band not in (first, second):
            continue
        exposures = g.exposures_g if band == 0 else (g.exposures_r if band == 1 else g.exposures_z)
        peak = strength * SKY_NOISE[band] / np.sqrt(exposures)
        alpha = width * _moffat_scale(g, band)
        for row in range(pixels):
            for column in range(pixels):
                dx, dy = column - middle, row - middle
                across = cos * dx + sin * dy - offset
                along = cos * dy - sin * dx
                glint = 1.0 + tumble * np.sin(2.0 * np.pi * along / period)
                image[band, row, column] += peak * glint * (1.0 + (across / alpha) ** 2) ** -(BETA[band] - 0.5)


@compiled
def _add_bad_column(stream: Stream, g: Any, image: BandPlanes) -> None:
    """One to three columns of a detector that are dead or hot, over all of the picture or from some row on."""
    pixels = image.shape[1]
    middle = (pixels - 1) / 2
    column = int(middle + uniform(stream, -5.0, 5.0) / PIXEL_ARCSEC)
    width = 1 + int(uniform(stream, 0.0, 3.0))
    strength = _brightness_in_noise(stream, 4.0, 80.0)
    sign = 1.0 if uniform(stream, 0.0, 1.0) < 0.5 else -1.0
    first = int(uniform(stream, 0.0, 3.0))
    second = int(uniform(stream, 0.0, 3.0)) if uniform(stream, 0.0, 1.0) < 0.3 else first
    start = -pixels
    if uniform(stream, 0.0, 1.0) < 0.5:
        start = int(middle + uniform(stream, -10.0, 8.0) / PIXEL_ARCSEC)
    for band in range(3):
        if band not in (first, second):
            continue
        exposures = g.exposures_g if band == 0 else (g.exposures_r if band == 1 else g.exposures_z)
        value = sign * strength * SKY_NOISE[band] / np.sqrt(exposures)
        for row in range(max(start, 0), pixels):
            for c in range(max(column, 0), min(column + width, pixels)):
                image[band, row, c] += value * uniform(stream, 0.7, 1.3)
