"""Light of galaxies before the atmosphere: each function adds one component to planes of nanomaggies a pixel.

Coordinates are pixels from the middle, x along columns (west) and y along rows (north); angles are position angles,
from north to east. `flux` holds what a component adds in each band, over all the sky: what
falls outside the planes is lost, nothing is normalised to what is seen.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import special

from .random_streams import compiled

BandPlanes = NDArray[np.float32]
Flux = NDArray[np.float64]

# Sérsic indices on a grid, so that their constants are looked up.
MIN_INDEX, MAX_INDEX, INDEX_STEP = 0.5, 6.0, 0.1
EXPONENTIAL = 5  # of that grid: index 1
TRUNCATION = 7.0  # half-light radii at which a profile ends
_INDEX = np.arange(MIN_INDEX, MAX_INDEX + INDEX_STEP / 2, INDEX_STEP)
_B = special.gammaincinv(2 * _INDEX, 0.5)  # Ciotti & Bertin 1999, A&A 352, 447: half of the light lies within re
_TOTAL = (  # light within the truncation, of a round profile with re = 1 and a central brightness of 1
    2 * np.pi * _INDEX * _B ** (-2 * _INDEX) * special.gamma(2 * _INDEX)
) * special.gammainc(2 * _INDEX, _B * TRUNCATION ** (1 / _INDEX))

# Samples of a pixel and axis around the middle, where steep profiles have a cusp.
CORE_SAMPLES = 7
CUSP_SAMPLES = 41


@compiled
def add_sersic(
    planes: BandPlanes, x: float, y: float, radius: float, axis_ratio: float, angle: float, index: float, flux: Flux
) -> None:
    """An elliptical Sérsic profile (Sérsic 1963), its half-light radius along the major axis."""
    k = min(max(round((index - MIN_INDEX) / INDEX_STEP), 0), _INDEX.size - 1)
    b, power = _B[k], 1.0 / _INDEX[k]
    peak = 1.0 / (_TOTAL[k] * radius * radius * axis_ratio)
    size = planes.shape[1]
    middle = (size - 1) / 2
    reach = TRUNCATION * radius
    sin, cos = np.sin(angle), np.cos(angle)
    first_row, last_row = max(0, int(middle + y - reach)), min(size - 1, int(middle + y + reach) + 1)
    first, last = max(0, int(middle + x - reach)), min(size - 1, int(middle + x + reach) + 1)
    thin = min(max(int(np.ceil(2.0 / (radius * axis_ratio))), 1), 4)
    for row in range(first_row, last_row + 1):
        for column in range(first, last + 1):
            dx, dy = column - middle - x, row - middle - y
            along, across = cos * dy - sin * dx, (-sin * dy - cos * dx) / axis_ratio
            distance = np.hypot(along, across)
            if distance > reach + 1.0 / axis_ratio:
                continue
            # The core of a steep profile changes within a pixel, the flank of a thin one too.
            near = dx * dx + dy * dy
            samples = thin
            if near < 0.6 and index > 1.5:
                samples = CUSP_SAMPLES
            elif near < 2.5:
                samples = CORE_SAMPLES
            elif near < 20.0 and index > 0.8:
                samples = max(thin, 3)
            elif distance > 3.0 * radius:
                samples = 1
            value = 0.0
            for i in range(samples):
                for j in range(samples):
                    sx, sy = dx + (j + 0.5) / samples - 0.5, dy + (i + 0.5) / samples - 0.5
                    r = np.hypot(cos * sy - sin * sx, (-sin * sy - cos * sx) / axis_ratio) / radius
                    if r < TRUNCATION:
                        value += np.exp(-b * r**power)
            value *= peak / (samples * samples)
            for band in range(3):
                planes[band, row, column] += flux[band] * value


@compiled
def add_gaussian(planes: BandPlanes, x: float, y: float, sigma: float, flux: Flux) -> None:
    """A round Gaussian: a star-forming knot, a piece of a tidal tail. `sigma` is at least a third of a pixel."""
    size = planes.shape[1]
    middle = (size - 1) / 2
    reach = 4.5 * sigma + 1.0
    sigma = np.hypot(sigma, 0.29)  # a pixel's own width, whose square is 1/12
    first_row, last_row = max(0, int(middle + y - reach)), min(size - 1, int(middle + y + reach) + 1)
    first, last = max(0, int(middle + x - reach)), min(size - 1, int(middle + x + reach) + 1)
    for row in range(first_row, last_row + 1):
        for column in range(first, last + 1):
            dx, dy = column - middle - x, row - middle - y
            value = np.exp(-0.5 * (dx * dx + dy * dy) / (sigma * sigma)) / (2 * np.pi * sigma * sigma)
            for band in range(3):
                planes[band, row, column] += flux[band] * value


@compiled
def bessel_i0(x: float) -> float:
    """Modified Bessel function of order 0, by its power series; for x below ten."""
    total, term = 1.0, 1.0
    for k in range(1, 40):
        term *= (x / (2 * k)) ** 2
        total += term
    return total


@compiled
def bessel_k1(x: float) -> float:
    """Modified Bessel function of the second kind, order 1 (Abramowitz & Stegun 1964, 9.8.7 and 9.8.8)."""
    if x <= 2.0:
        t = (x / 3.75) ** 2
        i1 = x * (0.5 + t * (0.87890594 + t * (0.51498869 + t * (0.15084934 + t * (0.02658733 + t * 0.00301532)))))
        s = x * x / 4
        rest = 1.0 + s * (
            0.15443144 + s * (-0.67278579 + s * (-0.18156897 + s * (-0.01919402 + s * (-0.00110404 - s * 0.00004686))))
        )
        return float(np.log(x / 2) * i1 + rest / x)
    s = 2.0 / x
    rest = 1.25331414 + s * (
        0.23498619 + s * (-0.0365562 + s * (0.01504268 + s * (-0.00780353 + s * (0.00325614 - s * 0.00068245))))
    )
    return float(np.exp(-x) / np.sqrt(x) * rest)


@compiled
def arm_modulation(
    radius: float, theta: float, arms: int, pitch: float, phase: float, strength: float, sharpness: float, inner: float
) -> float:
    """Brightness of logarithmic spiral arms over the smooth disc, with mean 1 around every circle.

    A von Mises profile across each arm; the arms begin at `inner`, in the units of `radius`, and have `strength` 0 to
    1. A fainter, finer spiral stands for the spurs between them.
    """
    if strength <= 0.0 or radius <= 0.3 * inner:
        return 1.0
    rise = min(1.0, max(0.0, (radius / inner - 0.3) / 0.7))
    wound = theta - phase - np.log(radius / inner) / np.tan(pitch)
    arm = np.exp(sharpness * np.cos(arms * wound)) / bessel_i0(sharpness)
    spur = np.cos((2 * arms + 1) * (wound + 0.6 * np.log(radius / inner)) + 1.7)
    # The harmonics of the arms are multiples of their number, which the spurs' is not: the mean stays 1.
    return float(1.0 + strength * rise * (arm * (1.0 + 0.25 * spur) - 1.0))


@compiled
def add_disc(
    planes: BandPlanes,
    x: float,
    y: float,
    radius: float,
    axis_ratio: float,
    angle: float,
    flux: Flux,
    arms: int,
    pitch: float,
    phase: float,
    strength: float,
    sharpness: float,
    inner: float,
) -> None:
    """An exponential disc seen at a slant with spiral arms in its plane; `inner` is in half-light radii."""
    size = planes.shape[1]
    middle = (size - 1) / 2
    b = _B[EXPONENTIAL]
    peak = 1.0 / (_TOTAL[EXPONENTIAL] * radius * radius * axis_ratio)
    sin, cos = np.sin(angle), np.cos(angle)
    for row in range(size):
        for column in range(size):
            dx, dy = column - middle - x, row - middle - y
            along, across = cos * dy - sin * dx, (-sin * dy - cos * dx) / axis_ratio
            if np.hypot(along, across) > TRUNCATION * radius + 1.0 / axis_ratio:
                continue
            near = dx * dx + dy * dy
            samples = 5 if near < 2.5 else (3 if near < 12.0 or radius * axis_ratio < 2.0 else 1)
            value = 0.0
            for i in range(samples):
                for j in range(samples):
                    sx, sy = dx + (j + 0.5) / samples - 0.5, dy + (i + 0.5) / samples - 0.5
                    along, across = cos * sy - sin * sx, (-sin * sy - cos * sx) / axis_ratio
                    r = np.hypot(along, across) / radius
                    if r < TRUNCATION:
                        theta = np.arctan2(across, along) if strength > 0.0 else 0.0
                        value += np.exp(-b * r) * arm_modulation(
                            r, theta, arms, pitch, phase, strength, sharpness, inner
                        )
            value *= peak / (samples * samples)
            for band in range(3):
                planes[band, row, column] += flux[band] * value


@compiled
def add_bar(
    planes: BandPlanes, x: float, y: float, length: float, phase: float, axis_ratio: float, angle: float, flux: Flux
) -> None:
    """A bar in the plane of a disc of that axis ratio, turned by `phase` in the plane.

    A Gaussian 3.5 times as long as wide; `length` is its half length, two sigma.
    """
    size = planes.shape[1]
    middle = (size - 1) / 2
    major, minor = max(0.5 * length, 0.5), max(0.143 * length, 0.5)
    peak = 1.0 / (2 * np.pi * major * minor * axis_ratio)
    sin, cos, sin_bar, cos_bar = np.sin(angle), np.cos(angle), np.sin(phase), np.cos(phase)
    samples = 3
    for row in range(size):
        for column in range(size):
            dx, dy = column - middle - x, row - middle - y
            if dx * dx + dy * dy > (5.0 * major + 1.0) ** 2:
                continue
            value = 0.0
            for i in range(samples):
                for j in range(samples):
                    sx, sy = dx + (j + 0.5) / samples - 0.5, dy + (i + 0.5) / samples - 0.5
                    along, across = cos * sy - sin * sx, (-sin * sy - cos * sx) / axis_ratio
                    u, v = (cos_bar * along + sin_bar * across) / major, (cos_bar * across - sin_bar * along) / minor
                    value += np.exp(-0.5 * (u * u + v * v))
            value *= peak / (samples * samples)
            for band in range(3):
                planes[band, row, column] += flux[band] * value


@compiled
def add_ring(
    planes: BandPlanes,
    x: float,
    y: float,
    radius: float,
    width: float,
    axis_ratio: float,
    angle: float,
    phase: float,
    clumps: float,
    flux: Flux,
) -> None:
    """A circular ring seen at a slant, Gaussian across, uneven around by `clumps`, 0 to 1."""
    size = planes.shape[1]
    middle = (size - 1) / 2
    s = radius / width
    around = width * width * np.exp(-0.5 * s * s) + radius * width * np.sqrt(np.pi / 2) * (1 + math.erf(s / np.sqrt(2)))
    peak = 1.0 / (2 * np.pi * around * axis_ratio)
    sin, cos = np.sin(angle), np.cos(angle)
    samples = 2
    for row in range(size):
        for column in range(size):
            dx, dy = column - middle - x, row - middle - y
            along, across = cos * dy - sin * dx, (-sin * dy - cos * dx) / axis_ratio
            if abs(np.hypot(along, across) - radius) > 4.5 * width + 1.0 / axis_ratio:
                continue
            value = 0.0
            for i in range(samples):
                for j in range(samples):
                    sx, sy = dx + (j + 0.5) / samples - 0.5, dy + (i + 0.5) / samples - 0.5
                    along, across = cos * sy - sin * sx, (-sin * sy - cos * sx) / axis_ratio
                    u = (np.hypot(along, across) - radius) / width
                    theta = np.arctan2(across, along)
                    uneven = 1.0 + clumps * (0.6 * np.cos(theta + phase) + 0.4 * np.cos(4 * theta + 2.3 * phase))
                    value += np.exp(-0.5 * u * u) * uneven
            value *= peak / (samples * samples)
            for band in range(3):
                planes[band, row, column] += flux[band] * value


@compiled
def add_edge_on(
    planes: BandPlanes, x: float, y: float, scale: float, height: float, angle: float, dust: float, flux: Flux
) -> None:
    """An exponential disc seen from its edge: (R/h) K1(R/h) sech²(z/z0) (van der Kruit & Searle 1981, A&A 95, 105).

    `scale` is h, `height` z0. A lane of dust in the plane takes light of optical depth `dust` from the middle, more
    from blue than from red bands; the rest is scaled up, so that `flux` is what is seen.
    """
    size = planes.shape[1]
    middle = (size - 1) / 2
    sin, cos = np.sin(angle), np.cos(angle)
    samples = min(max(int(np.ceil(3.0 / height)), 1), 5)
    dusty = np.zeros_like(planes)
    clear_sum, dusty_sum = 0.0, np.zeros(3)
    opacity = dust * np.array([1.0, 0.72, 0.42])
    for row in range(size):
        for column in range(size):
            dx, dy = column - middle - x, row - middle - y
            for i in range(samples):
                for j in range(samples):
                    sx, sy = dx + (j + 0.5) / samples - 0.5, dy + (i + 0.5) / samples - 0.5
                    r, z = abs(cos * sy - sin * sx) / scale, (-sin * sy - cos * sx) / height
                    if r > 7.0 or abs(z) > 9.0:
                        continue
                    value = (r * bessel_k1(r) if r > 1e-3 else 1.0) / np.cosh(z) ** 2
                    value /= 2 * np.pi * scale * height * samples * samples
                    clear_sum += value
                    lane = np.exp(-0.5 * (z / 0.35) ** 2 - r / 1.6)
                    for band in range(3):
                        seen = value * np.exp(-opacity[band] * lane)
                        dusty[band, row, column] += seen
                        dusty_sum[band] += seen
    for band in range(3):
        share = flux[band] * clear_sum / max(dusty_sum[band], 1e-12)
        for row in range(size):
            for column in range(size):
                planes[band, row, column] += share * dusty[band, row, column]
