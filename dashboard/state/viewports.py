"""Viewports: what is in view at first, and where a view moves.

The sky is seen in a projection: the whole sky in Hammer-Aitoff, anything smaller on a tangent plane.

A tangent plane keeps its centre while one pans near it, so that what is drawn stays where it is; it moves only when
the view has left the part where the plane is true.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np
from msgspec.structs import replace

from atlas import Atlas
from atlas.planes.column_plane import column_axes
from atlas.planes.plane import Plane
from atlas.sky.outlines import Circle
from atlas.sky.projection import Projection, tangent

from .page_state import Axes, Galaxy, SkyView, State, Viewport
from .sky_look import SkyLook

ALL_SKY_DEG = 80.0
ALL_SKY_BOX = Viewport(-170.0, 170.0, -88.0, 100.0)
HOME_MARGIN = 0.03
MARGIN = 1.15
COVER = 0.42
CLOSEST_ARCSEC = 1.0
CLOSE_DEG = 1.0
AROUND = 1.3
WIDEST_DEG = 480.0
STANDARD = SkyLook()


def home(atlas: Atlas, look: SkyLook = STANDARD) -> SkyView:
    """The view to begin with: all galaxies of a survey, or the middle of the picture where the sky has one."""
    background = atlas.manifest.sky_background
    if background is not None:
        # The middle of the picture fills the panel, which is wider than high; zooming out shows the rest.
        half_width, half_height = background.width_deg * MARGIN / 2, background.height_deg * COVER / 2
        projection = tangent(background.ra_deg, background.dec_deg, look.frame)
        return SkyView(projection, Viewport(-half_width, half_width, -half_height, half_height))
    return whole_survey(atlas, look)


def whole_survey(atlas: Atlas, look: SkyLook = STANDARD) -> SkyView:
    """The view of all galaxies of a survey."""
    ra_deg, dec_deg, radius_deg = atlas.sky.footprint
    if 2 * radius_deg > ALL_SKY_DEG:
        return whole_sky(look)
    half = max(math.degrees(math.tan(math.radians(radius_deg))) * MARGIN, CLOSEST_ARCSEC / 3600)
    return SkyView(tangent(ra_deg, dec_deg, look.frame), Viewport(-half, half, -half, half))


def whole_sky(look: SkyLook) -> SkyView:
    """All of the sky: about RA 12h, as surveys are drawn, or about the middle of the Milky Way."""
    return SkyView(Projection(look.whole, 180.0 if look.frame == "icrs" else 0.0, 0.0, look.frame), ALL_SKY_BOX)


def seen_as(atlas: Atlas, look: SkyLook, view: SkyView, kind: str, around: tuple[float, float] | None) -> SkyView:
    """The view in another frame or projection: the whole sky, or the same place as large as it was.

    Onto a tangent plane from all of the sky it goes to `around`, or else to the middle of the survey.
    """
    if kind != "tan":
        return whole_sky(look)
    width, height = view.box.x1 - view.box.x0, view.box.y1 - view.box.y0
    if view.projection.all_sky:
        ra_deg, dec_deg = around or atlas.sky.footprint[:2]
        width, height = ALL_SKY_DEG * COVER, ALL_SKY_DEG * COVER / 2
    else:
        middle = view.projection.inverse((view.box.x0 + view.box.x1) / 2, (view.box.y0 + view.box.y1) / 2)
        ra_deg, dec_deg = (float(v) for v in middle)
    return SkyView(tangent(ra_deg, dec_deg, look.frame), Viewport(-width / 2, width / 2, -height / 2, height / 2))


def follow(atlas: Atlas, projection: Projection, box: Viewport, look: SkyLook = STANDARD) -> SkyView:
    """The view after a pan or zoom that left `box` in view of `projection`."""
    width, height = box.x1 - box.x0, box.y1 - box.y0
    extent = max(width, height)
    x, y = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
    if projection.all_sky:
        if width > WIDEST_DEG:
            return SkyView(projection, ALL_SKY_BOX)
        if width > ALL_SKY_DEG:
            return SkyView(projection, box)
        return _centred(projection, x, y, width, height) or SkyView(projection, box)
    if width > ALL_SKY_DEG and 2 * atlas.sky.footprint[2] > ALL_SKY_DEG:
        return whole_sky(look)
    if math.hypot(x, y) <= max(2 * extent, 2.0) and math.hypot(x, y) < 10:
        return SkyView(projection, box)
    return _centred(projection, x, y, width, height) or SkyView(projection, box)


def reveal(
    atlas: Atlas, view: SkyView | None, galaxy: Galaxy, *, closer: bool, look: SkyLook = STANDARD
) -> SkyView | None:
    """The view moved to a galaxy, or None where it is in view already; `closer` leaves the all-sky view for it."""
    if view is None:
        view = home(atlas, look)
    there = tangent(galaxy.ra_deg, galaxy.dec_deg, look.frame)
    if closer and view.projection.all_sky:
        return SkyView(there, Viewport(-CLOSE_DEG, CLOSE_DEG, -CLOSE_DEG / 2, CLOSE_DEG / 2))
    x, y = (float(v) for v in view.projection.forward(galaxy.ra_deg, galaxy.dec_deg))
    box = view.box
    if box.x0 <= x <= box.x1 and box.y0 <= y <= box.y1:
        return None
    if view.projection.all_sky:
        return whole_sky(look)
    half_width, half_height = (box.x1 - box.x0) / 2, (box.y1 - box.y0) / 2
    return SkyView(there, Viewport(-half_width, half_width, -half_height, half_height))


def frame(atlas: Atlas, around: Circle, look: SkyLook = STANDARD) -> SkyView:
    """The view that holds a circle with room around it: all of the sky where no tangent plane can."""
    ra_deg, dec_deg, radius_deg = around
    if 2 * radius_deg > ALL_SKY_DEG / 2:
        return home(atlas, look)
    half = max(math.degrees(math.tan(math.radians(radius_deg))), CLOSEST_ARCSEC / 3600) * AROUND
    return SkyView(tangent(ra_deg, dec_deg, look.frame), Viewport(-half, half, -half, half))


def home_box(plane: Plane) -> Viewport:
    """The viewport to begin with: the whole plane, but for outliers so far off that the rest would be a dot."""
    e = plane.frame
    pad_x, pad_y = (e.x1 - e.x0) * HOME_MARGIN, (e.y1 - e.y0) * HOME_MARGIN
    return Viewport(e.x0 - pad_x, e.x1 + pad_x, e.y0 - pad_y, e.y1 + pad_y)


def reveal_on_map(box: Viewport | None, x: float, y: float) -> Viewport | None:
    """The viewport moved, not scaled, so that a point comes to its middle; None where it is in view already."""
    if box is None or not np.isfinite([x, y]).all() or (box.x0 <= x <= box.x1 and box.y0 <= y <= box.y1):
        return None
    half_width, half_height = (box.x1 - box.x0) / 2, (box.y1 - box.y0) / 2
    x, y = float(np.float32(x)), float(np.float32(y))
    return Viewport(x - half_width, x + half_width, y - half_height, y + half_height)


def are_numbers(atlas: Atlas, axes: Axes) -> bool:
    """Whether an atlas has both columns of some axes, as numbers."""
    columns = atlas.columns(atlas.default_space)
    return all(name in columns and columns.describe(name).kind == "number" for name in (axes.x, axes.y))


def grounded(atlas: Atlas, state: State) -> State:
    """A state whose viewport of columns is counted as this atlas draws them, with the values in view that it had.

    A link tells what it was counted from; where only one of the two has logarithms, all of the plane is shown. Links
    of before that are taken as they stand. A second map is of another space that the atlas has.
    """
    if state.second_space and state.second_space not in {*atlas.space_names} - {atlas.default_space}:
        state = replace(state, second_space="", second=None)
    if state.axes is None or state.map is None or not are_numbers(atlas, state.axes):
        return replace(state, map_on=None)
    now = column_axes(atlas.columns(atlas.default_space), state.axes.x, state.axes.y)
    box = state.map
    if state.map_on is not None and state.map_on != now:
        try:
            with np.errstate(all="ignore"):  # a link may say anything: what no box can be is no view
                corners = state.map_on.moved(np.array([[box.x0, box.y0], [box.x1, box.y1]]), now)
            (x0, y0), (x1, y1) = [] if corners is None else corners.tolist()
            box = msgspec.convert({"x0": x0, "x1": x1, "y0": y0, "y1": y1}, Viewport)
        except (ValueError, OverflowError):
            return replace(state, map=None, map_on=None)
    return replace(state, map=box, map_on=now)


def _centred(projection: Projection, x: float, y: float, width: float, height: float) -> SkyView | None:
    ra_deg, dec_deg = (float(v) for v in projection.inverse(x, y))
    if math.isnan(ra_deg):
        return None
    return SkyView(tangent(ra_deg, dec_deg, projection.frame), Viewport(-width / 2, width / 2, -height / 2, height / 2))
