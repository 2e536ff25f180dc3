"""The drawer of labels: who labels, which key gives what, how many there are, and what was done last."""

from __future__ import annotations

from typing import Any

import dash_bootstrap_components as dbc
from dash import html

from atlas.labels.entry import Act

from ..service.atlas_service import Service
from ..service.label_book import Known
from ..state.page_state import State
from . import elements as el
from .collections import collections
from .palette import CLUSTER_COLORS
from .subsets import DEEDS

KEY_COLORS = (0, 1, 2, 3, 4, 5, 7, 9, 10)
"""Number of the colour of each key, 1 to 9: light enough for dark letters."""
OTHER_COLORS = (8, 11)
LAST_ACTS = 12
ABOUT_TEACHING = "Every galaxy by likeness to what you want, unlikeness to the rest, and oddness"
SAID = {
    "label": "",
    "clear": "no label",
    "undo": "took back",
    "class": "key:",
    "collection": "kept",
    "drop": "dropped",
    "restore": "restored",
    "name": "cluster:",
}


def told(known: Known) -> dict[str, Any]:
    """Labels as the browser has to know them: the revision, and label and colour of each key."""
    classes = [
        {"key": key, "label": label, "color": CLUSTER_COLORS[KEY_COLORS[key - 1]]}
        for key, label in sorted(known.classes.items())
    ]
    return {"revision": known.revision, "classes": classes}


def named(service: Service) -> list[tuple[str, int]]:
    """Labels with the number of their colour: those of the keys, then whatever else was given."""
    classes = {label: KEY_COLORS[key - 1] for key, label in service.book.known().classes.items()}
    others = sorted(set(service.atlas.labelled.now().counts()) - set(classes))
    return [*classes.items(), *((label, OTHER_COLORS[i % len(OTHER_COLORS)]) for i, label in enumerate(others))]


def drawer(service: Service, state: State) -> list[Any]:
    """Content of the drawer."""
    labelled = service.atlas.labelled
    now, classes = labelled.now(), service.book.known().classes
    counts = now.counts()
    free = next((key for key in range(1, 10) if key not in classes), None)
    keys = [*classes, *([] if free is None else [free])]
    keyless = [(name, color) for name, color in named(service) if name not in classes.values()]
    return [
        _who(),
        html.P(
            "A key labels the galaxy under the mouse or the keyboard in the gallery, or that of the details; "
            "0 takes the label away, Z takes back. D grades it A, B or C, O writes a note.",
            className="gf-note",
        ),
        el.button("Order the gallery by labels", label=ABOUT_TEACHING, is_="teach") if counts else None,
        *(_class(key, classes.get(key, ""), counts[classes.get(key, "")]) for key in sorted(keys)),
        *(_deeds_of(name, _line("", color, html.Span(name), counts[name])) for name, color in keyless),
        _all(service, len(now.of), len(now.galaxies(disputed=True)), len(labelled.gone())),
        *collections(service, state, _deeds),
        *_history(service.labels.history(LAST_ACTS)),
    ]


def _who() -> html.Section:
    # The browser remembers the name: the page is nobody's before it is typed.
    field = dbc.Input(id="label-who", type="text", size="sm", maxlength="60", autocomplete="nickname",
                      placeholder="your name, once")  # fmt: skip
    return html.Section(html.Label([html.B("You"), field], className="gf-keep"), className="gf-filter")


def _class(key: int, label: str, count: int) -> html.Section:
    name = dbc.Input(
        type="text", value=label, size="sm", maxlength="40", autocomplete="off", placeholder="a label for this key",
        id={"type": "label-key", "at": key}, class_name="gf-label-name",
    )  # fmt: skip
    line = _line(html.Kbd(str(key)), KEY_COLORS[key - 1], name, count if label else None)
    return _deeds_of(label, line, key)


def _line(key: Any, color: int, name: Any, count: int | None) -> html.Header:
    dot = html.I(className="gf-dot", style={"background": CLUSTER_COLORS[color]})
    return html.Header([key, dot, name, html.Span("" if count is None else f"{count:,}")])


def _deeds_of(label: str, line: html.Header, key: int = 0) -> html.Section:
    """Buttons for the galaxies of a label."""
    what = {"is": "labelled", "labels": [label]}
    deeds = [] if not label else [html.Div(_deeds(what, label), className="gf-deeds")]
    return html.Section([line, *deeds], className="gf-filter gf-label", **{"data-key": str(key)})


def _deeds(what: dict[str, Any], name: str) -> list[Any]:
    return [
        el.button("select", kind="link", label=f"Select {name}", is_="choose", what=what, do="select"),
        *(
            el.button(sign, kind="icon", label=f"{words} {name}", is_="choose", what=what, do=do)
            for do, sign, words in DEEDS
        ),
        el.button("more like these", kind="link", label=f"Search for what is like {name}", is_="choose", what=what,
                  do="like"),
        el.button("known", kind="link", label=f"How soon the gallery leads to {name} (E)", is_="know", what=what),
    ]  # fmt: skip


def _all(service: Service, labelled: int, disputed: int, gone: int) -> html.Section:
    what = {"is": "labelled"}
    parts = [
        html.Header([html.B("All labelled"), html.Span(f"{labelled:,} of {service.atlas.n_rows:,}")]),
        html.Div(
            [
                el.button("select", kind="link", label="Select all labelled", is_="choose", what=what, do="select"),
                el.button("unlabelled", kind="link", label="Take all labelled from the selection", is_="choose",
                          what=what, do="subtract"),
                el.button("colour", kind="link", label="Colour map and sky by label", is_="change", color="labels"),
                html.A("CSV", href=f"/labels/{service.atlas.build_id}.csv", className="gf-export",
                       download="labels.csv", **el.why("Download every label with its galaxy, person and time")),
            ],
            className="gf-deeds",
        ),
    ]  # fmt: skip
    parts.append(
        html.P(["Training sets, however large: ", html.Code("galaxy-finder labels export")], className="gf-note")
    )
    if disputed:
        both = {"is": "labelled", "disputed": True}
        text = f"{disputed:,} disputed" if disputed > 1 else "1 disputed"
        parts.append(
            html.Div(
                [html.Span(text), el.button("select", kind="link", label="Select what people labelled differently",
                                            is_="choose", what=both, do="select")],
                className="gf-deeds",
            )
        )  # fmt: skip
    if gone:
        text = f"{gone:,} labelled galaxies are not in this build; the CSV lists them without a row."
        parts.append(html.P(text, className="gf-note"))
    return html.Section(parts, className="gf-filter")


def _history(acts: list[Act]) -> list[Any]:
    if not acts:
        return []
    return [html.H3("Last"), html.Ol([_act(act) for act in acts], className="gf-acts")]


def _act(act: Act) -> html.Li:
    label = "no name" if act.kind == "name" and not act.label else act.label if act.kind != "clear" else ""
    what = " ".join(part for part in (SAID[act.kind], label, act.grade) if part)
    galaxy = [el.button(act.galaxy, kind="link", label=f"Show galaxy {act.galaxy}", is_="pickid", id=act.galaxy)]
    note = [html.Q(act.note, **el.why(act.note))] if act.note else []
    when = html.Span(f"{act.who}, {act.at[5:16].replace('T', ' ')}")
    return html.Li(
        [html.B(what), *(galaxy if act.galaxy else []), *note, when],
        className="undone" if act.undone else "",
    )
