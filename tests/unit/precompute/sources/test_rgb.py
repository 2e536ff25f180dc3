"""Colours of an image of three bands: the survey's own mapping."""

from __future__ import annotations

import math

import numpy as np

from precompute.sources.asinh_rgb import asinh_rgb


def rgb_of_pixel(g: float, r: float, z: float) -> list[int]:
    """Lupton et al. 2004 for one pixel, in plain arithmetic."""
    red, green, blue = 2.2 * z + 0.03, 3.4 * r + 0.03, 6.0 * g + 0.03
    intensity = (max(red, 0) + max(green, 0) + max(blue, 0)) / 3
    if intensity == 0:
        return [0, 0, 0]
    factor = math.asinh(20 * intensity) / math.sqrt(20) / intensity
    return [round(255 * min(1, max(0, band * factor))) for band in (red, green, blue)]


def test_rgb_is_the_surveys_asinh_mapping_pixel_by_pixel() -> None:
    rng = np.random.default_rng(0)
    grz = np.concatenate([rng.normal(0, 0.02, (3, 8, 8)), rng.lognormal(-2, 2, (3, 8, 8))], axis=2).astype(np.float32)
    grz[:, 0, 0] = -1
    rendered = asinh_rgb(grz)
    assert (rendered.shape, rendered.dtype) == ((8, 16, 3), np.uint8)
    for y, x in np.ndindex(8, 16):
        expected = rgb_of_pixel(*(float(band) for band in grz[:, y, x]))
        assert np.abs(rendered[y, x].astype(int) - expected).max() <= 1
    assert rendered[0, 0].tolist() == [0, 0, 0]


def test_rgb_keeps_the_ratios_of_the_bands_whatever_the_brightness() -> None:
    """What the mapping is for: a core twice as bright is no whiter."""
    scaled = np.array([0.2, 0.4, 0.8])[:, None, None] * np.array([0.25, 0.5])
    grz = (scaled - 0.03) / np.array([6.0, 3.4, 2.2])[:, None, None]
    rendered = asinh_rgb(grz).astype(float)
    np.testing.assert_allclose(rendered[0, :, 0] / rendered[0, :, 2], 4, rtol=0.05)
    assert (rendered[0, 1] > rendered[0, 0]).all()


def test_pixels_without_a_number_are_sky() -> None:
    grz = np.zeros((3, 2, 2))
    grz[:, 0, 0] = np.nan
    grz[1, 0, 1] = np.inf
    assert (asinh_rgb(grz) == asinh_rgb(np.zeros((3, 1, 1)))[0, 0]).all()
