"""Part of a plane that the address of a picture asks for."""

from __future__ import annotations

from typing import Any, get_args

from flask import request

from atlas.errors import InputError, shorten
from atlas.sky.projection import Projection, SkyFrame

from ..interaction import browser_events as parse
from ..state.page_state import Viewport, has_width


def box_asked() -> Viewport:
    """The part of a plane that an address names.

    Raises
    ------
    InputError
        If it names none.
    """
    x0, x1, y0, y1 = (parse.number(request.args, name, -1e200, 1e200) for name in ("x0", "x1", "y0", "y1"))
    if not (has_width(x0, x1) and has_width(y0, y1)):
        raise InputError("x1 must be above x0, and y1 above y0")
    return Viewport(x0, x1, y0, y1)


def projection_asked() -> Projection:
    """The projection of the sky that an address names.

    Raises
    ------
    InputError
        If it names none.
    """
    kind: Any = request.args.get("kind", "")
    frame: Any = request.args.get("frame", "icrs")
    if kind not in ("tan", "ait", "mol"):
        raise InputError(f"kind is {shorten(kind)!r}: allowed are tan, ait and mol")
    if frame not in get_args(SkyFrame):
        raise InputError(f"frame is {shorten(frame)!r}: allowed are {' and '.join(get_args(SkyFrame))}")
    ra_deg, dec_deg = parse.number(request.args, "ra", 0, 360), parse.number(request.args, "dec", -90, 90)
    if kind != "tan" and dec_deg != 0:
        raise InputError(f"dec is {dec_deg:g}: the all-sky projection is centred on the equator, dec=0")
    return Projection(kind, ra_deg % 360.0, dec_deg, frame)
