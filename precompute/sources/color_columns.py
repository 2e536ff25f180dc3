"""Colours: differences of magnitudes in neighbouring bands. Few catalogues bring them, everybody asks for them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..source_description import ColumnDescription
from .flux_columns import correction_of

BANDS = "ugrizyjhk"
COMPUTED = "Colour, "
"""Begins the description of a colour that was computed."""

_MAGNITUDE = re.compile(rf"mag_([{BANDS}])")


class Color(NamedTuple):
    """A colour that can be computed: its name, and the magnitudes whose difference it is."""

    name: str
    bluer: str
    redder: str

    @property
    def about(self) -> ColumnDescription:
        """Entry in the manifest."""
        return ColumnDescription(
            "mag", "phot.color", f"{COMPUTED}{self.bluer} - {self.redder}, computed when this was built"
        )


def colors_of(described: Mapping[str, str]) -> list[Color]:
    """Colours of a catalogue with columns `mag_g`, `mag_r` …: one for each two bands that follow each other.

    A column that has the name of a colour already stands for it. Magnitudes that were computed of fluxes and others, or
    with another correction for dust, make none.

    Parameters
    ----------
    described : mapping of str to str
        Descriptions of the columns of numbers, by name.
    """
    bands = sorted((m[1] for name in described if (m := _MAGNITUDE.fullmatch(name))), key=BANDS.index)
    found = [Color(f"{a}_minus_{b}", f"mag_{a}", f"mag_{b}") for a, b in pairwise(bands)]
    return [
        color
        for color in found
        if color.name not in described
        and correction_of(described[color.bluer]) == correction_of(described[color.redder])
    ]


def difference(bluer: NDArray[np.floating], redder: NDArray[np.floating]) -> NDArray[np.float32]:
    """The colour of each row, float32; NaN where a magnitude is missing."""
    color: NDArray[np.float32] = np.subtract(bluer, redder, dtype=np.float32, casting="unsafe")
    return color
