"""Simulated galaxies: groups in embedding space, classes, photometry and redshifts that agree with them.

Every row belongs to a group, every group to a class. A row's embedding is

    unit( centre[group] + latents @ directions[group] + noise )

with fifteen latents, so that neighbourhoods have 10 to 14 dimensions, as those of trained networks' embeddings do,
whatever the width. Groups lie on a landscape of a few axes along which all of them spread, so that their edges
overlap; inclination (an arc), colour and brightness move every galaxy alike and are tied to the catalogue; one latent
leads from each group to the next of its class. So the survey has gradients and filaments, not only islands.
Rare classes lie beside a common one. Outliers lie anywhere, alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .footprint import Footprint, brick_id, sin_galactic_latitude, to_ra_dec_deg

# Random numbers are seeded a block, always of this many rows: a survey is the beginning of every longer one.
BLOCK_ROWS = 16_384

N_COMMON_GROUPS = 56
GROUP_SIZE_EXPONENT = -1.0
N_OWN_LATENTS = 6
N_LANDSCAPE_LATENTS = 4
NOISE = 0.1
OUTLIER_LEAN = 0.8
OUTLIER_SHARE = 3e-4
OUTLIER_CLASS = "outlier"
OUTLIER_GROUP = -1
SPECTROSCOPIC_SHARE = 0.05
BRIGHTEST_MAG_R = 15.0
FAINTEST_MAG_R = 20.0

RELEASE_SOUTH = 9010
RELEASE_NORTH = 9011
# Between these declinations both halves of the survey have bricks of the same number.
OVERLAP_DEC_DEG = (32.0, 34.0)

SOURCE_TYPES = ("DEV", "EXP", "REX", "SER")

# Bits of `maskbits` and how often each is set: near a bright star, near a fainter star, in a large galaxy.
MASK_BITS = {1: 0.01, 11: 0.02, 12: 0.005}


class GalaxyClass(NamedTuple):
    """A class and what its members look like.

    Attributes
    ----------
    name : str
    share : float
        Of all rows, for a rare class; 0 for a common one, whose groups share what is left by a power law.
    colour, colour_scatter : float
        Mean g − r at z = 0.1 and its scatter, mag.
    redshift : float
        Median at r = 17.5.
    inclination : (float, float)
        Parameters of the beta distribution of inclination, 0 face-on, 1 edge-on.
    arc : float
        How much of the embedding inclination moves; 0 for round galaxies.
    source_type : tuple of four floats
        Probabilities of `SOURCE_TYPES`.
    beside : str
        The common class next to which a rare one lies.
    """

    name: str
    share: float
    colour: float
    colour_scatter: float
    redshift: float
    inclination: tuple[float, float]
    arc: float
    source_type: tuple[float, float, float, float]
    beside: str = ""


CLASSES = (
    GalaxyClass("elliptical", 0, 0.92, 0.05, 0.14, (1, 1), 0.0, (0.62, 0.03, 0.05, 0.30)),
    GalaxyClass("disc", 0, 0.62, 0.12, 0.10, (1, 1), 0.40, (0.06, 0.54, 0.16, 0.24)),
    GalaxyClass("spiral", 0, 0.58, 0.10, 0.09, (1, 2), 0.40, (0.04, 0.44, 0.08, 0.44)),
    GalaxyClass("barred", 0, 0.68, 0.10, 0.09, (1, 2), 0.35, (0.08, 0.36, 0.08, 0.48)),
    GalaxyClass("edge-on", 0, 0.72, 0.12, 0.10, (9, 1), 0.40, (0.06, 0.70, 0.04, 0.20)),
    GalaxyClass("irregular", 0, 0.40, 0.14, 0.06, (1, 1), 0.20, (0.02, 0.50, 0.34, 0.14)),
    GalaxyClass("compact", 0, 0.55, 0.18, 0.18, (1, 1), 0.05, (0.14, 0.10, 0.70, 0.06)),
    GalaxyClass("ring", 1e-3, 0.60, 0.10, 0.08, (1, 2), 0.25, (0.05, 0.40, 0.10, 0.45), "disc"),
    GalaxyClass("jellyfish", 3e-4, 0.35, 0.10, 0.07, (1, 1), 0.25, (0.02, 0.50, 0.28, 0.20), "irregular"),
    GalaxyClass("lens", 1e-4, 1.00, 0.08, 0.35, (1, 1), 0.0, (0.50, 0.02, 0.08, 0.40), "elliptical"),
    GalaxyClass(OUTLIER_CLASS, OUTLIER_SHARE, 0.60, 0.40, 0.12, (1, 1), 0.0, (0.25, 0.25, 0.25, 0.25)),
)
CLASS_NAMES = tuple(c.name for c in CLASSES)


@dataclass(frozen=True, eq=False)
class Survey:
    """Everything that all rows share, drawn from the seed alone.

    Attributes
    ----------
    seed : int
    footprint : Footprint
    group_class : ndarray of shape (g + 1,), int64
        Class of each group; the last entry stands for outliers, which have no group.
    group_edges : ndarray of shape (g + 1,), float64
        Cumulative shares of groups and outliers.
    centres : ndarray of shape (g, d), float32
        Unit vectors.
    directions : ndarray of shape (g, latents, d), float32
        What one unit of each latent adds.
    """

    seed: int
    footprint: Footprint
    group_class: NDArray[np.int64]
    group_edges: NDArray[np.float64]
    centres: NDArray[np.float32]
    directions: NDArray[np.float32]

    @classmethod
    def draw(cls, seed: int, dimension: int) -> Survey:
        """The survey of a seed, with embeddings of `dimension` numbers."""
        rng = np.random.default_rng(np.random.SeedSequence(seed))
        common = [i for i, c in enumerate(CLASSES) if not c.share]
        rare = [i for i, c in enumerate(CLASSES) if c.share and c.name != OUTLIER_CLASS]
        group_class = np.array([*np.resize(common, N_COMMON_GROUPS), *rare, CLASS_NAMES.index(OUTLIER_CLASS)])
        sizes = np.arange(1, N_COMMON_GROUPS + 1) ** GROUP_SIZE_EXPONENT
        given = np.array([CLASSES[c].share for c in group_class[N_COMMON_GROUPS:]])
        shares = np.concatenate([sizes / sizes.sum() * (1 - given.sum()), given])
        landscape = _unit(rng.normal(size=(N_LANDSCAPE_LATENTS, dimension)))
        centres = _draw_centres(rng, group_class[:-1], landscape)
        return cls(
            seed=seed,
            footprint=Footprint.draw(rng),
            group_class=group_class,
            group_edges=np.cumsum(shares),
            centres=centres.astype(np.float32),
            directions=_draw_directions(rng, group_class[:-1], centres, landscape).astype(np.float32),
        )

    def draw_block(self, block: int) -> tuple[dict[str, NDArray[np.generic]], NDArray[np.float16]]:
        """Rows block × BLOCK_ROWS … of the survey.

        Returns
        -------
        columns : dict of str to ndarray of shape (BLOCK_ROWS,)
            The catalogue; `source_type` and `true_class` as codes into `SOURCE_TYPES` and `CLASS_NAMES`.
        embeddings : ndarray of shape (BLOCK_ROWS, d), float16
            Unit rows.
        """
        rng = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(block,)))
        group = np.minimum(np.searchsorted(self.group_edges, rng.random(BLOCK_ROWS)), len(self.centres))
        true_class = self.group_class[group]
        inclination, colour = np.empty(BLOCK_ROWS), rng.standard_normal(BLOCK_ROWS)
        for index, galaxy_class in enumerate(CLASSES):
            members = true_class == index
            inclination[members] = rng.beta(*galaxy_class.inclination, members.sum())
        columns = draw_places(self.footprint, rng, block)
        columns |= _draw_photometry(rng, true_class, colour)
        columns |= {
            "true_class": true_class.astype(np.int8),
            "true_group": np.where(group < len(self.centres), group, OUTLIER_GROUP).astype(np.int16),
            "is_outlier": group == len(self.centres),
        }
        brightness = FAINTEST_MAG_R - columns["mag_r"].astype(np.float64)
        return columns, self._draw_embeddings(rng, group, inclination, colour, brightness)

    def _draw_embeddings(
        self,
        rng: np.random.Generator,
        group: NDArray[np.int64],
        inclination: NDArray[np.float64],
        colour: NDArray[np.float64],
        brightness: NDArray[np.float64],
    ) -> NDArray[np.float16]:
        m, dimension = len(group), self.centres.shape[1]
        latents = np.column_stack(
            [
                rng.standard_normal((m, N_OWN_LATENTS + N_LANDSCAPE_LATENTS), dtype=np.float32),
                rng.beta(1, 4, m),
                np.cos(np.pi * inclination),
                np.sin(np.pi * inclination),
                colour,
                brightness,
            ]
        ).astype(np.float32)
        embeddings = rng.standard_normal((m, dimension), dtype=np.float32)
        is_grouped = group < len(self.centres)
        embeddings *= np.where(is_grouped, NOISE, 1.0).astype(np.float32)[:, None] / np.float32(np.sqrt(dimension))
        # Outliers keep a random direction; some lean towards a group, so that not all are equally easy to find.
        outliers = np.flatnonzero(~is_grouped)
        lean = rng.uniform(0, OUTLIER_LEAN, (len(outliers), 1)).astype(np.float32)
        embeddings[outliers] += lean * self.centres[rng.integers(len(self.centres), size=len(outliers))]
        order = np.argsort(group, kind="stable")
        edges = np.searchsorted(group[order], np.arange(len(self.centres) + 1))
        for g in range(len(self.centres)):
            rows = order[edges[g] : edges[g + 1]]
            embeddings[rows] += self.centres[g] + latents[rows] @ self.directions[g]
        embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
        return embeddings.astype(np.float16)


def draw_places(footprint: Footprint, rng: np.random.Generator, block: int) -> dict[str, NDArray[np.generic]]:
    """Positions, ids and foreground dust of the rows of a block, each of shape (BLOCK_ROWS,)."""
    xyz = footprint.sample(rng, BLOCK_ROWS)
    ra_deg, dec_deg = to_ra_dec_deg(xyz)
    low, high = OVERLAP_DEC_DEG
    is_north = dec_deg > np.where(rng.random(BLOCK_ROWS) < 0.5, low, high)
    release = np.where(is_north, RELEASE_NORTH, RELEASE_SOUTH).astype(np.int16)
    brickid = brick_id(ra_deg, dec_deg)
    # Dust in a plane layer: E(B−V) = E_pole / sin|b|, patchy by a third.
    dust = 0.018 / np.abs(sin_galactic_latitude(xyz)) * np.exp(0.3 * rng.standard_normal(BLOCK_ROWS))
    return {
        "release": release,
        "brickid": brickid,
        "objid": (block * BLOCK_ROWS + _rank_within(release * np.int64(2**32) + brickid)).astype(np.int32),
        "ra": ra_deg,
        "dec": dec_deg,
        "ebv": dust.astype(np.float32),
    }


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    result: NDArray[np.float64] = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return result


def _draw_centres(
    rng: np.random.Generator, group_class: NDArray[np.int64], landscape: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Unit centres: on the landscape groups of one class lie near one another, rare classes near a common one."""
    n_axes, dimension = landscape.shape
    class_place = rng.normal(0, 0.5, (len(CLASSES), n_axes))
    near = [CLASS_NAMES.index(CLASSES[c].beside or CLASSES[c].name) for c in group_class]
    place = class_place[near] + rng.normal(0, 0.6, (len(group_class), n_axes))
    is_rare = np.array([CLASSES[c].share > 0 for c in group_class])[:, None]
    own = np.where(is_rare, 0.6, 0.3) * _unit(rng.normal(size=(len(group_class), dimension)))
    return _unit(_unit(rng.normal(size=(1, dimension))) + 0.35 * place @ landscape + own)


def _draw_directions(
    rng: np.random.Generator,
    group_class: NDArray[np.int64],
    centres: NDArray[np.float64],
    landscape: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Directions that each latent adds to a row of each group, shape (groups, latents, d)."""
    n_groups, dimension = centres.shape
    arcs = np.array([CLASSES[c].arc for c in group_class])[:, None]
    spread = np.array([0.4 if CLASSES[c].share else 1.0 for c in group_class])[:, None, None]
    own = spread * 0.12 * _unit(rng.normal(size=(n_groups, N_OWN_LATENTS, dimension)))
    along = spread * 0.16 * np.broadcast_to(landscape, (n_groups, *landscape.shape))
    to_next = np.zeros_like(centres)
    for c in np.unique(group_class):
        members = np.flatnonzero(group_class == c)
        to_next[members] = centres[np.roll(members, -1)] - centres[members]
    arc_x, arc_y, redder, brighter = _unit(rng.normal(size=(4, dimension)))
    everyone = np.ones((n_groups, 1))
    shared = [to_next, arcs * arc_x, arcs * arc_y, 0.1 * everyone * redder, 0.15 * everyone * brighter]
    return np.concatenate([own, along, np.stack(shared, axis=1)], axis=1)


def _draw_photometry(
    rng: np.random.Generator, true_class: NDArray[np.int64], colour: NDArray[np.float64]
) -> dict[str, NDArray[np.generic]]:
    """Magnitudes, redshifts, flags and morphological type of rows of the given classes; `colour` is a standard latent.

    Number counts rise as 10^(0.6 m), as for sources of uniform density in Euclidean space (Hubble 1926, ApJ 64, 321);
    redshift grows with magnitude as distance does, more slowly, since faint galaxies are also the less luminous ones.
    """
    m = len(true_class)
    low, high = 10 ** (0.6 * BRIGHTEST_MAG_R), 10 ** (0.6 * FAINTEST_MAG_R)
    mag_r = np.log10(low + rng.random(m) * (high - low)) / 0.6
    z = np.array([c.redshift for c in CLASSES])[true_class] * 10 ** (0.15 * (mag_r - 17.5))
    z *= np.exp(0.25 * rng.standard_normal(m))
    z_phot = np.maximum(z + 0.02 * (1 + z) * rng.standard_normal(m), 0.001)
    is_measured = rng.random(m) < SPECTROSCOPIC_SHARE
    g_r = np.array([c.colour for c in CLASSES])[true_class] + 1.2 * (z - 0.1)
    g_r += np.array([c.colour_scatter for c in CLASSES])[true_class] * colour
    r_z = 0.15 + 0.6 * g_r + 0.05 * rng.standard_normal(m)
    source_type = (
        rng.random(m)[:, None] > np.cumsum([c.source_type for c in CLASSES], axis=1)[true_class][:, :-1]
    ).sum(axis=1)
    maskbits = np.zeros(m, np.uint16)
    for bit, share in MASK_BITS.items():
        maskbits |= (rng.random(m) < share).astype(np.uint16) << np.uint16(bit)
    return {
        "mag_g": (mag_r + g_r).astype(np.float32),
        "mag_r": mag_r.astype(np.float32),
        "mag_z": (mag_r - r_z).astype(np.float32),
        "z_phot": z_phot.astype(np.float32),
        "z_spec": np.where(is_measured, z, np.nan).astype(np.float32),
        "source_type": source_type.astype(np.int8),
        "maskbits": maskbits,
    }


def _rank_within(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number of earlier entries with the same key."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    first = np.searchsorted(ordered, ordered)
    rank = np.empty(len(keys), np.int64)
    rank[order] = np.arange(len(keys)) - first
    return rank
