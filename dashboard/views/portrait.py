"""The image of a galaxy with its scale and directions: only where the atlas knows them, and said where it does not."""

from __future__ import annotations

from typing import Any

import msgspec
from dash import html

from atlas import Atlas
from atlas.catalog.places import round_arcsec, size_words

from ..service.remote_images import context_arcsec
from ..state.image_look import ImageLook
from . import elements as el

LONGEST_BAR = 0.4  # of the image's width
SEEN_WIDTHS = 1.02  # an image that shows more than this of what the search saw gets a box


class ImageField(msgspec.Struct, frozen=True):
    """Field of an image on the sky.

    Attributes
    ----------
    width_arcsec : float or None
        How much sky it shows, from side to side.
    up_deg : float or None
        Position angle of its upper edge, degrees from north to east.
    """

    width_arcsec: float | None
    up_deg: float | None


def own_field(atlas: Atlas, row: int) -> ImageField | None:
    """Field of the image that the atlas keeps of a galaxy; None where it keeps none."""
    images = atlas.manifest.thumbnails
    if images is None or atlas.thumbnails is None or not atlas.thumbnails.has(row):
        return None
    width = None if images.scale_arcsec is None else images.scale_arcsec * images.pixels
    if images.width_column:
        width = atlas.columns(atlas.default_space).values(images.width_column, [row])[0]
    return ImageField(width if width and width > 0 else None, images.up_deg)


def portrait(atlas: Atlas, row: int, name: str, look: ImageLook, cutouts: tuple[str, ...] = ()) -> html.Div:
    """A galaxy's image large, with a scale bar, north and east, and the part that the search saw.

    It is a cut-out of a service where one was chosen, or where the atlas has no image and any may be asked.
    """
    own = own_field(atlas, row)
    image = el.image(atlas, row, f"galaxy {name}", large=True)
    notes = [html.Div(_note(own), className="gf-note gf-of-own")] if _note(own) else []
    service = look.source if look.source in cutouts else cutouts[0] if cutouts and own is None else ""
    if service:
        width = context_arcsec(atlas, look.context)
        field: ImageField | None = ImageField(width, 0.0)
        notes += [html.Div(f"{service}, {width:.3g}″ wide", className="gf-note gf-of-service"),
                  html.Div(f"{service} has no image here.", className="gf-note gf-none"),
                  html.Div(f"{service} does not answer.", className="gf-note gf-away"),
                  html.Div(f"{service} is being asked.", className="gf-note gf-coming")]  # fmt: skip
    else:
        field = own
    marks = [] if field is None else marks_over(field, atlas.manifest.seen_arcsec)
    kind = "gf-picture of-service" if service else "gf-picture"
    return html.Div([html.Div([image, *marks], className=kind), *notes], className="gf-portrait")


def marks_over(field: ImageField, seen_arcsec: float | None) -> list[Any]:
    """All that lies over an image of a field."""
    return [*bar_over(field), *directions_over(field), *seen_box(field, seen_arcsec)]


def bar_over(field: ImageField) -> list[Any]:
    """A bar of a round length; none where the scale is not known."""
    if field.width_arcsec is None:
        return []
    length = round_arcsec(LONGEST_BAR * field.width_arcsec)
    share = {"width": f"{100 * length / field.width_arcsec:.2f}%"}
    about = f"Scale: the image is {field.width_arcsec:.3g}″ wide"
    return [html.Span(html.B(size_words(length)), className="gf-bar", style=share, **el.why(about))]


def directions_over(field: ImageField) -> list[Any]:
    """Arrows to north and east; none where nobody said which way is north."""
    if field.up_deg is None:
        return []
    # Position angles grow anticlockwise, CSS turns clockwise: north lies as far from the upper edge as that from it.
    turned = {"transform": f"rotate({field.up_deg:g}deg)"}
    upright = {"transform": f"rotate({-field.up_deg:g}deg)"}
    about = "North and east" + ("" if field.up_deg == 0 else ", as this image lies on the sky")
    return [
        html.Span(
            [html.I(className="north"), html.I(className="east"), html.B("N", className="north", style=upright),
             html.B("E", className="east", style=upright)],
            className="gf-compass", style=turned, **el.why(about),
        )
    ]  # fmt: skip


def seen_box(field: ImageField, seen_arcsec: float | None) -> list[Any]:
    """A box around what the encoder saw, where the image shows more."""
    if seen_arcsec is None or field.width_arcsec is None or field.width_arcsec < SEEN_WIDTHS * seen_arcsec:
        return []
    inset = f"{50 * (1 - seen_arcsec / field.width_arcsec):.2f}%"
    why = f"What the search saw: the middle {seen_arcsec:.3g}″"
    return [html.Span(className="gf-seen", style={"inset": inset}, **el.why(why))]


def _note(field: ImageField | None) -> str:
    """Note on an image that is no picture of the galaxy, or on what nobody said of it."""
    if field is None:
        return "No image of this galaxy: the pattern is its embedding."
    unknown = [word for word, told in (("scale", field.width_arcsec), ("north", field.up_deg)) if told is None]
    return "" if not unknown else f"Not known of this image: its {' and '.join(unknown)}."
