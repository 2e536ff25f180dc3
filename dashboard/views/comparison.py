"""The drawer that compares two answers: those of two spaces, or one that was kept and the one of now."""

from __future__ import annotations

from typing import Any

import numpy as np
from dash import html
from msgspec.structs import replace
from numpy.typing import NDArray

from atlas import Atlas
from atlas.queries.agreement import Agreement

from ..jobs.job import Job
from ..service.atlas_service import Service
from ..service.comparison import TwoAnswers, asks, two_answers
from ..service.galaxies import row_of
from ..state.page_state import State
from . import elements as el
from .jobs import job_card
from .small_map import small_map

SHOWN = 12
RINGED = 24
NOTHING = "Choose a galaxy, some examples or an order by anomaly: its answer can be compared with another."
KEEP = "Keep the answer of the gallery as A; whatever is asked next is B, and the two are compared here"
ABOUT_ORDER = (
    "Rank correlation (Spearman) over the galaxies of either list: 1, both order them alike; 0, their orders have "
    "nothing to do with each other; −1, one is the other turned round"
)
ABOUT_KEEPING = (
    "Keep what the gallery shows, then ask something else: other examples, another order, another selection. How far "
    "the two answers agree is told here, and the galaxies of both, or of one alone, can be selected."
)
ABOUT_PAIR = "The first of each, best first. Framed: among the first hundred of both."


def drawer(service: Service, state: State) -> list[Any]:
    """Content of the drawer."""
    if state.kept is not None:
        stop = el.button("let A go", kind="link", label="Compare no longer with the answer that was kept",
                         is_="keepanswer", take=False)  # fmt: skip
        again = el.button("see A", kind="link", label="Ask what was kept, once more", is_="seekept")
        said = html.P(["A was kept, B is what the gallery shows now. ", again, " ", stop], className="gf-note")
        if not (asks(service, state) and asks(service, state.kept)):
            return [said, el.empty(NOTHING)]
        names = tuple(f"{letter}{_space(service, one)}" for letter, one in (("A", state.kept), ("B", state)))
        return [said, *_section(service, state.kept, state, names)]
    if not asks(service, state):
        return [el.empty(NOTHING)]
    atlas = service.atlas
    found: list[Any] = []
    for other in atlas.space_names:
        if other != atlas.default_space:
            there = replace(state, space=other if other != atlas.space_names[0] else "")
            found += _section(service, state, there, (atlas.default_space, other))
    keep = el.button("Keep this answer", label=KEEP, is_="keepanswer", take=True)
    return [*found, html.P(ABOUT_KEEPING, className="gf-note"), html.Div(keep)]


def _space(service: Service, state: State) -> str:
    """The space of an answer, where there are several."""
    names = service.atlas.space_names
    return f" in {state.space or names[0]}" if len(names) > 1 else ""


def _section(service: Service, a: State, b: State, names: tuple[str, ...]) -> list[Any]:
    found = two_answers(service, a, b)
    if isinstance(found, Job):
        return [job_card(found)]
    atlas = service.atlas
    agreed = found.agreement
    shares = [
        el.figure([html.B(f"{n}"), f" of {k}"], f"{n} of the first {k} of {names[0]} are among those of {names[1]}")
        for k, n in agreed.shared
    ]
    order = [] if agreed.correlation is None else [el.figure(f"order {agreed.correlation:.2f}", ABOUT_ORDER)]
    return [
        html.Div([html.Span("in both:", className="gf-muted"), *shares, *order], className="gf-agreement"),
        html.Div(_choices(atlas, agreed, names), className="gf-agreement"),
        *_other_map(service, a, b, found, names),
        html.P(ABOUT_PAIR, className="gf-note"),
        _pair(atlas, found, names),
    ]  # fmt: skip


def _other_map(service: Service, a: State, b: State, found: TwoAnswers, names: tuple[str, ...]) -> list[Any]:
    """The map of the other answer's space, where that is not the one of the page, with what both answer on it."""
    here, there = service.atlas, [service.atlas.seen_in(state.space) for state in (a, b)]
    others = [atlas for atlas in there if atlas.default_space != here.default_space]
    if not others:
        return []
    focus = None if a.focus is None else row_of(here, a.focus)
    rings = {"a": found.a[:RINGED], "b": found.b[:RINGED], "focus": np.array([] if focus is None else [focus], "u4")}
    told = f"On the map of {others[0].default_space}: the first {RINGED} of {names[0]} blue, of {names[1]} golden."
    return [html.P(told, className="gf-note"), small_map(service, others[0], b, rings)]


def _choices(atlas: Atlas, agreed: Agreement, names: tuple[str, ...]) -> list[html.Button]:
    """Ways to select what both have, and what either has alone."""
    choices = (
        ("common", agreed.common, "Select the galaxies that are among the first of both"),
        *((f"only {n}", rows, f"Select those of {n} alone") for n, rows in zip(names, _alone(agreed), strict=True)),
    )
    return [
        el.button(f"{word} {rows.size}", label=label, kind="link", disabled=not rows.size, is_="named",
                  ids=atlas.identity.names(rows) if rows.size else [])
        for word, rows, label in choices
    ]  # fmt: skip


def _alone(agreed: Agreement) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    return agreed.only_a, agreed.only_b


def _pair(atlas: Atlas, found: TwoAnswers, names: tuple[str, ...]) -> html.Div:
    """Both lists, side by side."""
    columns = []
    for name, rows, other in zip(names, (found.a, found.b), (found.b, found.a), strict=True):
        tiles = [
            html.Button(
                el.image(atlas, row, f"galaxy {atlas.identity.name(row)}"), type="button",
                className=f"gf-tile small{' shared' if row in other else ''}", **el.pick(atlas, row),
                **{"data-row": str(row)},
            )
            for row in rows[:SHOWN].tolist()
        ]  # fmt: skip
        columns.append(html.Div([html.B(name), *tiles]))
    return html.Div(columns, className="gf-answers")
