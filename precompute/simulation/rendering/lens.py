"""Gravitational lenses: a singular isothermal ellipsoid bends the light of a source behind it.

Kormann, Schneider & Bartelmann 1994 (A&A 284, 285): surface density κ = b √q / (2 √(q² x² + y²)) with x along the major
axis of the density, b the Einstein radius, q the axis ratio (they write f, and lay x along the minor axis). Its
deflection (their eq. 27a) is analytic, so each pixel is traced to the source plane without a table.
"""

from __future__ import annotations

import numpy as np

from .profiles import BandPlanes, Flux
from .random_streams import compiled

SAMPLES = 4  # of a pixel and axis: arcs are thinner than pixels
REACH = 3.2  # Einstein radii; beyond, images are too faint to be seen
SOURCE_B = 1.6783469900166605  # of an exponential profile: half of the light within the half-light radius
ROUND = 0.999


@compiled
def deflection(x: float, y: float, einstein: float, axis_ratio: float) -> tuple[float, float]:
    """Reduced deflection angle at a place of the image plane, in the units of the Einstein radius.

    x runs along the major axis of the density. The source lies at (x, y) − deflection.
    """
    radius = np.hypot(x, y)
    if radius < 1e-12:
        return 0.0, 0.0
    if axis_ratio > ROUND:
        return einstein * x / radius, einstein * y / radius
    flattening = np.sqrt(1.0 - axis_ratio * axis_ratio)
    scale = einstein * np.sqrt(axis_ratio) / flattening
    return scale * np.arcsin(flattening * x / radius), scale * np.arcsinh(flattening / axis_ratio * y / radius)


@compiled
def add_lensed(
    planes: BandPlanes,
    x: float,
    y: float,
    einstein: float,
    axis_ratio: float,
    angle: float,
    source_x: float,
    source_y: float,
    source_radius: float,
    source_ratio: float,
    source_angle: float,
    flux: Flux,
) -> None:
    """The images of an exponential galaxy of `flux`, as it would be seen without the lens at (x, y).

    Lengths are pixels, `source_x`, `source_y` along and across the lens's major axis, `angle` as in the profiles,
    `source_angle` in the lens's frame. Surface brightness is kept, so the images are brighter by the magnification.
    """
    size = planes.shape[1]
    middle = (size - 1) / 2
    peak = SOURCE_B * SOURCE_B / (2 * np.pi * source_radius * source_radius * source_ratio)
    sin, cos, source_sin, source_cos = np.sin(angle), np.cos(angle), np.sin(source_angle), np.cos(source_angle)
    for row in range(size):
        for column in range(size):
            dx, dy = column - middle - x, row - middle - y
            if dx * dx + dy * dy > (REACH * einstein + 3.0 * source_radius) ** 2:
                continue
            value = 0.0
            for i in range(SAMPLES):
                for j in range(SAMPLES):
                    sx, sy = dx + (j + 0.5) / SAMPLES - 0.5, dy + (i + 0.5) / SAMPLES - 0.5
                    along, across = cos * sy - sin * sx, -sin * sy - cos * sx
                    bent_x, bent_y = deflection(along, across, einstein, axis_ratio)
                    u, v = along - bent_x - source_x, across - bent_y - source_y
                    major = source_cos * u + source_sin * v
                    minor = (source_cos * v - source_sin * u) / source_ratio
                    value += np.exp(-SOURCE_B * np.hypot(major, minor) / source_radius)
            value *= peak / (SAMPLES * SAMPLES)
            for band in range(3):
                planes[band, row, column] += flux[band] * value
