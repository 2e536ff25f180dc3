"""Encoders: what makes numbers of pictures. The descriptor needs no model; any network comes as an ONNX file.

Whatever the encoder, a picture also gets the six measures of `precompute.descriptor.artefacts`, last in its row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ..descriptor import features as descriptor
from ..descriptor.artefacts import MEASURES
from ..descriptor.sky_level import ImageFloats

FIT_ROWS = 20_000
"""Pictures that set the scales of the descriptor."""

MIN_PIXELS, MAX_PIXELS = descriptor.MIN_PIXELS, 1024


class Encoder(Protocol):
    """Makes embeddings in two steps: what is measured of each picture, and what the whole set makes of it.

    Attributes
    ----------
    name : str
        For people.
    identity : str
        Changes with whatever changes embeddings.
    pixels : int
        Edge that it wants; 0 where any will do.
    as_seen : bool
        Whether it wants 8-bit RGB as an eye sees it (a network trained on pictures), or bands as the file has them.
    width : int
        Numbers that `measure` gives a picture, without those of artefacts.
    """

    name: str
    identity: str
    pixels: int
    as_seen: bool
    width: int

    def measure(self, pictures: ImageFloats) -> ImageFloats:
        """Measure pictures of shape (n, pixels, pixels, bands), reddest first, NaN where there is no data.

        Returns
        -------
        ndarray of shape (n, width + len(MEASURES)), float32
        """

    def fit(self, sample: ImageFloats) -> Callable[[ImageFloats], ImageFloats]:
        """From what was measured of some pictures to a function that makes embeddings of what was measured of any."""


class DescriptorEncoder:
    """The fixed descriptor of colour, size, shape, structure and artefacts (`precompute.descriptor.features`)."""

    name = "descriptor"
    pixels = 0
    as_seen = False
    width = len(descriptor.GALAXY)

    def __init__(self, dimension: int = descriptor.DIMENSION) -> None:
        self.dimension = dimension
        self.identity = f"descriptor {descriptor.VERSION}, {dimension} numbers"

    def measure(self, pictures: ImageFloats) -> ImageFloats:
        """See `Encoder.measure`."""
        return descriptor.describe(pictures)

    def fit(self, sample: ImageFloats) -> Callable[[ImageFloats], ImageFloats]:
        """See `Encoder.fit`; fewer numbers where there are fewer pictures than that."""
        return descriptor.Descriptor.fit(sample, dimension=min(self.dimension, len(sample))).embed


N_MEASURES = len(MEASURES)
