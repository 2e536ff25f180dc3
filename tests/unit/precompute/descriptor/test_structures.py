"""Rings and arcs are found where they are, and not in what only looks uneven."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from precompute.descriptor.features import COMMON, GALAXY, Descriptor, describe
from precompute.descriptor.structures import AXES, STRUCTURES, axes_of_structures, fit_ramps, strengths_of_structures

Floats = NDArray[np.float32]
N, SIZE = 60, 64
SEEING = 1.8
RED, BLUE = np.array([1.0, 0.6, 0.3]), np.array([0.3, 0.6, 1.0])


def plane(angle: float, ratio: float = 0.8) -> tuple[Floats, Floats]:
    """Radius and azimuth in a disc seen at a slant, from the middle of an image."""
    y, x = np.indices((SIZE, SIZE)) - (SIZE - 1) / 2
    along, across = np.cos(angle) * x + np.sin(angle) * y, (np.cos(angle) * y - np.sin(angle) * x) / ratio
    return np.hypot(along, across), np.arctan2(across, along)


def observed(light: Floats) -> Floats:
    """Blurred and noisy."""
    seen = gaussian_filter(light, (SEEING, SEEING, 0))
    return (seen + np.random.default_rng(int(seen.sum())).normal(0, 1, seen.shape)).astype(np.float32)


def disc(
    i: int, *, ring: float = 0.0, arms: float = 0.0, arc: float = 0.0, image: float = 0.0, star: float = 0.0
) -> Floats:
    """A red exponential disc of its own brightness and angle, with what is asked for, in sigma of a pixel.

    The arc covers a third of a circle about it, a second `image` of its source lies on the other side.
    """
    radius, azimuth = plane(i * 0.7)
    light = (40 + 2 * i) * np.exp(-radius / 4)
    light = light * (1 + arms * np.cos(2 * azimuth - radius / 2))
    light = light + ring * np.exp(-0.5 * ((radius - 13) / 1.5) ** 2)
    round_radius, around = plane(i * 1.3, ratio=1.0)
    bent = np.exp(-0.5 * ((round_radius - 10) / 1.0) ** 2) * (
        arc * (np.cos(around) > 0.4) + image * (np.cos(around) < -0.6)
    )
    beside = star * np.exp(-0.5 * (round_radius**2 - 20 * round_radius * np.cos(around) + 100) / 1.5**2)
    return observed(light[..., None] * RED + (bent + beside)[..., None] * BLUE)


@pytest.fixture(scope="module")
def plain() -> Floats:
    """Features of discs, half of which have arms."""
    return describe(np.stack([disc(i, arms=0.5 * (i % 2)) for i in range(N)]))


def strengths(plain: Floats, images: list[Floats]) -> Floats:
    part = slice(len(COMMON), len(GALAXY))
    return strengths_of_structures(describe(np.stack(images))[:, part], *fit_ramps(plain[:, part]))


def test_a_ring_about_a_disc_is_found(plain: Floats) -> None:
    found = strengths(plain, [disc(i, ring=12) for i in range(20)])
    assert np.median(found[:, STRUCTURES.index("ring")]) > 0.9


def test_an_arc_bluer_than_the_galaxy_is_found(plain: Floats) -> None:
    found = strengths(plain, [disc(i, arc=12) for i in range(20)])
    assert np.median(found[:, STRUCTURES.index("arc")]) > 0.9


def test_an_arc_and_its_counter_image_are_a_pair_and_an_arc_alone_is_none(plain: Floats) -> None:
    both, alone = (
        strengths(plain, [disc(i, arc=12, image=image) for i in range(20)])[:, STRUCTURES.index("arc_pair")]
        for image in (12, 0)
    )
    assert np.median(both) >= 0.5 and np.median(alone) == 0  # half of it where it is taken for a ring


def test_a_blue_ring_is_half_a_pair_of_arcs() -> None:
    low, high = np.zeros(len(STRUCTURES), np.float32), np.ones(len(STRUCTURES), np.float32)
    ring, pair = STRUCTURES.index("ring"), STRUCTURES.index("arc_pair")
    measured = np.zeros((2, len(STRUCTURES)), np.float32)
    measured[:, pair], measured[1, ring] = 1, 1
    assert strengths_of_structures(measured, low, high)[:, pair].tolist() == [1, 0.5]


def test_arms_and_a_star_beside_are_neither(plain: Floats) -> None:
    found = strengths(plain, [disc(i, arms=0.6) for i in range(20)] + [disc(i, star=40) for i in range(20)])
    assert np.median(found, axis=0).max() == 0 and (found > 0.5).mean() < 0.1


def test_few_of_any_set_have_a_structure(plain: Floats) -> None:
    part = plain[:, len(COMMON) : len(GALAXY)]
    assert ((strengths_of_structures(part, *fit_ramps(part)) > 0).mean(axis=0) <= 0.04).all()


def test_a_plain_ring_decides_who_is_alike(plain: Floats) -> None:
    rings = describe(np.stack([disc(i, ring=25) for i in range(4)]))
    features = np.concatenate([rings, plain])
    rows = Descriptor.fit(features, dimension=16).embed(features)
    similarity = rows[:4] @ rows.T
    assert similarity[:, :4].min() > similarity[:, 4:].max()


def test_an_arc_alone_and_a_pair_are_opposites_and_a_pair_outweighs_its_own_arc() -> None:
    nothing, arc, pair, both = np.eye(len(STRUCTURES), dtype=np.float32)[[0, 1, 2, 2]]
    both, nothing = both + arc, 0 * nothing
    axes = axes_of_structures(np.stack([nothing, arc, pair, both]))
    assert axes.shape == (4, AXES) and not axes[0].any() and not axes[:, 0].any()
    assert axes[1, 1] > 0 > axes[2, 1] == axes[3, 1]


def test_one_band_or_none_has_no_arcs() -> None:
    for bands in (1, 3):
        grey = np.repeat(np.stack([disc(i) for i in range(3)])[..., :1], bands, axis=3)
        arcs = slice(len(COMMON) + STRUCTURES.index("arc"), len(GALAXY))
        assert np.abs(describe(grey)[:, arcs]).max() < 0.05
