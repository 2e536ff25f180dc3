"""Lines of equal RA and Dec, or l and b, for any view of the sky, from all of it to an arcsecond, at round numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from atlas.catalog.position_text import base_60
from atlas.planes.region import Box
from atlas.sky.projection import Projection

Style = Literal["deg", "sexagesimal"]
Line = tuple[NDArray[np.float32], NDArray[np.float32]]

LINES = 6  # about so many of each kind; twice as many meridians where they go all round
_POINTS = 121
_SMALLEST_DEG = 1e-9  # narrower views have no lines: float64 hardly tells their positions apart
_FULL_CIRCLE_DEG = 300.0
_INSET_X, _INSET_Y = 0.06, 0.05  # labels stand so far inside the view's left and lower edges
_LABEL_WIDTH, _LABEL_HEIGHT = 0.12, 0.05  # two labels keep this share of the view apart, along one axis at least
# Round steps in seconds (of arc or of time), minutes, and degrees or hours.
_BASE_60 = (1, 2, 5, 10, 15, 20, 30)
_DEGREES = (1, 2, 5, 10, 15, 30, 45, 90)
_HOURS = (1, 2, 3, 6)


@dataclass(frozen=True)
class Graticule:
    """Lines and their labels, in degrees on the plane of a projection.

    Attributes
    ----------
    lines : list of (x, y)
        float32 arrays; NaN where a line leaves the view or the plane.
    labels : list of (x, y, text, kind)
        `kind` is "ra" or "dec".
    """

    lines: list[Line]
    labels: list[tuple[float, float, str, Literal["ra", "dec"]]]


def graticule(projection: Projection, box: Box, style: Style = "deg") -> Graticule:
    """Lines of equal longitude and latitude, of the projection's frame, that cross a view.

    Parameters
    ----------
    projection : Projection
        How the sky is seen.
    box : Box
        The view, in degrees on the projection's plane.
    style : {"deg", "sexagesimal"}
        Round in degrees, or in hours (RA) and degrees, minutes, seconds (Dec).
    """
    if projection.frame == "galactic":
        # On its own plane, longitudes and latitudes of any frame lie as those of another.
        projection, style = replace(projection, frame="icrs"), "deg"
    seen = _seen(projection, box)
    if seen is None:
        return Graticule([], [])
    (ra_low, ra_high), (dec_low, dec_high) = seen
    all_round = ra_high - ra_low > _FULL_CIRCLE_DEG
    ra_step = _step((ra_high - ra_low) / (2 * LINES if all_round else LINES), style, hours=True)
    dec_step = _step((dec_high - dec_low) / LINES, style, hours=False)
    result = Graticule([], [])
    decs = np.linspace(dec_low, dec_high, _POINTS)
    if all_round and projection.all_sky:
        for edge in (ra_low, ra_high):
            _add_line(result, box, *projection.forward(np.full(_POINTS, edge), decs))
    for k in range(int(np.ceil(ra_low / ra_step)), int(np.floor(ra_high / ra_step)) + 1):
        x, y = projection.forward(np.full(_POINTS, k * ra_step), decs)
        visible = box.contains(x, y)
        if visible.any():
            at = None if all_round else _crossing(y, x, box.y0 + _INSET_Y * box.height, visible)
            # Where all meridians meet in view, labels stand as far from the poles as can be.
            i = int(np.argmin(np.where(visible, np.abs(decs), np.inf)))
            place = (x[i], y[i]) if at is None else (at[1], at[0])
            _add_line(result, box, x, y)
            _add_label(result, box, place, _ra_text(k * ra_step, ra_step, style), "ra")
    ras = np.linspace(ra_low, ra_high, _POINTS)
    for k in range(int(np.ceil(dec_low / dec_step)), int(np.floor(dec_high / dec_step)) + 1):
        if abs(k * dec_step) < 90:
            x, y = projection.forward(ras, np.full(_POINTS, k * dec_step))
            visible = box.contains(x, y)
            if visible.any():
                at = _crossing(x, y, box.x0 + _INSET_X * box.width, visible)
                i = int(np.argmin(np.where(visible, x, np.inf)))
                place = (x[i], y[i]) if at is None else at
                _add_line(result, box, x, y)
                _add_label(result, box, place, _dec_text(k * dec_step, dec_step, style), "dec")
    return result


def _seen(projection: Projection, box: Box) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """Bounds of RA (high may exceed 360) and Dec in view; None where there is no sky, or next to none."""
    x, y = np.meshgrid(np.linspace(box.x0, box.x1, 41), np.linspace(box.y0, box.y1, 41))
    ra, dec = projection.inverse(x, y)
    on_sky = np.isfinite(ra)
    if not on_sky.any():
        return None
    # RA is counted from the view's middle; in an all-sky plane from its own, since it is cut half a turn away.
    middle = projection.ra_deg if projection.all_sky else float(ra[20, 20])
    away = (ra[on_sky] - middle + 180) % 360 - 180
    dec_low, dec_high = float(dec[on_sky].min()), float(dec[on_sky].max())
    pole_x, pole_y = projection.forward([0.0, 0.0], [-90.0, 90.0])
    south, north = box.contains(pole_x, pole_y)
    dec_low, dec_high = -90.0 if south else dec_low, 90.0 if north else dec_high
    ra_low, ra_high = middle + float(away.min()), middle + float(away.max())
    if south or north or ra_high - ra_low > _FULL_CIRCLE_DEG:
        # Not quite the whole turn: where an all-sky plane is cut, a line would jump from side to side.
        ra_low, ra_high = middle - 180 + 1e-6, middle + 180 - 1e-6
    if min(ra_high - ra_low, dec_high - dec_low) < _SMALLEST_DEG:
        return None
    return (ra_low, ra_high), (dec_low, dec_high)


def _step(least: float, style: Style, *, hours: bool) -> float:
    """The next larger round step, in degrees."""
    unit = 15.0 if hours and style == "sexagesimal" else 1.0
    steps = [unit * n for n in (_HOURS if unit == 15 else _DEGREES)]
    smallest = unit
    if style == "sexagesimal":
        steps = [unit * n / 3600 for n in _BASE_60] + [unit * n / 60 for n in _BASE_60] + steps
        smallest = unit / 3600
    if least < smallest:
        decade = smallest * 10 ** np.floor(np.log10(least / smallest))
        steps = [float(decade * n) for n in (1, 2, 5, 10)]
    return next((step for step in steps if step >= least), steps[-1])


def _crossing(
    along: NDArray[np.float64], other: NDArray[np.float64], level: float, visible: NDArray[np.bool_]
) -> tuple[float, float] | None:
    """Point where a line first reaches a level in one coordinate, next to where it is visible: (level, other)."""
    below = along < level
    steps = np.flatnonzero((below[1:] != below[:-1]) & (visible[1:] | visible[:-1]))
    if not steps.size:
        return None
    i = int(steps[0])
    share = (level - along[i]) / (along[i + 1] - along[i])
    at = other[i] + share * (other[i + 1] - other[i])
    return (level, float(at)) if np.isfinite(at) else None


def _add_line(result: Graticule, box: Box, x: NDArray[np.float64], y: NDArray[np.float64]) -> None:
    """Keep what is in view of a line, and a little more, so that it reaches the edge."""
    near = box.contains(x, y, margin=0.1 * max(box.width, box.height))
    result.lines.append((np.where(near, x, np.nan).astype(np.float32), np.where(near, y, np.nan).astype(np.float32)))


def _add_label(result: Graticule, box: Box, place: tuple[float, float], text: str, kind: Literal["ra", "dec"]) -> None:
    """Keep a label where it stands clear of the others."""
    apart = all(
        abs(place[0] - other[0]) > _LABEL_WIDTH * box.width or abs(place[1] - other[1]) > _LABEL_HEIGHT * box.height
        for other in result.labels
    )
    if apart and box.x0 <= place[0] <= box.x1 and box.y0 <= place[1] <= box.y1:
        result.labels.append((float(place[0]), float(place[1]), text, kind))


def _ra_text(ra_deg: float, step_deg: float, style: Style) -> str:
    if style == "deg":
        digits = _decimals(step_deg)
        return f"{round(ra_deg, digits) % 360:.{digits}f}°"
    digits = _decimals(step_deg * 240)
    units = round(ra_deg * 240 * 10**digits) % (86_400 * 10**digits)
    return _joined(base_60(units, digits), step_deg * 240, "ʰᵐˢ")


def _dec_text(dec_deg: float, step_deg: float, style: Style) -> str:
    sign = "−" if dec_deg < 0 else "+" if dec_deg > 0 else ""
    if style == "deg":
        return f"{sign}{abs(dec_deg):.{_decimals(step_deg)}f}°"
    digits = _decimals(step_deg * 3600)
    return sign + _joined(base_60(round(abs(dec_deg) * 3600 * 10**digits), digits), step_deg * 3600, "°′″")


def _joined(parts: tuple[str, str, str], step_seconds: float, signs: str) -> str:
    """As many parts as a step needs."""
    needed = 1 + (step_seconds < 3599.9) + (step_seconds < 59.9)
    return "".join(part + sign for part, sign in zip(parts[:needed], signs, strict=False))


def _decimals(step: float) -> int:
    """Decimals that a multiple of a round step needs."""
    return max(0, -int(np.floor(np.log10(step) + 1e-9)))
