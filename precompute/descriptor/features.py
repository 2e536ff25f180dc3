"""An embedding of galaxy images that needs no training: what a galaxy looks like, however it lies.

    images ─┬─ sky, noise ── ellipse of the central galaxy ─┬─ features on rings ── standardise, PCA ─┬─ unit length
            │                                               └─ structures ────────────── strengths ──┤
            └─ artefacts ─────────────────────────────────────────────────────────────── strengths ──┘

Every step turns, flips, brightens and shifts with the galaxy, so the features do not change:

1. The sky is subtracted channel by channel, its noise measured; the galaxy's own surface brightness sets the contrast.
2. Adaptive moments (Bernstein & Jarvis 2002, AJ 123, 583; Hirata & Seljak 2003, MNRAS 343, 459) find the centre and
   the ellipse of the source in the middle: a Gaussian weight is matched to the light until both agree.
3. The image is sampled on rings of that ellipse. In their outskirts, light that has no counterpart on the other side
   is a neighbour's and is replaced by the counterpart (the templates of the SDSS deblender: Lupton et al. 2001, ASP
   Conf. 238, 269).
4. Features, in blocks (`BLOCKS`): colour, size, axis ratio, structure (concentration and asymmetry: Conselice 2003,
   ApJS 147, 1; Gini and M20: Lotz, Primack & Madau 2004, AJ 128, 163), the profile of brightness, its azimuthal power
   (the amplitude of Fourier order m over a ring ignores where the ring starts), the profile of colour.
5. Structures that few have (`precompute.descriptor.structures`), by what is ordinary in the set, and artefacts of the
   whole image (`precompute.descriptor.artefacts`): what such features do not tell.
6. Each feature is standardised robustly, each block gets its weight, PCA reduces. Strengths of structures and artefacts
   stand beside the components, zero for most, and decide where one is plain. Rows get unit length.

`benchmarks/descriptor.py` measures how well a galaxy drawn anew finds its original.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

from ..errors import SourceError
from .artefacts import MEASURES, STRENGTHS, measure_artefacts, strengths
from .ellipse import ANGLES, fit_ellipse, sample_rings
from .sky_level import TINY, ImageFloats, Sky, fill_blank, mean_of_bands, subtract_sky
from .structures import AXES, STRUCTURES, axes_of_structures, fit_ramps, measure_structures, strengths_of_structures

VERSION = 5  # counts what changes embeddings: what was made with another is made anew
CHUNK = 64  # images at a time: their pixels stay in the cache, which halves the time
MIN_PIXELS = 24
DIMENSION = 32

RINGS = 8
SUBRINGS = 2
OUTER_RADIUS = 3.0  # in Gaussian radii of the ellipse, as all radii below
INNER_RADIUS = 1.5
SYMMETRIC_BEYOND = 1.5
STRUCTURE_RADIUS = 2.5
ORDERS = 5
NOISE_ORDERS = slice(10, 20)  # galaxies have no such structure on a ring: what power is there is noise
ARTEFACT_WEIGHT = 8.0  # of a plain artefact; the components of a galaxy are about 3 long
SOFTENING = 0.3  # of the inner surface brightness: linear below, logarithmic above
LIMIT = 3.0


class Block(NamedTuple):
    """Features that speak of one thing; `weight` is the root-mean-square that the block as a whole gets."""

    name: str
    features: tuple[str, ...]
    weight: float


def _rings(prefix: str) -> tuple[str, ...]:
    return tuple(f"{prefix}_{ring}" for ring in range(RINGS))


BLOCKS = (
    # Colour weighs more: it is what an eye, and a stellar population, tells apart first.
    Block("colour", ("colour_red_blue", "colour_green"), 1.5),
    Block("size", ("log_size",), 1.0),
    Block("shape", ("axis_ratio",), 1.0),
    Block("structure", ("concentration", "asymmetry", "gini", "m20"), 1.0),
    Block("profile", _rings("profile"), 1.3),
    Block("power", tuple(f"power_{ring}_{m}" for ring in range(RINGS) for m in range(1, ORDERS + 1)), 1.3),
    Block("colour profile", _rings("red_blue") + _rings("green"), 1.0),
)
COMMON = tuple(name for block in BLOCKS for name in block.features)
"""Features that every galaxy has some of."""
GALAXY = (*COMMON, *STRUCTURES)
FEATURES = (*GALAXY, *MEASURES)
RARE = AXES + STRENGTHS
"""Numbers of an embedding, its last, that are zero for most galaxies."""
MAX_DIMENSION = len(COMMON) + RARE


def describe(images: NDArray[Any]) -> ImageFloats:
    """Features of images, each centred on its galaxy.

    Parameters
    ----------
    images : ndarray of shape (n, h, h, b), uint8 or float
        Bands of any number, reddest first, at one angular scale and about as bright as one another. Any zero point and
        any unit of brightness. Pixels that are not finite hold no data. Of one band there is no colour, and lines that
        do not cross the whole image are not found.

    Returns
    -------
    ndarray of shape (n, len(FEATURES)), float32
        Columns as `FEATURES` names them; finite also for an image of nothing.

    Raises
    ------
    SourceError
        If the images have another shape.
    """
    if images.ndim != 4 or images.shape[1] != images.shape[2] or images.shape[1] < MIN_PIXELS or not images.shape[3]:
        raise SourceError(f"images have shape {images.shape}; expected (n, h, h, bands) with h of {MIN_PIXELS} or more")
    features = np.empty((len(images), len(FEATURES)), dtype=np.float32)
    # The products here are thin: threads of BLAS gain nothing, and on a busy machine wait for each other.
    with threadpool_limits(limits=1, user_api="blas"):
        for start in range(0, len(images), CHUNK):
            chunk, sky = fill_blank(images[start : start + CHUNK])
            rows = features[start : start + CHUNK]
            rows[:, len(GALAXY) :] = measure_artefacts(chunk, sky)
            rows[:, : len(GALAXY)] = _describe_galaxies(*_three_bands(chunk, sky))
    return features


@dataclass(frozen=True)
class Descriptor:
    """Features to embeddings: the scales of one set of galaxies, applied to any other.

    Attributes
    ----------
    centre, scale : ndarray of shape (len(COMMON),), float32
        Median and spread of each feature that every galaxy has.
    ramps : tuple of ndarray of shape (len(STRUCTURES),), float32
        Where a structure begins to count, and where it is plain.
    weight : ndarray of shape (len(COMMON),), float32
        What one standard deviation of a feature counts.
    pca : sklearn.decomposition.PCA
        Fitted on the standardised features.
    """

    centre: ImageFloats
    scale: ImageFloats
    ramps: tuple[ImageFloats, ImageFloats]
    weight: ImageFloats
    pca: PCA

    @classmethod
    def fit(cls, features: ImageFloats, *, dimension: int = DIMENSION) -> Descriptor:
        """Learn scales and components.

        Parameters
        ----------
        features : ndarray of shape (n, len(FEATURES)), float32
            From `describe`; a sample of some ten thousand galaxies is enough for any survey.
        dimension : int
            Length of the embeddings, at most `MAX_DIMENSION`, or n where that is less; the last `RARE` are strengths
            of structures and artefacts.

        Raises
        ------
        SourceError
            If there are fewer galaxies than dimensions, or another number of dimensions than allowed.
        """
        most = min(len(features), MAX_DIMENSION)
        if not RARE < dimension <= most:
            raise SourceError(
                f"an embedding of {len(features)} galaxies has {RARE + 1} to {most} dimensions, not {dimension}"
            )
        galaxy = features[:, : len(COMMON)]
        centre = np.median(galaxy, axis=0)
        # The median deviation is robust; a feature that is zero for most galaxies would have none.
        spread = 1.4826 * np.median(np.abs(galaxy - centre), axis=0)
        scale = np.maximum(np.maximum(spread, 0.3 * galaxy.std(axis=0)), np.float32(1e-6))
        weight = np.concatenate([np.full(len(b.features), b.weight / len(b.features) ** 0.5) for b in BLOCKS])
        ramps = fit_ramps(features[:, len(COMMON) : len(GALAXY)])
        pca = PCA(dimension - RARE, svd_solver="full")
        fitted = cls(centre, scale.astype(np.float32), ramps, weight.astype(np.float32), pca)
        fitted.pca.fit(fitted._standardise(features))
        return fitted

    def embed(self, features: ImageFloats) -> ImageFloats:
        """Unit rows, (n, dimension), float32, of features from `describe`."""
        components = self.pca.transform(self._standardise(features)).astype(np.float32)
        artefacts = strengths(features[:, len(GALAXY) :])
        structures = strengths_of_structures(features[:, len(COMMON) : len(GALAXY)], *self.ramps)
        structures *= 1 - artefacts.max(axis=1, keepdims=True)  # what is seen in a spoilt image may be due to that
        rows: ImageFloats = np.concatenate(
            [components, axes_of_structures(structures), ARTEFACT_WEIGHT * artefacts], axis=1
        )
        rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.float32(1e-12))
        return rows

    def _standardise(self, features: ImageFloats) -> ImageFloats:
        # Clipped, so that one wild feature cannot decide who is alike.
        galaxy = features[:, : len(COMMON)]
        standard: ImageFloats = np.clip((galaxy - self.centre) / self.scale, -LIMIT, LIMIT) * self.weight
        return standard


def _three_bands(images: ImageFloats, sky: Sky) -> tuple[ImageFloats, Sky]:
    """The reddest band, the mean of those between, the bluest; where there are none between, of both."""
    bands = images.shape[3]
    if bands == 3:
        return images, sky
    mix = np.zeros((bands, 3), np.float32)
    mix[0, 0] = mix[-1, 2] = 1
    mix[:, 1] = 1
    if bands > 2:
        mix[[0, -1], 1] = 0
    mix[:, 1] /= mix[:, 1].sum()
    return images @ mix, Sky(sky.level @ mix, np.sqrt(sky.noise**2 @ mix**2), sky.blank)


def _describe_galaxies(images: ImageFloats, sky: Sky) -> ImageFloats:
    light, noise = subtract_sky(images, sky)
    ellipse = fit_ellipse(mean_of_bands(light), noise)
    radius = ((np.arange(RINGS * SUBRINGS) + 0.5) * (OUTER_RADIUS / (RINGS * SUBRINGS))).astype(np.float32)
    rings = _symmetric_outskirts(sample_rings(light, ellipse, radius), radius, noise)

    luminance = mean_of_bands(rings)
    area = radius / radius.sum()
    inner = radius < INNER_RADIUS
    brightness = (luminance.mean(axis=2)[:, inner] * area[inner]).sum(axis=1) / area[inner].sum()
    # A floor, so that an empty image is compared with its noise and not with zero.
    brightness = np.maximum(brightness, np.maximum(0.1 * noise, TINY))

    half_light, concentration = _growth(luminance, radius, area)
    structure = radius < STRUCTURE_RADIUS
    asymmetry, gini, m20 = _structure(luminance[:, structure], radius[structure], area[structure])
    flux = (rings.mean(axis=2) * (area * structure)[:, None]).sum(axis=1)
    profile, power, red_blue, green = _azimuthal_orders(rings, brightness)
    return np.column_stack(
        [
            *_colours(flux, brightness * area[structure].sum()),
            np.log(np.sqrt(ellipse.major * ellipse.minor) * half_light),
            ellipse.minor / ellipse.major,
            concentration,
            asymmetry,
            gini,
            m20,
            profile,
            power.reshape(len(images), -1),
            red_blue,
            green,
            measure_structures(images, sky, ellipse),
        ]
    ).astype(np.float32)


def _symmetric_outskirts(rings: ImageFloats, radius: ImageFloats, noise: ImageFloats) -> ImageFloats:
    """Rings without the neighbours: what outshines its counterpart, far out, by two sigma takes its value."""
    opposite = np.roll(rings, ANGLES // 2, axis=2)
    luminance = mean_of_bands(rings)
    excess = luminance - np.roll(luminance, ANGLES // 2, axis=2)
    neighbour = (excess > 2 * noise[:, None, None]) & (radius > SYMMETRIC_BEYOND)[:, None]
    cleaned: ImageFloats = np.where(neighbour[..., None], opposite, rings)
    return cleaned


def _growth(luminance: ImageFloats, radius: ImageFloats, area: ImageFloats) -> tuple[ImageFloats, ImageFloats]:
    """Half-light radius in units of the ellipse, and concentration 5 log10(r80 / r20), from the curve of growth."""
    ring_flux = np.maximum(luminance.mean(axis=2), 0) * area
    growth = np.cumsum(ring_flux, axis=1)
    growth = np.pad(growth / np.maximum(growth[:, -1:], TINY), ((0, 0), (1, 0)))
    edge = np.append(0, radius + radius[0])

    def radius_of(fraction: float) -> ImageFloats:
        after = np.clip((growth < fraction).sum(axis=1), 1, len(radius))[:, None]
        low, high = np.take_along_axis(growth, after - 1, 1)[:, 0], np.take_along_axis(growth, after, 1)[:, 0]
        part = np.clip((fraction - low) / np.maximum(high - low, 1e-6), 0, 1)
        radii: ImageFloats = edge[after[:, 0] - 1] + part * (edge[after[:, 0]] - edge[after[:, 0] - 1])
        return np.maximum(radii, TINY)

    concentration: ImageFloats = 5 * np.log10(radius_of(0.8) / radius_of(0.2))
    return radius_of(0.5), concentration


def _structure(
    luminance: ImageFloats, radius: ImageFloats, area: ImageFloats
) -> tuple[ImageFloats, ImageFloats, ImageFloats]:
    """Asymmetry under half a turn, Gini coefficient and M20 of the samples, each of which stands for its area.

    Measured in the ellipse's own frame, so that a disc seen at a slant has the M20 of one seen from above.
    """
    n = len(luminance)
    share = np.repeat(area / (area.sum() * ANGLES), ANGLES)
    differences = np.abs(luminance - np.roll(luminance, ANGLES // 2, axis=2)).reshape(n, -1)
    samples = luminance.reshape(n, -1)
    asymmetry = differences @ share / np.maximum(np.abs(samples) @ share, TINY)

    order = np.argsort(-samples, axis=1)
    sorted_share = share[order]
    flux = np.maximum(np.take_along_axis(samples, order, axis=1), 0) * sorted_share
    cumulative = np.cumsum(flux, axis=1)
    total = np.maximum(cumulative[:, -1:], TINY)
    gini = 2 * (cumulative / total * sorted_share).sum(axis=1) - 1  # twice the area above the diagonal
    moment = flux * np.repeat(radius**2, ANGLES)[order]
    brightest = cumulative <= 0.2 * total
    m20 = np.log10(((moment * brightest).sum(axis=1) + TINY) / (moment.sum(axis=1) + TINY))
    return asymmetry, gini, np.maximum(m20, -4)


def _azimuthal_orders(
    rings: ImageFloats, brightness: ImageFloats
) -> tuple[ImageFloats, ImageFloats, ImageFloats, ImageFloats]:
    """Profile, (n, RINGS); amplitudes of orders 1 to ORDERS, (n, RINGS, ORDERS); the two colour profiles, (n, RINGS).

    Of each order only the amplitude above the noise of its own ring is kept: where a ring starts does not matter.
    """
    n = len(rings)
    stretched = np.arcsinh(rings / (SOFTENING * brightness[:, None, None, None]))
    red, green, blue = np.moveaxis(stretched.reshape(n, RINGS, SUBRINGS, ANGLES, 3).mean(axis=2), 3, 0)
    orders = np.fft.rfft((red + green + blue) / 3, axis=2) / ANGLES
    power = orders.real**2 + orders.imag**2
    floor = power[:, :, NOISE_ORDERS].mean(axis=2, keepdims=True)
    amplitude = np.sqrt(np.maximum(power[:, :, 1 : ORDERS + 1] - floor, 0))
    return (
        orders[:, :, 0].real.astype(np.float32),
        amplitude,
        (red - blue).mean(axis=2),
        (green - (red + blue) / 2).mean(axis=2),
    )


def _colours(flux: ImageFloats, scale: ImageFloats) -> tuple[ImageFloats, ImageFloats]:
    """Red minus blue and green against both, of fluxes (n, 3) on an asinh scale that survives a band without light."""
    red, green, blue = np.arcsinh(2 * flux / scale[:, None]).T
    return red - blue, green - (red + blue) / 2
