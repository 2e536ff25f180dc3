"""The gallery: galaxies in order, with what ordered them; and the doors of the first screen."""

from __future__ import annotations

from typing import Any

import numpy as np
from dash import Dash, Input, Output, html

from atlas import Atlas, Query, Result
from atlas.catalog.anomalies import DEFAULT, DETECTORS, PERCENTILES
from atlas.catalog.cluster_labels import Word
from atlas.catalog.reasons import reasons
from atlas.catalog.senses import explanation
from atlas.queries.ranking import ByColumn, Shuffled, Similar, SimilarToGroup, Typical
from atlas.queries.selection import All

from ..interaction import browser_events as parse
from ..service.atlas_service import Service
from ..service.gallery_query import question_of
from ..service.index_loading import LoadingState
from ..state.page_state import State
from . import elements as el
from . import status

DOOR_IMAGES = 6
ABOUT_SIMILARITY = "Similarity: the cosine of the angle between two embeddings; 1 is the same, 0 has nothing in common."
NO_ANSWER: dict[LoadingState, str] = {
    "loading": "Search is loading. The map, the sky, filters and selections answer meanwhile; this follows by itself.",
    "failed": "Search does not answer: its index could not be loaded. Everything else on this page works.",
}


def contents(
    atlas: Atlas, query: Query | None, result: Result | None, state: State, progress: LoadingState
) -> list[Any]:
    """What the gallery holds: galaxies, the doors where nothing is asked, or why there is no answer yet."""
    if query is None:
        return doors(atlas)
    if result is None:
        return [el.empty(NO_ANSWER[progress])]
    return tiles(atlas, query, result, state)


def tiles(atlas: Atlas, query: Query, result: Result, state: State) -> list[Any]:
    """One button a galaxy, best first.

    A tile shows the score that ordered it: cosine similarity, or the column's value.
    """
    if result.rows.size == 0:
        what = "Drop the filters" if isinstance(state.selection, All) else "Clear the selection"
        return [el.empty(f"No galaxy here. {what} (Esc), or look outside.")]
    names, captions = atlas.identity.names(result.rows), _captions(atlas, query, result)
    wanted = {g.id for g in state.wanted}
    unwanted = {g.id for g in state.unwanted}
    focus = state.focus.id if state.focus else None
    found = []
    for rank, (row, caption, name) in enumerate(zip(result.rows.tolist(), captions, names, strict=True), 1):
        mark = " wanted" if name in wanted else " unwanted" if name in unwanted else ""
        found.append(
            html.Button(
                [el.image(atlas, row, f"galaxy {name}, number {rank}"), *caption],
                type="button",
                className=f"gf-tile{mark}{' current' if name == focus else ''}",
                **el.pick(atlas, row),
                **{"data-row": str(row), "data-id": name},
            )
        )
    return found


def _captions(atlas: Atlas, query: Query, result: Result) -> list[list[html.Span]]:
    """What stands under each image: its score, and of an anomaly the word that tells most of it."""
    ranking, meaning = query.ranking, _meaning(atlas, query)
    scores = result.scores.astype(np.float64).tolist()
    if not (isinstance(ranking, ByColumn) and ranking.column in DETECTORS):
        return [[] if np.isnan(s) else [_figure(f"{s:.3f}", meaning)] for s in scores]
    space = atlas.space(query.space)
    found = reasons(atlas.columns(query.space), space.telling_columns, result.rows)
    detector = DETECTORS[ranking.column]
    captions = []
    for score, word in zip(scores, found, strict=True):
        told = f"{score:.3f}"
        here = f"{detector.finding[:1].upper()}{detector.finding[1:]}: {told}."
        if ranking.column in PERCENTILES:
            told = percentile_text(score)
            here = f"{detector.finding[:1].upper()}{detector.finding[1:]}: {told} of the galaxies are less so."
        captions.append([_figure(told, f"{here} {_why(word)}"), *_short(word)])
    return captions


def percentile_text(percentile: float) -> str:
    """A percentile with the digits that tell it from its end: 87 %, 99.4 %, 99.9993 %."""
    above = 100 - percentile
    digits = int(np.ceil(-np.log10(above))) if 1e-5 < above < 1 else 0
    return f"{np.floor(percentile * 10**digits) / 10**digits:.{digits}f} %"


def _figure(text: str, why: str) -> html.Span:
    return html.Span(text, className="gf-score", **el.why(why))


def _why(word: Word | None) -> str:
    return "" if word is None else f"{word.why[:1].upper()}{word.why[1:]}."


def _short(word: Word | None) -> list[html.Span]:
    return [] if word is None else [html.Span(word.text, className="gf-reason")]


def _meaning(atlas: Atlas, query: Query) -> str:
    """What the figure under an image says."""
    if isinstance(query.ranking, ByColumn):
        return explanation(atlas.columns(query.space).describe(query.ranking.column))
    return ABOUT_SIMILARITY


def title(query: Query | None, atlas: Atlas) -> str:
    """What the gallery shows, in words."""
    if query is None:
        return "Begin"
    match query.ranking:
        case SimilarToGroup():
            return "Least like the group" if query.ranking.least else "Most like the group"
        case Similar(_, _, True):
            return "Least similar"
        case Similar((), unwanted):
            return f"Unlike {len(unwanted)}"
        case Similar(wanted, unwanted):
            several = f" to {len(wanted)}" if unwanted or len(wanted) > 1 else ""
            return f"Most similar{several}" + (f", unlike {len(unwanted)}" if unwanted else "")
        case Typical(cluster):
            return f"Cluster {cluster}, most typical first"
        case ByColumn(column):
            if column in DETECTORS:
                return f"Most anomalous: {DETECTORS[column].title}"
            described = atlas.columns(query.space).describe(column)
            return f"Most anomalous: {described.description[:1].lower()}{described.description[1:]}"
        case Shuffled():
            return "A random sample"
    return ""


def doors(atlas: Atlas) -> list[Any]:
    """The first screen's ways in: a galaxy, the clusters, the anomalies."""
    space = atlas.space()
    rng = np.random.default_rng(int(atlas.build_id, 16))
    # Surveys list bright galaxies first, and those show best what an image holds.
    first = min(atlas.n_rows, max(DOOR_IMAGES, atlas.n_rows // 10))
    some = rng.choice(first, size=min(DOOR_IMAGES, first), replace=False)
    medoids = [c.medoid for c in space.clusters[:DOOR_IMAGES]]
    return [
        _door("A galaxy", "Pick any, or type a position above; see what looks like it.", some.tolist(), atlas,
              el.button("Random galaxy", kind="accent", is_="random")),
        _door("The clusters", f"{len(space.clusters)} groups that the map falls into.", medoids, atlas,
              el.button("Browse clusters", is_="change", drawer="clusters")),
        _door("The anomalies", "Odd for their brightness: rare galaxies and bad data.",
              space.outliers[:DOOR_IMAGES].tolist(), atlas,
              el.button("Browse anomalies", is_="change", order=DEFAULT)),
    ]  # fmt: skip


def _door(name: str, text: str, rows: list[int], atlas: Atlas, action: Any) -> html.Section:
    strip = [
        html.Button(el.image(atlas, int(row), f"galaxy {atlas.identity.name(int(row))}"), type="button",
                    className="gf-tile small", **el.pick(atlas, int(row)), **{"data-row": str(int(row))})
        for row in rows
    ]  # fmt: skip
    return html.Section(
        [
            html.Div([html.H3(name), html.P(text), action], className="gf-door-text"),
            html.Div(strip, className="gf-strip"),
        ],
        className="gf-door",
    )


def register(app: Dash, service: Service) -> None:
    """Answer the gallery's question where it has changed, or search has become ready."""

    @app.callback(
        output={
            "tiles": Output("gallery", "children"),
            "title": Output("gallery-title", "children"),
            "answer": Output("status-answer", "children"),
            "engine": Output("status-engine", "children"),
            "receipt": Output("status-receipt", "children"),
            "done": Output("search-again", "disabled"),
        },
        inputs=[Input("part-gallery", "data"), Input("search-again", "n_intervals")],
        prevent_initial_call=True,
    )
    def on_gallery(part: Any, _: Any) -> dict[str, Any]:
        state = parse.state(part)
        atlas = service.atlas
        # Asked before the search: where the index comes into memory in between, the page asks once more.
        progress = service.progress(atlas)
        question = question_of(atlas, state)
        result = None if question.query is None else service.run(question.query, atlas)
        return {
            "tiles": contents(atlas, question.query, result, state, progress),
            "title": title(question.query, atlas),
            "answer": status.how_found(question, result, state),
            "engine": status.engine(atlas, progress),
            "receipt": status.receipt_line(atlas, result, service.link(state)),
            "done": progress != "loading",
        }
