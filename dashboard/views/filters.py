"""The drawer of filters: a histogram a column with a brush on it, cross-filtered, and a condition that is typed.

A histogram shows all galaxies in grey and, before them, those that pass everything but the column's own filter: what
one could choose among. It is drawn and brushed by assets/5-filters.js. Flags have a bar a bit: the share of galaxies
that have it set, with buttons for those that have it and for those that have it not. Text is looked into.
"""

from __future__ import annotations

import json
from typing import Any

import dash_bootstrap_components as dbc
import numpy as np
from dash import html
from msgspec.structs import replace

from atlas import Atlas
from atlas.catalog.anomalies import ARTEFACT, DEFAULT, DETECTORS, SPOILT, offered
from atlas.catalog.cluster_labels import speaks_of_galaxies
from atlas.catalog.columns import QUANTILES, bit_name, is_magnitude
from atlas.catalog.histogram import BitCounts, Histogram
from atlas.catalog.numbers import Number, column_text, exact_text, percent_text
from atlas.catalog.senses import explanation, sense
from atlas.expressions.check import names
from atlas.expressions.text import examples
from atlas.expressions.tree import written_name
from atlas.queries.selection import And, Bits, Category, Contains, Range, Selection
from atlas.storage.manifest import Column

from ..service.atlas_service import Service
from ..state.page_state import Filter, State, active
from . import elements as el
from .words import WordButton, word_list

ALONE = Range(ARTEFACT, float(np.nextafter(np.float32(SPOILT), np.float32(1))), None)
"""Spoilt images and nothing else: all that their switch hides."""

DEFAULT_COLUMNS = 8
OWN_COLUMNS = (DEFAULT, "trust")

SPARSE = 0.01
"""Share of galaxies without a value from which on a typed condition says how many have one."""

MIDDLE = QUANTILES.index(0.5)


def drawer(service: Service, state: State) -> list[Any]:
    """Content of the drawer."""
    atlas = service.atlas
    shown = shown_columns(atlas, state)
    hidden = [c for c in filterable(atlas) if c.name not in {s.name for s in shown}]
    return [
        _expression(state, shown, _sparse(atlas, state)),
        artefact_switch(service, atlas, state),
        *(_section(service, atlas, state, column) for column in shown),
        _more(hidden),
    ]


def filterable(atlas: Atlas) -> list[Column]:
    """Columns that can be filtered by: the catalogue's, then what the build found."""
    skip = {"ra", "dec", *atlas.manifest.id_columns}
    own = {c.name: c for c in atlas.space().described.columns}
    catalogue = [c for c in atlas.columns() if c.name not in skip]
    catalogue.sort(key=_interest)
    return catalogue + [own[name] for name in (*DETECTORS, "trust") if name in own]


def _interest(column: Column) -> int:
    """Magnitudes, colours, words and redshifts come first, how galaxies were observed and what is simulated last."""
    if column.truth:
        return 6
    if not speaks_of_galaxies(column):
        return 5
    if is_magnitude(column):
        return 0
    if column.unit == "mag":
        return 1
    return 2 if column.kind == "category" else 3 if "redshift" in column.ucd else 4


def shown_columns(atlas: Atlas, state: State) -> list[Column]:
    """Columns whose histograms are shown: a few by default, those asked for, those with a filter."""
    known = filterable(atlas)
    own = {c.name for c in atlas.space().described.columns}
    first = [c.name for c in known if c.name not in own and not c.truth][:DEFAULT_COLUMNS]
    chosen = {*first, *OWN_COLUMNS, *state.brushed, *(one.column for one in state.filters)}
    return [c for c in known if c.name in chosen]


def _section(service: Service, atlas: Atlas, state: State, column: Column) -> html.Section:
    own = next((one for one in state.filters if one.column == column.name), None)
    others = replace(state, filters=tuple(one for one in state.filters if one is not own))
    rest = active(others)
    drop = el.button("×", kind="icon", label=f"Drop the filter of {column.name}", is_="filter", column=column.name)
    words = f"{column.name}{f' [{column.unit}]' if column.unit else ''}"
    head = html.Header([el.figure(words, explanation(column)), html.Span(_says(own, column)), drop if own else None])
    return html.Section(
        [head, *_choices(service, atlas, column, rest, own)], className="gf-filter", **{"data-column": column.name}
    )


def _choices(service: Service, atlas: Atlas, column: Column, rest: Selection, own: Filter | None) -> list[Any]:
    """Choices of a column, among the galaxies that pass the rest."""
    if column.kind == "flags":
        now = service.bits(column.name, rest, atlas)
        return _bits(column, now, own if isinstance(own, Bits) else Bits(column.name))
    if column.kind == "text":
        return _text(atlas, column, own if isinstance(own, Contains) else None)
    total = service.histogram(column.name, None, atlas)
    passing = service.histogram(column.name, rest, atlas)
    if column.kind == "category":
        return _words(column, total, passing, own if isinstance(own, Category) else None)
    return _brush(column, total, passing, own if isinstance(own, Range) else None)


def _brush(column: Column, total: Histogram, now: Histogram, own: Range | None) -> list[Any]:
    low, high = (None, None) if own is None else (own.low, own.high)
    data = {
        "edges": total.edges.tolist(),
        "zero": str(total.zero),
        "log": total.log,
        "total": total.counts.tolist(),
        "now": now.counts.tolist(),
        "low": _sent(low),
        "high": _sent(high),
    }
    first, last = (_end(column, total, i) for i in (0, -1))
    missing = f", {now.missing:,} missing" if now.missing else ""
    inside = int(now.counts.sum()) + now.below + now.above
    return [
        html.Canvas(
            className="gf-hist", tabIndex="0", role="img",
            **el.why("How many galaxies have which value: all in grey, before them those that pass everything else. "
                     "Drag to choose a range; double-click to drop it"),
            **{
                "data-hist": json.dumps(data, separators=(",", ":")),
                "aria-label": f"Histogram of {column.name}: {inside:,} galaxies{missing}, "
                              f"from {first} to {last}. Bounds can be typed below.",
            },
        ),
        html.Div(
            [
                _bound(column, "low", low, first),
                html.Span(_ends(now)),
                _bound(column, "high", high, last),
            ],
            className="gf-bounds",
        ),
    ]  # fmt: skip


def _sent(bound: Number | None) -> Number | str | None:
    """A bound as a browser can hold it: integers are those beyond 2⁵³, and go as text."""
    return str(bound) if isinstance(bound, int) else bound


def _bound(column: Column, side: str, value: Number | None, end: str) -> html.Label:
    text = "" if value is None else exact_text(value)
    field = dbc.Input(
        type="text", value=text, placeholder=end, size="sm", autocomplete="off", html_size="6",
        id={"type": "bound", "column": column.name, "side": side},
    )  # fmt: skip
    low, high = sense(column)
    why = f"Least {column.name}: none {low}" if side == "low" else f"Largest {column.name}: none {high}"
    return html.Label(field, className="gf-bound", **{"data-side": side}, **el.why(why))  # fmt: skip


def _end(column: Column, of: Histogram, place: int) -> str:
    """An end of a histogram; whole numbers have their bins around them."""
    edge = float(of.edges[place])
    return column_text(column, edge if np.dtype(column.dtype).kind == "f" else of.zero + round(edge))


def _ends(now: Histogram) -> str:
    """Ends that the histogram does not show."""
    told = []
    if now.missing:
        told.append(f"{now.missing:,} missing")
    if now.below or now.above:
        told.append(f"{now.below + now.above:,} beyond")
    return " · ".join(told)


def _words(column: Column, total: Histogram, now: Histogram, own: Category | None) -> list[Any]:
    chosen = () if own is None else own.values
    most = max(1, int(total.counts.max(initial=0)))
    counts = now.counts.tolist()
    words = [
        WordButton(
            word := column.vocabulary[code],
            word in chosen,
            percent=round(100 * counts[code] / most, 1),
            galaxies=f"{counts[code]:,}",
        )
        for code in np.argsort(-total.counts, kind="stable").tolist()
    ]
    return [word_list(f"filter {column.name}", column.name, words)]


def _text(atlas: Atlas, column: Column, own: Contains | None) -> list[Any]:
    some = examples(atlas.columns().array(column.name), "", 1)
    field = dbc.Input(
        type="search", value="" if own is None else own.text, size="sm", autocomplete="off", maxlength="200",
        placeholder=f"holds, such as {some[0]}" if some else "", class_name="gf-holds",
        id={"type": "holds", "column": column.name},
    )  # fmt: skip
    return [html.Label([html.Span(f"What {column.name} has to hold", className="gf-hidden"), field])]


def _bits(column: Column, now: BitCounts, own: Bits) -> list[Any]:
    most = max(1, int(now.counts.max(initial=0)))
    rows = []
    for bit, count in zip(now.bits, now.counts.tolist(), strict=True):
        name, share = bit_name(column, bit), count / max(1, now.rows)
        state = " on" if bit in own.on else " off" if bit in own.off else ""
        rows.append(
            html.Div(
                [
                    html.I(style={"width": f"{100 * count / most:.1f}%"}),
                    html.Span(name),
                    html.B(percent_text(share), tabIndex="0"),
                    _toggle("+", f"Only galaxies with {name} of {column.name}", own, on=own.on, bit=bit),
                    _toggle("−", f"Without galaxies with {name} of {column.name}", own, off=own.off, bit=bit),
                ],
                className=f"gf-bit{state}",
                **el.why(f"bit {bit}: {count:,} of {now.rows:,} galaxies"),
            )
        )
    return rows or [html.P("no galaxy has a bit set", className="gf-note")]


def _toggle(
    sign: str, label: str, own: Bits, *, bit: int, on: tuple[int, ...] | None = None, off: tuple[int, ...] | None = None
) -> html.Button:
    """A button that demands a bit set (`on` is given) or not set (`off`), or takes that back."""
    chosen, other = (on, own.off) if off is None else (off, own.on)
    assert chosen is not None
    now, others = sorted({*chosen} ^ {bit}), sorted({*other} - {bit})
    bits = {"on": now, "off": others} if off is None else {"on": others, "off": now}
    return html.Button(
        sign, type="button", className="gf-button icon",
        **{"aria-label": label, **el.why(label), "aria-pressed": "true" if bit in chosen else "false"},
        **el.on_click(is_="filter", column=own.column, **bits),
    )  # fmt: skip


def _says(own: Filter | None, column: Column) -> str:
    match own:
        case Range(_, low, high):
            if low is None:
                return "" if high is None else f"≤ {exact_text(high)}"
            return f"≥ {exact_text(low)}" if high is None else f"{exact_text(low)} – {exact_text(high)}"
        case Category(_, values):
            return ", ".join(values)
        case Contains(_, text):
            return f"holds {text!r}"
        case Bits(_, on, off):
            return " ".join(
                [*(f"+{bit_name(column, bit)}" for bit in on), *(f"−{bit_name(column, bit)}" for bit in off)]
            )
    return ""


def _example(columns: list[Column]) -> str:
    """A condition that this atlas can answer, to show how one is written."""
    known = [c for c in columns if c.kind == "number" and len(c.quantiles) == len(QUANTILES)][:2]
    middles = [(written_name(c.name), column_text(c, c.quantiles[MIDDLE])) for c in known]
    return " & ".join(f"{name} {sign} {middle}" for (name, middle), sign in zip(middles, "<>", strict=False))


def _sparse(atlas: Atlas, state: State) -> list[str]:
    """Of the columns that the typed condition names, which many galaxies have no value of: none of these passes it."""
    if not state.expression:
        return []
    known = {column.name: column for column in filterable(atlas)}
    used = [known[name] for name in names(state.expression) if name in known]
    return [
        f"{c.name} is known for {atlas.n_rows - c.missing:,} of {atlas.n_rows:,} galaxies; "
        "no comparison holds for others"
        for c in used
        if c.missing > SPARSE * atlas.n_rows
    ]


def _expression(state: State, columns: list[Column], told: list[str]) -> html.Section:
    return html.Section(
        [
            html.Header([
                html.Label("Condition", htmlFor="expression"),
                el.button("clear all", kind="link", is_="clearfilters") if state.filters or state.expression else None,
            ]),
            dbc.Input(
                id="expression", type="text", value=state.expression, autocomplete="off", size="sm", maxlength="500",
                placeholder=_example(columns),
            ),
            html.Div(id="expression-says", className="gf-says", role="status"),
            html.Div(id="expression-words", className="gf-completions"),
            *(html.P(line, className="gf-note") for line in told),
        ],
        className="gf-filter gf-typed",
    )  # fmt: skip


def artefact_switch(service: Service, atlas: Atlas, state: State) -> html.Div | None:
    """The switches that hide spoilt images or show them alone: filters of their column, with how many of the rest they
    are."""
    if ARTEFACT not in offered(atlas.columns(atlas.default_space)):
        return None
    hide = Range(ARTEFACT, None, SPOILT)
    is_on = hide in state.filters
    rest = active(replace(state, filters=tuple(one for one in state.filters if one.column != ARTEFACT)))
    among, kept = (service.mask(And((rest, one)), atlas) for one in (Range(ARTEFACT, 0.0, None), hide))
    assert among is not None and kept is not None
    says = f"{'Artefacts hidden' if is_on else 'Hide artefacts'}: {among.count - kept.count:,}"
    why = "Galaxies whose image is spoilt by a streak, a bad column, a saturated star or a blank part"
    why = f"{why}: {ARTEFACT} above {SPOILT}"
    are_alone = ALONE in state.filters
    return html.Div(
        [_switch(says, why, is_on, high=SPOILT), _switch("Only these", why, are_alone, low=ALONE.low)],
        className="gf-filter gf-artefacts",
    )


def _switch(says: str, why: str, is_on: bool, **bounds: float | None) -> html.Button:
    return html.Button(
        says, type="button", className="gf-button", **{"aria-pressed": "true" if is_on else "false"},
        **el.why(why), **el.on_click(is_="filter", column=ARTEFACT, **({} if is_on else bounds)),
    )  # fmt: skip


def _more(hidden: list[Column]) -> Any:
    if not hidden:
        return None
    options = [{"value": "", "label": "another column …"}] + [{"value": c.name, "label": c.name} for c in hidden]
    return html.Label(
        [
            html.Span("Histogram of another column", className="gf-hidden"),
            dbc.Select(id="brush", options=options, value="", size="sm"),
        ]
    )
