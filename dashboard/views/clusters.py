"""The drawer of clusters: a card each, named by what sets it apart, sorted by size, oddness or distinctness."""

from __future__ import annotations

from typing import Any

import numpy as np
from dash import html

from atlas import Atlas
from atlas.catalog.cluster_labels import Word
from atlas.catalog.cluster_portraits import Portrait
from atlas.space import ClusterInfo

from ..state.page_state import ClusterOrder, State
from . import elements as el

MOST_CARDS = 200
IMAGES = 4
SORTS: dict[ClusterOrder, str] = {
    "size": "The largest first",
    "oddness": "First those with the largest share of odd galaxies",
    "distinctness": "First those that lie farthest from their nearest neighbour",
}


def drawer(atlas: Atlas, state: State) -> list[Any]:
    """Content of the drawer."""
    space = atlas.space()
    found = space.clusters
    if not found:
        return [el.empty("The map has no clusters: no group of galaxies stands apart from the rest.")]
    inside = sum(c.size for c in found)
    head = f"{len(found)} groups hold {inside:,} of {atlas.n_rows:,} galaxies; the rest stands between them. "
    head += "A condition calls them by the same number: cluster == 0."
    chosen = ordered(found, space.cluster_portraits, state.cluster_order)
    shown = chosen[:MOST_CARDS]
    rest = f"{len(shown)} of {len(chosen)} are shown: sort them otherwise to see others first."
    return [
        html.P(head, className="gf-note"),
        html.Div(
            [html.Span("Sort by", className="gf-muted"), *(_sort(by, state.cluster_order) for by in SORTS)],
            className="gf-sorts",
        ),
        *(_card(atlas, c, space.cluster_portraits[c.label], space.cluster_words.get(c.label, ())) for c in shown),
        html.P(rest, className="gf-note") if len(shown) < len(chosen) else None,
    ]


def ordered(found: tuple[ClusterInfo, ...], portraits: tuple[Portrait, ...], by: ClusterOrder) -> list[ClusterInfo]:
    """Clusters by size, by share of odd galaxies or by distance from others, the most first; ties by size."""
    key = {
        "size": lambda c: -c.size,
        "oddness": lambda c: -np.nan_to_num(portraits[c.label].odd),
        "distinctness": lambda c: -portraits[c.label].distinctness,
    }[by]
    return sorted(found, key=key)


def cluster_name(label: int, words: tuple[Word, ...]) -> str:
    """A cluster's name: what sets it apart, or its number where nothing does."""
    told = ", ".join(word.text for word in words)
    return f"{told[:1].upper()}{told[1:]}" if told else f"Cluster {label}"


def _sort(by: ClusterOrder, now: ClusterOrder) -> html.Button:
    return html.Button(
        by, type="button", className="gf-button link", **{"aria-pressed": "true" if by == now else "false"},
        **el.why(SORTS[by]), **el.on_click(is_="change", cluster_order=by),
    )  # fmt: skip


def _card(atlas: Atlas, cluster: ClusterInfo, portrait: Portrait, words: tuple[Word, ...]) -> html.Button:
    """One button: its medoid, its name with the figures behind it, sizes and shares, and a few of its members."""
    told = "; ".join(f"{word.text.capitalize()}: {word.why}" for word in words)
    members = [row for row in portrait.members if row != cluster.medoid][:IMAGES]
    return html.Button(
        [
            el.image(atlas, cluster.medoid, f"medoid of cluster {cluster.label}"),
            html.Span(
                [
                    html.B(cluster_name(cluster.label, words), **el.why(told)),
                    html.Span(f"{f'Cluster {cluster.label} · ' if words else ''}{cluster.size:,} galaxies"),
                    html.Span(_shares(portrait), **el.why(_explained(portrait))),
                    html.Span([el.image(atlas, row, "a member") for row in members], className="gf-members"),
                ]
            ),
        ],
        type="button",
        className="gf-row gf-cluster",
        **el.on_click(is_="cluster", label=cluster.label),
        **{"data-row": str(cluster.medoid)},
    )


def _shares(portrait: Portrait) -> str:
    shares = [
        f"{_percent(share)} {word}"
        for share, word in ((portrait.odd, "odd"), (portrait.spoilt, "spoilt"))
        if share > 0 or (word == "odd" and share == 0)
    ]
    return " · ".join([*shares, f"apart {portrait.distinctness:.2f}"])


def _explained(portrait: Portrait) -> str:
    told = [f"Its middle is {portrait.distinctness:.3f} from that of the nearest other cluster, in cosine distance."]
    if not np.isnan(portrait.odd):
        told.append(f"{_percent(portrait.odd)} of its galaxies are among the oddest 1 % for their brightness.")
    if not np.isnan(portrait.spoilt):
        told.append(f"{_percent(portrait.spoilt)} of its images are spoilt.")
    return " ".join([*told, "Shares are of a sample of at most 200,000 galaxies."])


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share == 0 or share >= 0.1 else f"{100 * share:.1f} %"
