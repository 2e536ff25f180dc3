"""The gallery: galaxies in order, with what ordered them; and the doors of the first screen."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from dash import Dash, Input, Output, html

from atlas import Atlas, Query, Result
from atlas.catalog.anomalies import DEFAULT, DETECTORS, PERCENTILES
from atlas.catalog.cluster_labels import Word
from atlas.catalog.mixtures import MixedColumn, mixture_name
from atlas.catalog.reasons import reasons
from atlas.catalog.senses import explanation
from atlas.cluster_names import NamesHere
from atlas.errors import InputError
from atlas.queries.ranking import ByColumn, ByDetectors, ByLabels, Shuffled, Similar, SimilarToGroup, Typical
from atlas.queries.selection import All
from atlas.storage.manifest import Column

from ..interaction.held_state import read_state
from ..service.atlas_service import Service
from ..service.gallery_query import question_of
from ..service.index_loading import LoadingState
from ..state.page_state import State
from . import elements as el
from . import status
from .facts import meaning_of, value_texts
from .twins import twin_choice

DOOR_IMAGES = 6
MOST_BESIDE = 2  # detectors that stand under an image
ABOUT_SIMILARITY = "Similarity: the cosine of the angle between two embeddings; 1 is the same, 0 has nothing in common."
ABOUT_LABELS = {
    "like": "Likeness to each that you want and not to the rest, plus oddness; every galaxy is scored.",
    "uncertain": "Distance from the middle between what you want and what not, with a minus: nought is most uncertain.",
    "unlike": "Unlikeness to the middle of all labelled galaxies, in units of its scatter over all, plus oddness.",
}
NO_ANSWER: dict[LoadingState, str] = {
    "loading": "Search is loading. The map, the sky, filters and selections answer meanwhile; this follows by itself.",
    "failed": "Search does not answer: its index could not be loaded. Everything else on this page works.",
}


def contents(
    atlas: Atlas, query: Query | None, result: Result | None, state: State, progress: LoadingState
) -> list[Any]:
    """Content of the gallery: galaxies, the doors where nothing is asked, or why there is no answer yet."""
    if query is None:
        return doors(atlas)
    if result is None:
        return [el.empty(NO_ANSWER[progress])]
    if result.rows.size == 0:
        what = "Drop the filters" if isinstance(state.selection, All) else "Clear the selection"
        return [el.empty(f"No galaxy here. {what} (Esc), or look outside.")]
    told = msgspec.json.encode(gallery_list(atlas, query, result, state)).decode()
    return [html.Div(hidden=True, **{"data-list": told})]


class GalleryList(msgspec.Struct, frozen=True, omit_defaults=True):
    """Galaxies as the browser draws a tile for each (assets/4-gallery.js): some 30 bytes a galaxy, where components of
    Dash take 600 and, by the thousand, two minutes.

    Attributes
    ----------
    build : str
    rows, ids : list
        Best first.
    scores : list of str
        What stands under each image: its cosine similarity, or the column's value; empty where nothing ordered them.
    whys : list of str
        What the figures mean: one for all, or one each.
    words : list of str
        A second line of each; none where empty.
    captions : list of tuple of str, list of str
        Columns that were chosen, each with what it means and its value of every galaxy.
    marks : dict of int to str
        By place, from 0, those that are examples or the focus.
    """

    build: str
    rows: list[int]
    ids: list[str]
    scores: list[str] = []
    whys: list[str] = []
    words: list[str] = []
    captions: list[tuple[str, list[str]]] = []
    marks: dict[int, str] = {}


def gallery_list(atlas: Atlas, query: Query, result: Result, state: State) -> GalleryList:
    """The galaxies of an answer with what stands under their images."""
    names = atlas.identity.names(result.rows)
    scores, whys, words = _captions(atlas, query, result)
    given = {**{g.id: "wanted" for g in state.wanted}, **{g.id: "unwanted" for g in state.unwanted}}
    focus = state.focus.id if state.focus else None
    marks = (f"{given.get(name, '')} {'current' if name == focus else ''}".strip() for name in names)
    marked = {at: mark for at, mark in enumerate(marks) if mark}
    shown = [atlas.columns(query.space).describe(name) for name in state.captions]
    captions = [(f"{c.name}: {meaning_of(atlas, c)}", _short(c, value_texts(atlas, c, result.rows))) for c in shown]
    return GalleryList(atlas.build_id, result.rows.tolist(), names, scores, whys, words, captions, marked)


def _short(column: Column, texts: list[str]) -> list[str]:
    """Values without their unit, which an image's width has no room for."""
    return [text.removesuffix(column.unit).rstrip() for text in texts] if column.unit else texts


def _captions(atlas: Atlas, query: Query, result: Result) -> tuple[list[str], list[str], list[str]]:
    """Captions of the images, what each means, and of an anomaly the word that tells most of it."""
    ranking, scores = query.ranking, result.scores.astype(np.float64).tolist()
    if isinstance(ranking, ByDetectors):
        return _mixed_captions(atlas, query.space, ranking, result)
    if not (isinstance(ranking, ByColumn) and ranking.column in DETECTORS):
        told = ["" if np.isnan(s) else f"{s:.3f}" for s in scores]
        return (told, [_meaning(atlas, query)], []) if any(told) else ([], [], [])
    space = atlas.space(query.space)
    found = reasons(atlas.columns(query.space), space.telling_columns, result.rows)
    finding = DETECTORS[ranking.column].finding
    finding = f"{finding[:1].upper()}{finding[1:]}"
    is_share = ranking.column in PERCENTILES
    told = [percentile_text(score) if is_share else f"{score:.3f}" for score in scores]
    more = " of the galaxies are less so" if is_share else ""
    whys = [f"{finding}: {text}{more}. {_why(word)}" for text, word in zip(told, found, strict=True)]
    return told, whys, ["" if word is None else word.text for word in found]


def _mixed_captions(
    atlas: Atlas, space: str, ranking: ByDetectors, result: Result
) -> tuple[list[str], list[str], list[str]]:
    """As `_captions`, where several detectors order: what each of them says, the odder first."""
    columns = atlas.columns(space)
    each = MixedColumn(columns, ranking.detectors, ranking.mixed_by).each(result.rows)
    found = reasons(columns, atlas.space(space).telling_columns, result.rows)
    how = "the highest of these" if ranking.mixed_by == "highest" else "by their mean"
    told, whys = [], []
    for at, (score, word) in enumerate(zip(result.scores.tolist(), found, strict=True)):
        said = {DETECTORS[name].brief: float(values[at]) for name, values in each.items() if values[at] == values[at]}
        lines = [
            f"{brief} {percentile_text(value).removesuffix(' %')}"
            for brief, value in sorted(said.items(), key=lambda one: -one[1])
        ]
        told.append(" · ".join(lines[:MOST_BESIDE]))
        all_of_them = f"{el.capitalised(', '.join(lines))}: per cent of the galaxies are less so"
        whys.append(
            f"{all_of_them}; {percentile_text(score)} {how}. {_why(word)}" if lines else "No detector knows it."
        )
    return told, whys, ["" if word is None else word.text for word in found]


def percentile_text(percentile: float) -> str:
    """A percentile with the digits that tell it from its end: 87 %, 99.4 %, 99.9993 %."""
    above = 100 - percentile
    digits = int(np.ceil(-np.log10(above))) if 1e-5 < above < 1 else 0
    return f"{np.floor(percentile * 10**digits) / 10**digits:.{digits}f} %"


def _why(word: Word | None) -> str:
    return "" if word is None else f"{word.why[:1].upper()}{word.why[1:]}."


def _meaning(atlas: Atlas, query: Query) -> str:
    """Meaning of the figure under an image."""
    if isinstance(query.ranking, ByColumn):
        return explanation(atlas.columns(query.space).describe(query.ranking.column))
    if isinstance(query.ranking, ByLabels):
        return ABOUT_LABELS[query.ranking.mode]
    return ABOUT_SIMILARITY


def title(query: Query | None, atlas: Atlas, names: NamesHere) -> str:
    """Title of the gallery."""
    if query is None:
        return "Begin"
    match query.ranking:
        case SimilarToGroup():
            return "Least like the group" if query.ranking.least else "Most like the group"
        case Similar(_, _, True):
            return "Least similar"
        case _ if query.spacing is not None and query.spacing.variety:
            return "Similar and varied"
        case Similar((), unwanted):
            return f"Unlike {len({*unwanted})}"
        case Similar(wanted, unwanted):
            n_wanted, n_unwanted = len({*wanted}), len({*unwanted})
            several = f" to {n_wanted}" if n_unwanted or n_wanted > 1 else ""
            return f"Most similar{several}" + (f", unlike {n_unwanted}" if n_unwanted else "")
        case Typical(cluster):
            return f"{names.name(cluster) or f'Cluster {cluster}'}, most typical first"
        case ByColumn(column):
            if column in DETECTORS:
                return f"Most anomalous: {DETECTORS[column].title}"
            described = atlas.columns(query.space).describe(column)
            return f"Most anomalous: {described.description[:1].lower()}{described.description[1:]}"
        case ByDetectors(detectors, by):
            return f"Most anomalous: {mixture_name(detectors, by)}"
        case ByLabels(_, mode):
            return {"like": "As your labels teach", "uncertain": "Most uncertain", "unlike": "Unlike all labelled"}[
                mode
            ]
        case Shuffled():
            return "A random sample"
    return ""


def doors(atlas: Atlas) -> list[Any]:
    """The first screen's ways in: a galaxy, the clusters, the anomalies."""
    space = atlas.space()
    rng = np.random.default_rng(int(atlas.manifest.build_id, 16))
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
            "tiles": Output("gallery-told", "children"),
            "title": Output("gallery-title", "children"),
            "twins": Output("twins", "children"),
            "answer": Output("status-answer", "children"),
            "engine": Output("status-engine", "children"),
            "receipt": Output("status-receipt", "children"),
            "done": Output("search-again", "disabled"),
        },
        inputs=[Input("part-gallery", "data"), Input("search-again", "n_intervals")],
        prevent_initial_call=True,
    )
    def on_gallery(part: Any, _: Any) -> dict[str, Any]:
        state = read_state(service, part)
        atlas = service.atlas
        # Asked before the search: where the index comes into memory in between, the page asks once more.
        progress = service.progress(atlas)
        question = question_of(atlas, state)
        result, tiles = None, []
        try:
            result = None if question.query is None else service.run(question.query, atlas)
            tiles = contents(atlas, question.query, result, state, progress)
        except InputError as error:
            tiles = [el.refusal(error)]  # what was listed answers another question
        return {
            "tiles": tiles,
            "title": title(question.query, atlas, service.book.cluster_names(atlas)),
            "twins": twin_choice(atlas, question.query, result),
            "answer": status.how_found(question, result, state),
            "engine": status.engine(atlas, progress),
            "receipt": status.receipt_line(atlas, result, service.link(state)),
            "done": progress != "loading",
        }
