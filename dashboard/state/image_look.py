"""Look of images: which channel, and its stretch of brightness. The browser does it (assets/4-look.js)."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

LookStep = Annotated[int, msgspec.Meta(ge=-3, le=3)]


class ImageLook(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Look of all images, as the atlas keeps them where nothing is changed.

    Attributes
    ----------
    channel : str
        All three in colour, or one of them in grey.
    faint : int
        Steps of an asinh stretch (Lupton, Gunn & Szalay 1999, AJ 118, 1406): above 0 faint parts become brighter, below
        0 darker.
    contrast : int
        Steps of a steeper or, below 0, flatter line about middle grey.
    invert : bool
        Whether light is dark, as on a photographic plate.
    """

    channel: Literal["all", "red", "green", "blue"] = "all"
    faint: LookStep = 0
    contrast: LookStep = 0
    invert: bool = False
