"""Look of the sky: its frame, its projection and the lines over it."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

import msgspec

from atlas.sky.projection import SkyFrame

SkyLine = Literal["graticule", "galaxy", "ecliptic", "footprint"]
SKY_LINES: tuple[SkyLine, ...] = get_args(SkyLine)


class SkyLook(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Look of the sky.

    Attributes
    ----------
    frame : {"icrs", "galactic"}
        Whose north is up.
    whole : {"ait", "mol"}
        How all of the sky is seen.
    hidden : tuple of str
        Lines that are not drawn.
    behind : str
        Name of the service whose picture of the sky lies behind the points; empty for none.
    """

    frame: SkyFrame = "icrs"
    whole: Literal["ait", "mol"] = "ait"
    hidden: Annotated[tuple[SkyLine, ...], msgspec.Meta(max_length=4)] = ()
    behind: Annotated[str, msgspec.Meta(max_length=24)] = ""
