"""The status line: how many of how many, how drawn, how fast, how sure."""

from __future__ import annotations

from typing import Any

from dash import html

from atlas import Atlas, Result
from atlas.ranking import query_kind
from atlas.trust import Outside
from dashboard.ask import Question
from dashboard.loading import Progress
from dashboard.state import Axes, State
from dashboard.views import elements as el

MANY_OUTSIDE = 0.5
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


def under_way(atlas: Atlas, axes: Axes | None) -> list[Any]:
    """What is said while the plane of two columns is being made."""
    if axes is None:
        return []
    return [html.Span(f"putting {atlas.n_rows:,} galaxies in order by {axes.x} and {axes.y}, this first time …")]


def trust(mean: float | None, outside: Outside | None) -> list[Any]:
    """How far the map can be believed where one looks, and how a selection cuts through neighbourhoods."""
    told: list[Any] = []
    if outside is not None and outside.rows:
        share = f"{100 * outside.share:.0f} % of neighbours outside"
        how = "a sample of them" if outside.sampled else "all of them"
        told.append(
            html.Span(share, className="gf-warning" if outside.share > MANY_OUTSIDE else "",
                      title=f"{100 * outside.share:.0f} % of these galaxies' ten true neighbours lie outside the "
                            f"selection (counted on {how}: {outside.rows:,})")
        )  # fmt: skip
    elif mean is not None:
        told.append(
            html.Span(f"trust {mean:.2f}", title="Mean share of a galaxy's ten true neighbours that lie near it on the "
                                                 "map, over the galaxies drawn")
        )  # fmt: skip
    return told


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


def receipt(atlas: Atlas, result: Result | None, token: str) -> list[Any]:
    """The hash that names the question, and the document that lets anybody ask it again."""
    if result is None:
        return []
    return [
        html.A(
            f"receipt {result.receipt}",
            href=f"/receipt/{atlas.build_id}/{result.receipt}.json?s={token}",
            download=f"receipt-{result.receipt}.json",
            title="Download this question (query, build, search settings); python -m atlas replay asks it again",
        )
    ]


def engine(atlas: Atlas, progress: Progress) -> str:
    """Which neighbour index answers."""
    if progress != "ready":
        return "search is loading" if progress == "loading" else "search does not answer"
    names = {"exact": "exact scan", "scann": "ScaNN", "faiss": "faiss"}
    return f"search by {names[atlas.space().index.name]}"


def _milliseconds(value: float) -> str:
    return f"{value:.1f} ms" if value < 10 else f"{value:.0f} ms"
