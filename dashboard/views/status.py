"""The status line: how many of how many, how drawn, how fast, how sure."""

from __future__ import annotations

from typing import Any

from dash import html

from atlas import Atlas, Result
from atlas.queries.neighbourhoods import Outside
from atlas.queries.ranking import Similar, query_kind

from ..service.gallery_query import Question
from ..service.index_loading import LoadingState
from ..state.page_state import State
from . import elements as el

MANY_OUTSIDE = 0.5
KINDS = {
    "row": "one example",
    "least similar": "least similar",
    "examples": "several examples",
    "cluster": "a cluster's members",
    "given": "a given embedding",
}
UNWANTED = (
    "Unwanted galaxies lose a part of their similarity, and so do others in so far as they are alike; the wanted keep "
    "theirs. Mark the first wrong result."
)


def selected(atlas: Atlas, count: int | None) -> list[Any]:
    """Number of selected galaxies, exactly."""
    if count is None:
        return [el.figure([html.B(f"{atlas.n_rows:,}"), " galaxies"], "All of this atlas: nothing is selected")]
    why = "Counted over all galaxies of the atlas, not over those that are drawn"
    return [el.figure([html.B(f"{count:,}"), f" of {atlas.n_rows:,} selected"], why)]


def drawn(n_drawn: int, in_view: int, outliers: int) -> list[Any]:
    """Words for how the map was drawn."""
    if n_drawn == in_view:
        how, why = f"all {n_drawn:,} in view drawn", "Every galaxy that lies in view on the map is a point"
    else:
        how = f"{n_drawn:,} of {in_view:,} in view drawn, a fair sample"
        why = "Each galaxy in view had the same chance to be drawn; a lasso selects those that are not drawn, too"
    if outliers:
        how += f" + {outliers:,} outlier{'s' if outliers > 1 else ''}"
        why += ". Outliers look like few others: they are always drawn, in gold"
    return [el.figure(how, why)]


def trust(mean: float | None, outside: Outside | None) -> list[Any]:
    """Words for how far the map can be believed where one looks, and how a selection cuts through neighbourhoods."""
    told: list[Any] = []
    if outside is not None and outside.rows:
        share = f"{100 * outside.share:.0f} % of neighbours outside"
        how = "a sample of them" if outside.sampled else "all of them"
        told.append(
            el.figure(
                share,
                f"{100 * outside.share:.0f} % of the galaxies most like these (the ten nearest of each) lie outside "
                f"the selection. Counted on {how}: {outside.rows:,}",
                kind="gf-warning" if outside.share > MANY_OUTSIDE else "",
            )
        )
    elif mean is not None:
        told.append(
            el.figure(
                f"{100 * mean:.0f} % of neighbours kept",
                "How far the map can be trusted here: the share of the galaxies most like each (its ten nearest) that "
                "lie near it on the map, averaged over those drawn",
            )
        )
    return told


def how_found(question: Question, result: Result | None, state: State) -> list[Any]:
    """Words for how the gallery's answer was found, how fast and how sure."""
    if result is None or question.query is None:
        return []
    took = "Time that this search took when it ran, in thousandths of a second"
    found: list[Any] = [el.figure(_milliseconds(result.elapsed_ms), took)]
    kind = query_kind(question.query.ranking)
    if kind is not None:
        if result.exact:
            why = "Every galaxy in question was compared: nothing that is more similar was missed"
            found.append(el.figure([html.B("exact"), result.method.removeprefix("exact")], why))
        elif result.recall is not None:
            r = result.recall
            found.append(
                el.figure(
                    ["finds ", html.B(f"{100 * r.mean:.1f} %"), f" of the best {r.k}"],
                    f"Recall@{r.k} of a fast search for {KINDS[kind]}: the share of the true {r.k} best that it finds, "
                    f"{r.mean:.4f} on average, {r.worst:.3f} at worst of {r.queries} queries, at {r.leaves} leaves and "
                    f"{r.candidates} candidates",
                )
            )
        else:
            why = "How many of the true best a fast search of this kind finds was not measured when the atlas was built"
            found.append(el.figure(f"recall for {KINDS[kind]} not measured", why))
        if state.exact:
            why = "Allow a fast search: a few of the best may be missed"
            found.append(el.button("allow a fast search", kind="link", label=why, is_="change", exact=False))
        elif not result.exact:
            why = "Search exactly: every galaxy is compared, and none is missed"
            found.append(el.button("search exactly", kind="link", label=why, is_="change", exact=True))
    if isinstance(question.query.ranking, Similar) and question.query.ranking.unwanted:
        found.append(el.figure(f"{len({*question.query.ranking.unwanted})} unwanted", UNWANTED))
    if question.gone:
        names = ", ".join(g.id for g in question.gone[:3])
        found.append(html.Span(f"not in this build: {names}", className="gf-warning"))
    return found


def receipt_line(atlas: Atlas, result: Result | None, token: str) -> list[Any]:
    """The hash that names the question, and the document that lets anybody ask it again."""
    if result is None:
        return []
    return [
        html.A(
            f"receipt {result.receipt}",
            href=f"/receipt/{atlas.build_id}/{result.receipt}.json?s={token}",
            download=f"receipt-{result.receipt}.json",
            **el.why("Download this question (query, build, search settings); galaxy-finder replay asks it again"),
        )
    ]


def engine(atlas: Atlas, progress: LoadingState) -> str:
    """Name of the neighbour index that answers."""
    if progress != "ready":
        return "search is loading" if progress == "loading" else "search does not answer"
    names = {"exact": "exact scan", "scann": "ScaNN", "faiss": "faiss", "milvus": "Milvus", "pgvector": "PostgreSQL"}
    return f"search by {names[atlas.space().index.name]}"


def _milliseconds(value: float) -> str:
    return f"{value:.1f} ms" if value < 10 else f"{value:.0f} ms"
