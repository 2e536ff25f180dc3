"""Galaxies of the rendered survey: classes, how rare each is, and the parameters that an image is drawn from.

A galaxy's parameters come from its own stream (`simulated_random`), so any can be drawn again from the survey's seed
and its number alone. Numbers here are in the manner of the Legacy Surveys (Dey et al. 2019, AJ 157, 168), not theirs.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .random_streams import compiled, normal, open_stream, poisson, power_law_magnitude, uniform

BANDS = ("g", "r", "z")
PIXEL_ARCSEC = 0.262

BRIGHTEST_MAG_Z = 14.5
FAINTEST_MAG_Z = 20.0
COUNTS_SLOPE = 0.4  # of log counts with magnitude; Euclid's 0.6 would leave hardly a galaxy that shows its shape

# One exposure: sky noise a pixel (nanomaggies) and electrons a nanomaggie; full width of the seeing, arcsec.
SKY_NOISE = np.array([0.0062, 0.0140, 0.0340])
ELECTRONS = np.array([2500.0, 3300.0, 2900.0])
SEEING_ARCSEC = np.array([1.29, 1.18, 1.11])
MEAN_EXPOSURES = 2.2  # beyond the first

PURPOSE_PARAMETERS, PURPOSE_SCENE, PURPOSE_NOISE, PURPOSE_CATALOG, PURPOSE_EMBEDDING = range(5)


class ObjectClass(NamedTuple):
    """A class of objects.

    Attributes
    ----------
    name : str
    share : float
        Of all rows.
    colour, colour_scatter : float
        Mean g − r at z = 0.1 and its scatter, mag.
    redshift : float
        Median at r = 17.5.
    size : float
        Half-light radius over that of a typical galaxy of its magnitude.
    bulge : float
        Mean share of the bulge in the r band.
    is_artefact : bool
        The image is spoilt; the object in it is an ordinary galaxy.
    """

    name: str
    share: float
    colour: float
    colour_scatter: float
    redshift: float
    size: float
    bulge: float
    is_artefact: bool = False


CLASSES = (
    ObjectClass("elliptical", 0.280, 0.92, 0.05, 0.14, 0.95, 1.0),
    ObjectClass("disc", 0.247, 0.58, 0.12, 0.10, 1.10, 0.20),
    ObjectClass("edge-on", 0.110, 0.72, 0.12, 0.10, 1.30, 0.15),
    ObjectClass("spiral", 0.180, 0.54, 0.10, 0.08, 1.40, 0.15),
    ObjectClass("barred", 0.070, 0.64, 0.10, 0.08, 1.40, 0.12),
    ObjectClass("ring", 0.004, 0.55, 0.12, 0.08, 1.00, 0.35),
    ObjectClass("merger", 0.016, 0.55, 0.15, 0.10, 1.00, 0.25),
    ObjectClass("lens", 0.001, 1.00, 0.06, 0.35, 1.05, 1.0),
    ObjectClass("star", 0.030, 0.80, 0.40, 0.00, 1.00, 1.0),
    ObjectClass("trail", 0.003, 0.60, 0.15, 0.10, 1.00, 0.3, True),
    ObjectClass("saturated", 0.005, 0.60, 0.15, 0.10, 1.00, 0.3, True),
    ObjectClass("bad column", 0.004, 0.60, 0.15, 0.10, 1.00, 0.3, True),
    ObjectClass("blend", 0.050, 0.65, 0.15, 0.10, 1.00, 0.3, False),
)
CLASS_NAMES = tuple(c.name for c in CLASSES)
(ELLIPTICAL, DISC, EDGE_ON, SPIRAL, BARRED, RING, MERGER, LENS, STAR, TRAIL, SATURATED, BAD_COLUMN, BLEND) = range(
    len(CLASSES)
)
IS_ARTEFACT = np.array([c.is_artefact for c in CLASSES])

_EDGES = np.cumsum([c.share for c in CLASSES])
_COLOUR, _SCATTER, _REDSHIFT, _SIZE, _BULGE = np.array(
    [(c.colour, c.colour_scatter, c.redshift, c.size, c.bulge) for c in CLASSES]
).T.copy()
# What an artefact or a blend hides, cumulative.
_HIDDEN = np.array([ELLIPTICAL, DISC, EDGE_ON, SPIRAL, BARRED])
_HIDDEN_EDGES = np.cumsum([0.32, 0.28, 0.12, 0.21, 0.07])

PARAMETERS = np.dtype(
    [
        ("number", np.int64),  # in the order of drawing: with the seed it names the galaxy
        ("true_class", np.uint8),
        ("shape", np.uint8),  # the class that its light has: its own, or what an artefact or a blend lies upon
        ("redshift", np.float64),
        ("mag_g", np.float64),  # as observed, behind the Galaxy's dust
        ("mag_r", np.float64),
        ("mag_z", np.float64),
        ("radius", np.float64),  # half-light radius along the major axis, arcsec
        ("index", np.float64),  # Sérsic index of the bulge
        ("bulge", np.float64),  # its share in r
        ("axis_ratio", np.float64),
        ("angle", np.float64),  # position angle, radians
        ("x", np.float64),  # the centre from the image's middle, arcsec
        ("y", np.float64),
        ("strength", np.float64),  # 0 to 1: how plain it is what gives the class its name
        ("pitch", np.float64),  # of spiral arms, radians; negative winds the other way
        ("arms", np.uint8),
        ("phase", np.float64),  # where arms and bars begin, in the plane of the disc
        ("feature", np.float64),  # radius of the ring, length of the bar, in half-light radii; Einstein radius, arcsec
        ("other_x", np.float64),  # companion from the centre, arcsec; source of a lens, in Einstein radii
        ("other_y", np.float64),
        ("other_mag", np.float64),  # companion minus the galaxy; source of a lens: unlensed r
        ("seeing_g", np.float64),  # full width at half maximum, arcsec
        ("seeing_r", np.float64),
        ("seeing_z", np.float64),
        ("exposures_g", np.uint8),
        ("exposures_r", np.uint8),
        ("exposures_z", np.uint8),
    ]
)
Parameters = NDArray[Any]  # structured, of dtype PARAMETERS


def draw_parameters(seed: int, numbers: NDArray[np.int64]) -> Parameters:
    """Parameters of galaxies, by their numbers; each as it is whichever others are asked for.

    Parameters
    ----------
    seed : int
        Of the survey.
    numbers : ndarray of shape (n,), int64

    Returns
    -------
    ndarray of shape (n,), dtype PARAMETERS
    """
    out = np.zeros(len(numbers), PARAMETERS)
    out["number"] = numbers
    _draw(seed, out)
    return out


def observed_magnitudes(parameters: Parameters) -> NDArray[np.float64]:
    """Observed AB magnitudes in g, r, z, shape (n, 3)."""
    return np.stack([parameters[f"mag_{band}"].astype(np.float64) for band in BANDS], axis=1)


def fluxes(parameters: Parameters) -> NDArray[np.float32]:
    """Observed fluxes in g, r, z, nanomaggies, shape (n, 3): the whole light of the object, without its neighbours."""
    flux: NDArray[np.float32] = (10 ** (0.4 * (22.5 - observed_magnitudes(parameters)))).astype(np.float32)
    return flux


@compiled
def _draw(seed: int, out: Parameters) -> None:
    for i in range(len(out)):
        _draw_one(open_stream(seed, out[i].number, PURPOSE_PARAMETERS), out[i])


@compiled
def pick_class(edges: NDArray[np.float64], u: float) -> int:
    """The class into which `u` falls, of cumulative shares."""
    return min(int(np.searchsorted(edges, u, side="right")), edges.size - 1)


@compiled
def typical_radius(mag_z: float) -> float:
    """Half-light radius of a typical galaxy, arcsec."""
    return float(10.0 ** (0.35 - 0.15 * (mag_z - 17.0)))


@compiled
def red_of_z(colour: float) -> float:
    """r − z of a galaxy of that g − r."""
    return -0.03 + 0.70 * colour


@compiled
def star_colours(u: float) -> tuple[float, float]:
    """g − r and r − z along the stellar locus, u from 0 (turn-off) to 1 (late M)."""
    g_r = 0.25 + 1.25 * min(1.0, 1.4 * u)
    return g_r, 0.45 * g_r - 0.08 + 1.1 * max(0.0, u - 0.6) / 0.4


@compiled
def _draw_one(stream: NDArray[np.uint64], g: Any) -> None:
    kind = pick_class(_EDGES, uniform(stream, 0.0, _EDGES[-1]))
    shape = kind
    if kind >= TRAIL:
        shape = _HIDDEN[pick_class(_HIDDEN_EDGES, uniform(stream, 0.0, 1.0))]
    g.true_class, g.shape = kind, shape

    mag_z = power_law_magnitude(stream, BRIGHTEST_MAG_Z, FAINTEST_MAG_Z, COUNTS_SLOPE)
    if kind == LENS:
        mag_z = 20.0 - 2.8 * uniform(stream, 0.0, 1.0) ** 1.3
    if kind == STAR:
        colour, r_z = star_colours(uniform(stream, 0.0, 1.0))
        redshift = 0.0
    else:
        redshift = _REDSHIFT[shape] * 10.0 ** (0.15 * (mag_z - 17.0)) * np.exp(0.25 * normal(stream))
        redshift = max(redshift, 0.003)
        colour = _COLOUR[shape] + 1.2 * (redshift - 0.1) + _SCATTER[shape] * normal(stream)
        colour = min(max(colour, 0.05), 1.75)
        r_z = red_of_z(colour) + 0.05 * normal(stream)
    g.redshift = redshift
    g.mag_z, g.mag_r, g.mag_g = mag_z, mag_z + r_z, mag_z + r_z + colour

    g.radius = min(max(typical_radius(mag_z) * _SIZE[shape] * np.exp(0.28 * normal(stream)), 0.25), 9.0)
    g.angle = uniform(stream, 0.0, np.pi)
    g.index = min(max(2.2 + 1.1 * normal(stream), 1.0), 4.0)
    g.bulge = min(max(_BULGE[shape] * np.exp(0.5 * normal(stream)), 0.02), 0.7)
    g.strength = uniform(stream, 0.0, 1.0) ** 0.8
    g.phase = uniform(stream, 0.0, 2.0 * np.pi)
    g.pitch = np.radians(min(max(18.0 + 6.0 * normal(stream), 8.0), 38.0)) * (
        1.0 if uniform(stream, 0.0, 1.0) < 0.5 else -1.0
    )
    arms = uniform(stream, 0.0, 1.0)
    g.arms = 2 if arms < 0.72 else (3 if arms < 0.9 else 4)
    slant = uniform(stream, 0.0, 1.0)
    if shape in (ELLIPTICAL, LENS):
        g.index = min(max(4.0 + 0.8 * normal(stream), 2.2), 5.0)
        g.bulge = 1.0
        g.axis_ratio = 1.0 - 0.55 * slant**1.6
    elif shape == DISC:
        g.axis_ratio = np.sqrt(0.28**2 + (1 - 0.28**2) * slant**2)
    elif shape == EDGE_ON:
        g.axis_ratio = 0.10 + 0.14 * slant
    else:
        g.axis_ratio = 0.38 + 0.62 * np.sqrt(slant)
    g.x, g.y = 0.08 * normal(stream), 0.08 * normal(stream)

    direction = uniform(stream, 0.0, 2.0 * np.pi)
    distance = 0.0
    if shape == BARRED:
        g.feature = uniform(stream, 0.65, 1.15)
        g.arms = 2
    if kind == RING:
        g.feature = uniform(stream, 1.5, 2.6)
        g.axis_ratio = 0.5 + 0.5 * np.sqrt(slant)
    elif kind == MERGER:
        distance = uniform(stream, 1.2, 2.8) * g.radius
        g.other_mag = uniform(stream, -0.1, 1.4)
    elif kind == BLEND:
        distance = uniform(stream, 1.3, 4.2)
        g.other_mag = uniform(stream, -0.6, 1.3)
    elif kind == SATURATED:
        distance = uniform(stream, 2.5, 12.0)
        g.other_mag = uniform(stream, 10.5, 14.5) - mag_z
    elif kind == LENS:
        g.feature = 1.2 + 1.9 * uniform(stream, 0.0, 1.0) ** 1.4
        # Inside the caustics four images and rings, farther out an arc with its counter-image.
        distance = 0.45 * np.sqrt(uniform(stream, 0.0, 1.0))
        g.other_mag = uniform(stream, 21.2, 23.4)
    g.other_x, g.other_y = distance * np.cos(direction), distance * np.sin(direction)

    common = np.exp(0.10 * normal(stream))
    g.seeing_g = SEEING_ARCSEC[0] * common * np.exp(0.06 * normal(stream))
    g.seeing_r = SEEING_ARCSEC[1] * common * np.exp(0.06 * normal(stream))
    g.seeing_z = SEEING_ARCSEC[2] * common * np.exp(0.06 * normal(stream))
    g.exposures_g = 1 + poisson(stream, MEAN_EXPOSURES)
    g.exposures_r = 1 + poisson(stream, MEAN_EXPOSURES)
    g.exposures_z = 1 + poisson(stream, MEAN_EXPOSURES)
