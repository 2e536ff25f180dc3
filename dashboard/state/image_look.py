"""Look of images: which channel, and its stretch of brightness. The browser does it (assets/4-look.js)."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Context = Literal[96, 152, 256]
"""Pixels of a cut-out that comes from elsewhere: what the search saw, and more around it."""

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
    source : str
        Name of the service whose cut-outs are shown; empty for the atlas's own images, and others where it has none.
    context : int
        How much around a galaxy those show, in pixels of which the search saw the middle 96.
    """

    channel: Literal["all", "red", "green", "blue"] = "all"
    faint: LookStep = 0
    contrast: LookStep = 0
    invert: bool = False
    source: Annotated[str, msgspec.Meta(max_length=24)] = ""
    context: Context = 96
