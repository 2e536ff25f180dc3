"""The status line: how many of how many, how drawn, how fast, how sure."""

from __future__ import annotations

from typing import Any

from dash import html

from atlas import Atlas, Result
from atlas.ranking import query_kind
from dashboard.ask import Question
from dashboard.state import State
from dashboard.views import elements as el

KINDS = {
    "row": "one example",
    "least similar": "least similar",
    "examples": "several examples",
    "cluster": "a cluster's members",
    "given": "a given embedding",
}


def selected(atlas: Atlas, count: int | None) -> list[Any]:
    """How many galaxies are selected, exactly."""
    if count is None:
        return [html.B(f"{atlas.n_rows:,}"), " galaxies"]
    return [html.B(f"{count:,}"), f" of {atlas.n_rows:,} selected"]


def drawn(n_drawn: int, in_view: int, outliers: int) -> list[Any]:
    """How the map was drawn."""
    if n_drawn == in_view:
        how = f"all {n_drawn:,} in view drawn"
    else:
        how = f"{n_drawn:,} of {in_view:,} in view drawn, a fair sample"
    if outliers:
        how += f" + {outliers:,} outlier{'s' if outliers > 1 else ''}"
    return [html.Span(how)]


def answer(question: Question, result: Result | None, state: State) -> list[Any]:
    """How the gallery's answer was found, how fast and how sure."""
    if result is None or question.query is None:
        return []
    found: list[Any] = [html.Span(_milliseconds(result.elapsed_ms), title="Time that this query took when it ran")]
    kind = query_kind(question.query.ranking)
    if kind is not None:
        if result.exact:
            found.append(html.Span([html.B("exact"), result.method.removeprefix("exact")]))
        elif result.recall is not None:
            r = result.recall
            found.append(
                html.Span(
                    [f"recall@{r.k} ", html.B(f"{r.mean:.3f}"), f" for {KINDS[kind]}"],
                    title=f"Share of the true {r.k} best that a search of this kind finds: mean {r.mean:.4f}, worst "
                    f"{r.worst:.3f} of {r.queries} queries, at {r.leaves} leaves and {r.candidates} candidates",
                )
            )
        else:
            found.append(html.Span(f"recall for {KINDS[kind]} not measured"))
        if state.exact:
            found.append(el.button("allow approximate", kind="link", is_="change", exact=False))
        elif not result.exact:
            found.append(el.button("re-rank exactly", kind="link", is_="change", exact=True))
    if question.gone:
        names = ", ".join(g.id for g in question.gone[:3])
        found.append(html.Span(f"not in this build: {names}", className="gf-warning"))
    return found


def receipt(result: Result | None) -> list[Any]:
    """The hash that names the question."""
    if result is None:
        return []
    return [html.Span(f"receipt {result.receipt}", title="Names this question: query, build and search settings")]


def engine(atlas: Atlas) -> str:
    """Which neighbour index answers."""
    space = atlas.space()
    names = {"exact": "exact scan", "scann": "ScaNN", "faiss": "faiss"}
    return f"search by {names[space.index.name]}" if space.index_loaded else "search is loading"


def _milliseconds(value: float) -> str:
    return f"{value:.1f} ms" if value < 10 else f"{value:.0f} ms"
