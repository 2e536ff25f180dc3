"""Alterations do to pictures what they say, and similarities are cosines of what the encoder makes of them."""

from __future__ import annotations

import numpy as np

from precompute.descriptor.alterations import ANOTHER, SHIFT_PIXELS, alter, invariance
from precompute.descriptor.features import Descriptor, describe
from precompute.descriptor.sky_level import ImageFloats


def some_pictures(n: int = 12, pixels: int = 48) -> ImageFloats:
    """Blobs of different slant and colour on noise."""
    random = np.random.default_rng(3)
    y, x = np.indices((pixels, pixels)) - (pixels - 1) / 2
    angle, slant = random.uniform(0, np.pi, (2, n, 1, 1))
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    light = np.exp(-((along / 6) ** 2) - (across / (2 + slant)) ** 2)
    color = random.uniform(30, 200, (n, 1, 1, 3))
    pictures: ImageFloats = (light[..., None] * color + random.normal(10, 2, (n, pixels, pixels, 3))).astype(np.float32)
    return pictures


def test_pictures_are_altered_as_the_words_say() -> None:
    pictures = some_pictures()
    altered = alter(pictures)
    assert np.array_equal(altered["turned"][:, ::-1].transpose(0, 2, 1, 3), pictures)
    assert np.array_equal(altered["mirrored"][:, :, ::-1], pictures)
    assert np.array_equal(altered["shifted"][:, SHIFT_PIXELS:, SHIFT_PIXELS:],
                          pictures[:, :-SHIFT_PIXELS, :-SHIFT_PIXELS])  # fmt: skip
    assert np.allclose(altered["blurred"].mean(axis=(1, 2)), pictures.mean(axis=(1, 2)), rtol=0.02)
    edge = [some[:, :8, :8].std() for some in (pictures, altered["blurred"], altered["noisier"])]
    assert edge[1] < 0.5 * edge[0] and 1.2 < edge[2] / edge[0] < 1.7  # as much noise again: a factor of 1.41


def test_an_encoder_that_sees_colour_alone_is_blind_to_place() -> None:
    def colour(pictures: ImageFloats) -> ImageFloats:
        light = pictures.mean(axis=(1, 2))
        light -= light.mean(axis=1, keepdims=True)
        rows: ImageFloats = light / np.linalg.norm(light, axis=1, keepdims=True)
        return rows

    told = invariance(colour, some_pictures())
    assert told["turned"] == told["mirrored"] == 1.0
    assert told[ANOTHER] < 0.9
    assert invariance(colour, some_pictures()[:1]) == {}


def test_the_descriptor_takes_a_turned_galaxy_for_itself() -> None:
    pictures = some_pictures(60)
    features = describe(pictures)
    fitted = Descriptor.fit(features, dimension=16)
    told = invariance(lambda some: fitted.embed(describe(some)), pictures)
    assert min(told["turned"], told["mirrored"]) > 0.98 > told["noisier"] > told[ANOTHER]
