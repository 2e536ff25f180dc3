"""Detectors in the drawer of anomalies: one that orders the gallery, or several that are ticked and mixed."""

from __future__ import annotations

from typing import Any

from dash import html

from atlas.catalog.anomalies import DETECTORS, detector_of, offered
from atlas.catalog.columns import Columns
from atlas.catalog.mixtures import MixedBy, mixable

from ..state.page_state import DETECTED, State
from . import elements as el

WAYS: dict[MixedBy, tuple[str, str]] = {
    "highest": ("the highest", "Odd in any of the ticked ways: a galaxy stands where its highest percentile puts it"),
    "mean": ("the mean", "Odd in all of the ticked ways together: a galaxy stands by the mean of its percentiles"),
}


def ticked(columns: Columns, state: State) -> tuple[str, ...]:
    """Detectors that order the gallery, as far as they can be mixed."""
    if state.order == "mixed" and state.mixture is not None:
        return tuple(name for name in mixable(columns) if name in state.mixture.detectors)
    alone = detector_of(state.order, columns) if state.order in DETECTED else ""
    return tuple(name for name in mixable(columns) if name == alone)


def detectors(columns: Columns, state: State) -> list[Any]:
    """The detectors, each with a sentence on what it finds, the default first; a tick mixes it with others.

    An atlas whose detectors cannot be mixed has no ticks.
    """
    now, can = ticked(columns, state), mixable(columns)
    by: MixedBy = state.mixture.by if state.mixture is not None else "highest"
    several = len(can) > 1
    told = (
        [_ways(now, by)] if len(now) > 1 else [html.P("Choose one, or tick several to mix them.", className="gf-note")]
    )
    return [
        *(told if several else []),
        *(_line(name, state, now, by, can_be_mixed=several and name in can) for name in offered(columns)),
    ]


def _line(name: str, state: State, now: tuple[str, ...], by: MixedBy, *, can_be_mixed: bool) -> html.Div:
    detector, is_on = DETECTORS[name], name in now
    chosen = name == state.order
    choice = html.Button(
        [html.B(el.capitalised(detector.title)), html.Span(detector.meaning)],
        type="button", className="gf-detector", **{"aria-pressed": "true" if chosen else "false"},
        **el.on_click(is_="change", order=name),
    )  # fmt: skip
    after = [one for one in now if one != name] if is_on else [*now, name]
    why = f"Mix {detector.title} with what is ticked" if now and not is_on else f"Order by {detector.title}"
    tick = html.Button(
        "✓" if is_on else "", type="button", className="gf-tick", role="checkbox",
        **{"aria-checked": "true" if is_on else "false"},
        **el.says(f"Leave out {detector.title}" if is_on else why),
        **el.on_click(is_="mix", detectors=after, by=by),
    )  # fmt: skip
    kind = f"gf-detector-line{' mixed' if is_on and len(now) > 1 else ''}"
    return html.Div([tick, choice] if can_be_mixed else [choice], className=kind)


def _ways(now: tuple[str, ...], by: MixedBy) -> html.Div:
    ways = [
        html.Button(
            word, type="button", className="gf-button link", **{"aria-pressed": "true" if way == by else "false"},
            **el.why(why), **el.on_click(is_="mix", detectors=list(now), by=way),
        )
        for way, (word, why) in WAYS.items()
    ]  # fmt: skip
    return html.Div([html.Span("Mixed by", className="gf-muted"), *ways], className="gf-sorts")
