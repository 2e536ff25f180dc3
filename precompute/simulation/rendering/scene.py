"""The sky around a simulated galaxy before the atmosphere: what lies in the field, component by component.

Stars are points: they wait in a list until the seeing is known. Everything is drawn from streams of the galaxy's own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .lens import add_lensed
from .parameters import (
    BARRED,
    BLEND,
    DISC,
    EDGE_ON,
    ELLIPTICAL,
    LENS,
    MERGER,
    PIXEL_ARCSEC,
    PURPOSE_SCENE,
    RING,
    SATURATED,
    SPIRAL,
    STAR,
    red_of_z,
    star_colours,
    typical_radius,
)
from .profiles import BandPlanes, Flux, add_bar, add_disc, add_edge_on, add_gaussian, add_ring, add_sersic
from .random_streams import Stream, compiled, normal, open_stream, poisson, power_law_magnitude, uniform

MAX_STARS = 64
# Neighbours in the field: how many an arcmin² down to the faintest, and how their counts grow.
NEIGHBOR_DENSITY = 26.0
NEIGHBOR_MAG_Z = (17.0, 23.2)
NEIGHBOR_SLOPE = 0.30
NEIGHBOR_STAR_SHARE = 0.15
# What is drawn around the middle whatever the size of the picture, so that a larger picture shows the same sky.
FIELD_ARCSEC = 72.0
CLEAR_ARCSEC = 2.6  # around the galaxy: nearer, it would be a blend


@compiled
def draw_scene(seed: int, g: Any, planes: BandPlanes, stars: NDArray[np.float64], alone: bool) -> int:
    """Add the galaxy, and unless `alone` everything else in its field, to planes in nanomaggies a pixel.

    Parameters
    ----------
    seed : int
    g : record of dtype PARAMETERS
    planes : ndarray of shape (3, size, size), float32
        In g, r, z, zero on entry.
    stars : ndarray of shape (MAX_STARS, 5), float64
        Filled with x, y (pixels from the middle, y up) and flux in g, r, z.
    alone : bool

    Returns
    -------
    int
        Stars that were filled in.
    """
    stream = open_stream(seed, g.number, PURPOSE_SCENE)
    flux = _flux(g.mag_z, g.mag_r - g.mag_z, g.mag_g - g.mag_r)
    x, y, radius = g.x / PIXEL_ARCSEC, g.y / PIXEL_ARCSEC, g.radius / PIXEL_ARCSEC
    count = 0
    if g.shape == STAR:
        count = _add_star(stars, count, x, y, flux)
    elif g.true_class == MERGER:
        _add_merger(stream, g, x, y, radius, flux, planes)
    else:
        _add_galaxy(stream, g, int(g.shape), x, y, radius, g.axis_ratio, g.angle, flux, planes)
    if alone:
        return count
    if g.true_class == LENS:
        _add_arcs(stream, g, x, y, planes)
    elif g.true_class == BLEND:
        count = _add_blended(stream, g, x, y, planes, stars, count)
    elif g.true_class == SATURATED:
        g_r, r_z = star_colours(uniform(stream, 0.0, 0.7))
        bright = _flux(g.mag_z + g.other_mag, r_z, g_r)
        count = _add_star(stars, count, x + g.other_x / PIXEL_ARCSEC, y + g.other_y / PIXEL_ARCSEC, bright)
    return _add_field(stream, g, planes, stars, count)


@compiled
def _flux(mag_z: float, r_z: float, g_r: float) -> Flux:
    out = np.empty(3)
    out[0] = 10.0 ** (0.4 * (22.5 - mag_z - r_z - g_r))
    out[1] = 10.0 ** (0.4 * (22.5 - mag_z - r_z))
    out[2] = 10.0 ** (0.4 * (22.5 - mag_z))
    return out


@compiled
def _add_star(stars: NDArray[np.float64], count: int, x: float, y: float, flux: Flux) -> int:
    if count == len(stars):
        return count
    stars[count, 0], stars[count, 1] = x, y
    stars[count, 2:] = flux
    return count + 1


@compiled
def _old_stars(flux: Flux, share: float) -> Flux:
    """The flux of an old population with that share of the r band: redder than the whole, the less of it there is."""
    redder = 0.35 * (1.0 - share)
    out = np.empty(3)
    out[0] = share * flux[0] * 10.0 ** (-0.4 * redder)
    out[1] = share * flux[1]
    out[2] = share * flux[2] * 10.0 ** (0.12 * redder)
    return out


@compiled
def _young_stars(flux: Flux, share: float) -> Flux:
    """The flux of a young population with that share of the g band."""
    out = np.empty(3)
    out[0], out[1], out[2] = share * flux[0], 0.72 * share * flux[1], 0.45 * share * flux[2]
    return out


@compiled
def _add_galaxy(
    stream: Stream,
    g: Any,
    shape: int,
    x: float,
    y: float,
    radius: float,
    axis_ratio: float,
    angle: float,
    flux: Flux,
    planes: BandPlanes,
) -> None:
    """A galaxy of a common class or a ring, at a place and of a size; bands add up to `flux`."""
    if shape in (ELLIPTICAL, LENS):
        add_sersic(planes, x, y, radius, axis_ratio, angle, g.index, flux)
        return
    bulge = _old_stars(flux, g.bulge)
    disc = flux - bulge
    roundness = min(1.0, axis_ratio + 0.35)
    if shape == EDGE_ON:
        # Half of the light of such a disc, projected along its length, lies within 1.35 h or so of the middle.
        scale = radius / 1.35
        add_sersic(planes, x, y, 0.18 * radius + 0.3, 0.7, angle, min(g.index, 2.5), bulge)
        add_edge_on(planes, x, y, scale, max(1.5 * axis_ratio * scale, 0.35), angle, 2.8 * g.strength, disc)
        return
    add_sersic(planes, x, y, 0.22 * radius + 0.4, roundness, angle, g.index, bulge)
    if shape == RING:
        ring = (0.35 + 0.5 * g.strength) * disc
        width = uniform(stream, 0.16, 0.34)
        clumps = uniform(stream, 0.1, 0.75)
        knots = _young_stars(ring, 0.25 * clumps)
        around = g.feature * radius
        add_ring(planes, x, y, around, width * radius, axis_ratio, angle, g.phase, clumps, ring - knots)
        _add_ring_knots(stream, x, y, around, 0.5 * width * radius, axis_ratio, angle, knots, planes)
        add_sersic(planes, x, y, 0.9 * radius, roundness, angle, 1.0, disc - ring)
        return
    if shape == DISC:
        add_sersic(planes, x, y, radius, axis_ratio, angle, 1.0, disc)
        return
    inner = 0.45
    if shape == BARRED:
        inner = g.feature
        bar = _old_stars(disc, 0.10 + 0.22 * g.strength)
        add_bar(planes, x, y, g.feature * radius, g.phase, axis_ratio, angle, bar)
        disc = disc - bar
    contrast = 0.30 + 0.65 * g.strength if shape == SPIRAL else 0.25 + 0.55 * uniform(stream, 0.0, 1.0)
    knots = _young_stars(disc, 0.22 * contrast)
    sharpness = uniform(stream, 1.2, 2.8)
    add_disc(
        planes, x, y, radius, axis_ratio, angle, disc - knots, g.arms, g.pitch, g.phase, contrast, sharpness, inner
    )
    _add_arm_knots(stream, g, x, y, radius, axis_ratio, angle, inner, knots, planes)


@compiled
def _place_in_disc(
    x: float, y: float, along: float, across: float, axis_ratio: float, angle: float
) -> tuple[float, float]:
    """A place in the plane of a disc, as it is seen."""
    sin, cos = np.sin(angle), np.cos(angle)
    return x - sin * along - cos * across * axis_ratio, y + cos * along - sin * across * axis_ratio


@compiled
def _add_arm_knots(
    stream: Stream,
    g: Any,
    x: float,
    y: float,
    radius: float,
    axis_ratio: float,
    angle: float,
    inner: float,
    flux: Flux,
    planes: BandPlanes,
) -> None:
    """Star-forming knots along the arms, the brightest a few times brighter than the mean."""
    count = 14 + int(26 * g.strength)
    weight = np.empty(count)
    for i in range(count):
        weight[i] = -np.log(1.0 - uniform(stream, 0.0, 1.0)) + 0.1
    weight /= weight.sum()
    for i in range(count):
        r = inner + (2.6 - inner) * uniform(stream, 0.0, 1.0) ** 1.3
        arm = int(uniform(stream, 0.0, g.arms))
        theta = g.phase + np.log(r / inner) / np.tan(g.pitch) + 2 * np.pi * arm / g.arms + 0.22 * normal(stream)
        place = _place_in_disc(x, y, radius * r * np.cos(theta), radius * r * np.sin(theta), axis_ratio, angle)
        add_gaussian(planes, place[0], place[1], max(0.06 * radius, 0.6), weight[i] * flux)


@compiled
def _add_ring_knots(
    stream: Stream,
    x: float,
    y: float,
    radius: float,
    scatter: float,
    axis_ratio: float,
    angle: float,
    flux: Flux,
    planes: BandPlanes,
) -> None:
    for _ in range(12):
        r = radius + scatter * normal(stream)
        theta = uniform(stream, 0.0, 2.0 * np.pi)
        place = _place_in_disc(x, y, r * np.cos(theta), r * np.sin(theta), axis_ratio, angle)
        add_gaussian(planes, place[0], place[1], max(scatter, 0.6), flux / 12)


@compiled
def _add_merger(stream: Stream, g: Any, x: float, y: float, radius: float, flux: Flux, planes: BandPlanes) -> None:
    """Two galaxies in contact, each disturbed, with tidal tails and a bridge of light between them."""
    tails = (0.08 + 0.22 * g.strength) * flux
    second = (flux - tails) / (1.0 + 10.0 ** (0.4 * g.other_mag))
    first = flux - tails - second
    dx, dy = g.other_x / PIXEL_ARCSEC, g.other_y / PIXEL_ARCSEC
    small = radius * 10.0 ** (-0.2 * max(g.other_mag, 0.0))
    shape = SPIRAL if uniform(stream, 0.0, 1.0) < 0.5 else DISC
    _add_galaxy(stream, g, shape, x, y, 0.8 * radius, g.axis_ratio, g.angle, first, planes)
    ratio, turn = uniform(stream, 0.4, 1.0), uniform(stream, 0.0, np.pi)
    shape = ELLIPTICAL if uniform(stream, 0.0, 1.0) < 0.35 else DISC
    _add_galaxy(stream, g, shape, x + dx, y + dy, 0.75 * small, ratio, turn, second, planes)
    heading = np.arctan2(dy, dx)
    winding = 1.0 if g.pitch > 0 else -1.0
    share = uniform(stream, 0.45, 0.75)
    _add_tail(stream, x, y, heading + np.pi, winding, radius, share * tails, planes)
    _add_tail(stream, x + dx, y + dy, heading, winding, small, (0.85 - share) * tails, planes)
    for i in range(6):
        t = (i + 0.5) / 6
        add_gaussian(planes, x + t * dx, y + t * dy, max(0.28 * radius, 0.7), 0.025 * tails)


@compiled
def _add_tail(
    stream: Stream, x: float, y: float, heading: float, winding: float, radius: float, flux: Flux, planes: BandPlanes
) -> None:
    """A tail that leaves a galaxy and curves, fainter and wider outwards."""
    pieces = 28
    length = uniform(stream, 2.6, 5.2)
    curl = winding * uniform(stream, 0.6, 2.2)
    total = 0.0
    for i in range(pieces):
        total += np.exp(-1.3 * i / pieces)
    for i in range(pieces):
        t = i / pieces
        r = radius * (0.7 + length * t)
        theta = heading + curl * t
        sigma = max(radius * (0.17 + 0.28 * t), 0.7)
        add_gaussian(planes, x + r * np.cos(theta), y + r * np.sin(theta), sigma, np.exp(-1.3 * t) / total * flux)


@compiled
def _add_arcs(stream: Stream, g: Any, x: float, y: float, planes: BandPlanes) -> None:
    """The images of a blue galaxy behind a lens: a disc and a brighter knot in it."""
    einstein = g.feature / PIXEL_ARCSEC
    ratio = min(0.5 + 0.5 * g.axis_ratio, 0.97)
    g_r = uniform(stream, -0.05, 0.5)
    flux = _flux(g.other_mag - 0.5 * g_r, 0.5 * g_r, g_r)
    source_x, source_y = g.other_x * einstein, g.other_y * einstein
    radius = uniform(stream, 0.18, 0.45) / PIXEL_ARCSEC
    flat, turn = uniform(stream, 0.4, 1.0), uniform(stream, 0.0, np.pi)
    angle = g.angle + 0.12 * normal(stream)
    add_lensed(planes, x, y, einstein, ratio, angle, source_x, source_y, radius, flat, turn, 0.75 * flux)
    knot_x, knot_y = source_x + 0.6 * radius * normal(stream), source_y + 0.6 * radius * normal(stream)
    add_lensed(planes, x, y, einstein, ratio, angle, knot_x, knot_y, 0.25 * radius, 1.0, 0.0, 0.25 * flux)


@compiled
def _add_blended(
    stream: Stream, g: Any, x: float, y: float, planes: BandPlanes, stars: NDArray[np.float64], count: int
) -> int:
    """One galaxy or star over the flank of the object, sometimes two."""
    dx, dy, delta = g.other_x / PIXEL_ARCSEC, g.other_y / PIXEL_ARCSEC, g.other_mag
    others = 1 if uniform(stream, 0.0, 1.0) < 0.75 else 2
    for _ in range(others):
        if uniform(stream, 0.0, 1.0) < 0.4:
            g_r, r_z = star_colours(uniform(stream, 0.0, 1.0))
            count = _add_star(stars, count, x + dx, y + dy, _flux(g.mag_z + delta, r_z, g_r))
        else:
            _add_neighbor(stream, x + dx, y + dy, g.mag_z + delta, uniform(stream, 0.3, 1.3), planes)
        turn, farther = uniform(stream, 1.5, 4.5), uniform(stream, 0.9, 1.6)
        dx, dy = farther * (np.cos(turn) * dx - np.sin(turn) * dy), farther * (np.sin(turn) * dx + np.cos(turn) * dy)
        delta += uniform(stream, 0.0, 1.0)
    return count


@compiled
def _add_neighbor(stream: Stream, x: float, y: float, mag_z: float, colour: float, planes: BandPlanes) -> None:
    radius = min(max(typical_radius(mag_z) * np.exp(0.3 * normal(stream)), 0.22), 6.0) / PIXEL_ARCSEC
    index = 4.0 if colour > 0.85 else 1.0
    ratio = 0.25 + 0.75 * uniform(stream, 0.0, 1.0) ** 0.7
    add_sersic(planes, x, y, radius, ratio, uniform(stream, 0.0, np.pi), index, _flux(mag_z, red_of_z(colour), colour))


@compiled
def _add_field(stream: Stream, g: Any, planes: BandPlanes, stars: NDArray[np.float64], count: int) -> int:
    """Unrelated neighbours everywhere; around some ellipticals and lenses the red members of their group."""
    half = FIELD_ARCSEC / 2 / PIXEL_ARCSEC
    reach = planes.shape[1] / 2 + 12.0
    for _ in range(poisson(stream, NEIGHBOR_DENSITY * (FIELD_ARCSEC / 60.0) ** 2)):
        x, y = uniform(stream, -half, half), uniform(stream, -half, half)
        mag_z = power_law_magnitude(stream, NEIGHBOR_MAG_Z[0], NEIGHBOR_MAG_Z[1], NEIGHBOR_SLOPE)
        is_star = uniform(stream, 0.0, 1.0) < NEIGHBOR_STAR_SHARE
        colour = uniform(stream, 0.0, 1.0)
        # Each has a stream of its own, so that one that is left out does not change the next.
        own = open_stream(g.number, int(colour * 2**30), PURPOSE_SCENE)
        is_near = np.hypot(x, y) * PIXEL_ARCSEC < CLEAR_ARCSEC and mag_z < g.mag_z + 3.5
        if is_near or max(abs(x), abs(y)) > reach:
            continue
        if is_star:
            g_r, r_z = star_colours(colour)
            count = _add_star(stars, count, x, y, _flux(mag_z, r_z, g_r))
        else:
            _add_neighbor(own, x, y, mag_z, 0.25 + 1.1 * colour, planes)
    rich = uniform(stream, 0.0, 1.0)
    if (g.shape == ELLIPTICAL and rich < 0.25) or (g.shape == LENS and rich < 0.5):
        for _ in range(2 + poisson(stream, 3.0)):
            angle = uniform(stream, 0.0, 2.0 * np.pi)
            distance = (CLEAR_ARCSEC + 18.0 * uniform(stream, 0.0, 1.0) ** 1.2) / PIXEL_ARCSEC
            mag_z = g.mag_z + uniform(stream, 0.6, 3.2)
            colour = g.mag_g - g.mag_r + 0.05 * normal(stream)
            _add_neighbor(stream, distance * np.cos(angle), distance * np.sin(angle), mag_z, colour, planes)
    return count
