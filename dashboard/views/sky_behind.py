"""The picture of the sky that another server sends, behind the points, where one was chosen.

Nobody waits for it: where it is not kept yet, the browser asks for it (assets/2-behind.js) and keeps what lay there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from msgspec.structs import astuple

from ..service.atlas_service import Service
from ..service.sky_pictures import SkyPictureAsked
from ..sky_services import read_sky_services
from ..state.page_state import SkyView, Viewport, has_width
from . import figure as fig

DIMMED = 0.8
# Room around what is in view, for small moves and for panels of other proportions.
MARGIN, WIDEST_PANEL, NARROWEST_PANEL = 1.1, 2.4, 1.4
ALL_SKY = Viewport(-163.0, 163.0, -82.0, 82.0)


@dataclass(frozen=True, kw_only=True)
class Behind:
    """Picture behind the points.

    Attributes
    ----------
    image : dict
        Of the layout.
    shown : bool
        Whether it is kept, so that it can be shown at once.
    told : dict
        What the browser needs to ask for it, and to name it.
    """

    image: dict[str, Any]
    shown: bool
    told: dict[str, Any]


def behind(service: Service, name: str, view: SkyView, plane: str) -> Behind | None:
    """The picture of that name behind a view, and have it fetched where it is not kept; `plane` names the projection.

    None where no such service is listed, or nothing of the sky is in view.
    """
    services = read_sky_services(service.settings.sky_images)
    nth = next((at for at, one in enumerate(services) if one.name == name), None)
    box = room_around(view)
    if nth is None or box is None:
        return None
    projection = view.projection
    shown = isinstance(service.remote_images.picture(SkyPictureAsked(services[nth], projection, box)), bytes)
    where = dict(zip(("x0", "x1", "y0", "y1"), map(repr, astuple(box)), strict=True))
    asked = {"kind": projection.kind, "frame": projection.frame, "ra": repr(projection.ra_deg),
             "dec": repr(projection.dec_deg), **where}  # fmt: skip
    address = f"/behind/{nth}.webp?{urlencode(asked)}"
    place = fig.picture_below(box.x0, box.y1, box.x1 - box.x0, box.y1 - box.y0)
    image = {**place, "source": address, "opacity": DIMMED}
    credit = f"{name}: {services[nth].credit}" if services[nth].credit else name
    told = {"image": image, "plane": f"{nth} {plane}", "name": name, "credit": credit, "shown": shown}
    return Behind(image=image, shown=shown, told=told)


def room_around(view: SkyView) -> Viewport | None:
    """Part of a plane that a picture covers for a view; None where that is beside an all-sky plane."""
    box = view.box
    width, height = box.x1 - box.x0, box.y1 - box.y0
    half_x = max(MARGIN * width, WIDEST_PANEL * height) / 2
    half_y = max(MARGIN * height, width / NARROWEST_PANEL) / 2
    x, y = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
    sides = x - half_x, x + half_x, y - half_y, y + half_y
    if view.projection.all_sky:
        limits = astuple(ALL_SKY)
        sides = (max(sides[0], limits[0]), min(sides[1], limits[1]), max(sides[2], limits[2]), min(sides[3], limits[3]))
    return Viewport(*sides) if has_width(*sides[:2]) and has_width(*sides[2:]) else None
