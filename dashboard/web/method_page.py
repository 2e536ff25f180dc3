"""`/method`: what self-supervised similarity is, for a newcomer, in pictures of the atlas that is served."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import msgspec
from flask import Blueprint, Flask, Response, render_template, request
from markupsafe import Markup

from atlas import Atlas

from ..cache.results import Cached
from ..interaction import browser_events as parse
from ..service.atlas_service import Service
from ..service.galaxies import galaxy
from ..service.method_figures import (
    BINS,
    CLUSTERS,
    SAMPLE,
    SimilarityFigure,
    odd_galaxies,
    similarity_figure,
)
from ..state.page_state import State
from ..state.viewports import home_box
from ..views.clusters import cluster_name
from ..views.palette import theme
from .icon import ICON
from .routes import BOOTSTRAP_URL

ALTERED, ANOTHER = ("turned", "mirrored", "shifted", "blurred", "noisier"), "another"
"""Names in the manifest's `invariance`; method.css alters the pictures likewise."""

MOST_EXAMPLES = 999
MAP_PIXELS = (720, 480)
BARS = (600, 90)
"""Width and height of the histogram, in units of its drawing."""

PAPERS = (
    ("Hayat, Stein, Harrington, Lukić & Mustafa 2021",
     "Self-supervised representation learning for astronomical images",
     "ApJL 911, L33", "2012.13083"),
    ("Stein, Harrington, Blaum, Medan & Lukić 2021", "Self-supervised similarity search for large scientific datasets",
     "", "2110.00023"),
    ("Stein, Blaum, Harrington, Medan & Lukić 2022",
     "Mining for strong gravitational lenses with self-supervised learning", "ApJ 932, 107", "2110.13151"),
)  # fmt: skip


class Tile(msgspec.Struct, frozen=True):
    """A galaxy as the page shows it: its image, where it leads, its name, and words beneath."""

    image: str
    link: str
    name: str
    words: str = ""


def register_method(server: Flask, service: Service, cached: Cached) -> None:
    """Add the page to a server."""
    pages = Blueprint("method", __name__, template_folder="templates")

    @pages.get("/method")
    def method() -> Response:
        atlas = service.atlas
        light = "light" in request.args and parse.whole(request.args, "light", 0, 1) == 1
        number = parse.whole(request.args, "example", 0, MOST_EXAMPLES) if "example" in request.args else 0
        key = (atlas.build_id, "method", number)
        figure = cached.answer(key, lambda: similarity_figure(atlas, number), SimilarityFigure)
        return Response(render_template("method.html", **_words(atlas, service, figure, number, light)))

    server.register_blueprint(pages)


def _words(atlas: Atlas, service: Service, figure: SimilarityFigure, number: int, light: bool) -> dict[str, Any]:
    """Everything that the template names."""
    space = atlas.space()

    def tile(row: int, words: str = "") -> Tile:
        one = galaxy(atlas, row)
        link = f"/?s={service.link(State(focus=one, light=light))}"
        return Tile(f"/cutout/{atlas.build_id}/{row}.webp", link, one.id, words)

    def alike(name: str) -> list[Tile]:
        return [tile(one.row, _figure(one.similarity)) for one in getattr(figure, name)]

    drawn = f"{figure.n_sampled:,} drawn at random" if atlas.n_rows > SAMPLE else "all others"
    more: dict[str, str | int] = {"light": 1} if light else {}
    return {
        "atlas": atlas.manifest,
        "space": space,
        "quality": space.quality,
        "light": light,
        "icon": Markup(ICON),  # noqa: S704, ours
        "bootstrap": BOOTSTRAP_URL,
        "home": f"/?s={service.link(State(light=True))}" if light else "/",
        "next": "/method?" + urlencode({**more, "example": (number + 1) % (MOST_EXAMPLES + 1)}) + "#similarity",
        "altered": [("itself", "1"), *_altered(atlas)] if atlas.manifest.invariance else [],
        "another": _figure(atlas.manifest.invariance.get(ANOTHER, 0.0)),
        "example": tile(figure.row),
        "rows": [
            ("Most similar", f"of all {atlas.n_rows:,}", alike("most")),
            ("Middling", f"half of {drawn} are more similar", alike("middling")),
            ("Least similar", "of those", alike("least")),
        ],
        "figure": figure,
        "drawn": drawn,
        "bars": _bars(figure),
        "map": _map(atlas, service, figure, light),
        "clusters": [
            tile(c.medoid, f"{cluster_name(c.label, space.cluster_words.get(c.label, ()))}: {c.size:,}")
            for c in space.clusters[:CLUSTERS]
        ],
        "odd": [tile(one.row, one.why) for one in odd_galaxies(atlas)],
        "papers": PAPERS,
    }


def _altered(atlas: Atlas) -> list[tuple[str, str]]:
    return [(name, _figure(alike)) for name, alike in atlas.manifest.invariance.items() if name in ALTERED]


def _figure(similarity: float) -> str:
    return f"{similarity:.3f}".replace("-", "−")


def _bars(figure: SimilarityFigure) -> dict[str, Any]:
    """The histogram of similarities, drawn in `BARS`: bars, ticks, and marks of the most similar."""
    width, height = BARS
    top = max(*figure.counts, 1)
    step = width / BINS

    def across(similarity: float) -> float:
        return round((similarity - figure.low) / (1 - figure.low) * width, 1)

    n_ticks = round((1 - figure.low) / 0.2)
    ticks = [round(1 - 0.2 * i, 1) for i in range(n_ticks + 1)]
    return {
        "width": width,
        "height": height,
        "boxes": [
            (round(i * step, 1), round(height - height * n / top, 1), round(step - 1, 1), round(height * n / top, 1))
            for i, n in enumerate(figure.counts)
        ],
        "ticks": [(across(t), f"{t:g}".replace("-", "−")) for t in ticks if t >= figure.low],
        "marks": [across(one.similarity) for one in figure.most],
    }


def _map(atlas: Atlas, service: Service, figure: SimilarityFigure, light: bool) -> dict[str, Any]:
    """The map's density by its address, and what lies on it, in per cent of its width and height."""
    space = atlas.space()
    box, (width, height) = home_box(space.plane), MAP_PIXELS
    edges = {name: getattr(box, name) for name in ("x0", "x1", "y0", "y1")}
    address = urlencode({**edges, "w": width, "h": height, "light": int(light)})

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            round(100 * (x - box.x0) / (box.x1 - box.x0), 2),
            round(100 * (box.y1 - y) / (box.y1 - box.y0), 2),
        )

    xs, ys = (space.columns.array(name) for name in ("map_x", "map_y"))
    near = [figure.row, *(one.row for one in figure.most)]
    return {
        "image": f"/raster/{atlas.build_id}/map.png?{address}",
        "background": theme(light).background,
        "points": [(*place(float(xs[row]), float(ys[row])), at == 0) for at, row in enumerate(near)],
        "clusters": [
            (*place(c.map_x, c.map_y), f"/cutout/{atlas.build_id}/{c.medoid}.webp") for c in space.clusters[:CLUSTERS]
        ],
    }
