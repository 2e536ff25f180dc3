"""The drawer of clusters: a card each at a chosen scale, named by what sets it apart, sorted by what one looks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from dash import html

from atlas import Atlas
from atlas.catalog.cluster_labels import Word
from atlas.catalog.cluster_portraits import Portrait
from atlas.catalog.cluster_tree import COARSE, FINE, MEDIUM, PLACE, ClusterInfo
from atlas.cluster_names import LostName, NameHere, NamesHere
from atlas.errors import InputError
from atlas.queries.selection import Cluster, PartOf, Selection
from atlas.space import OpenSpace

from ..jobs.job import Job
from ..service.atlas_service import Service
from ..service.splitting import split_of
from ..state.page_state import ClusterOrder, ClusterScale, State
from . import elements as el
from .jobs import job_card
from .selection_words import selection_words
from .whereabouts import whereabouts

MOST_CARDS = 60
IMAGES = 12
MOST_LOST = 5
ABOUT_LOST = "no cluster of this build shares more than half of its galaxies"
HANDFUL = 8
"""Clusters that one takes in at once: the scale that is shown first has so many, if one has."""

SCALES: dict[str, ClusterScale] = {COARSE: "coarse", MEDIUM: "medium", FINE: "fine"}
SORTS: dict[ClusterOrder, str] = {
    "size": "The largest first",
    "stability": "First those that are found again when a fifth of the galaxies is left out",
    "oddness": "First those with the largest share of odd galaxies",
    "distinctness": "First those that lie farthest from their nearest neighbour",
}


def drawer(service: Service, state: State) -> list[Any]:
    """Content of the drawer."""
    atlas = service.atlas
    space = atlas.space()
    if state.split is not None:
        return _parts(service, atlas, state.split, light=state.light)
    if not space.clusters:
        return [el.empty("The map has no clusters: no group of galaxies stands apart from the rest.")]
    names = service.book.cluster_names(atlas)
    scale = scale_shown(space, state.cluster_scale)
    chosen = ordered(space.cluster_tree.of(scale), space.cluster_portraits, state.cluster_order)
    shown = chosen[:MOST_CARDS]
    rest = f"{len(shown)} of {len(chosen)} are shown: sort them otherwise to see others first."
    return [
        _head(service, atlas, scale, len(chosen)),
        *(_lost(space, one) for one in names.lost[:MOST_LOST]),
        _splits(),
        _choice(
            "Scale",
            [_press(f"{SCALES[one]} {len(space.cluster_tree.of(one))}", _ABOUT[one], one == scale,
                    cluster_scale=SCALES[one]) for one in reversed(space.cluster_tree.scales)],
        )
        if len(space.cluster_tree.scales) > 1
        else None,
        _choice("Sort by", [_press(by, SORTS[by], by == state.cluster_order, cluster_order=by) for by in SORTS
                            if by != "stability" or not np.isnan(chosen[0].stability)]),
        *(_card(atlas, one, names, light=state.light) for one in shown),
        html.P(rest, className="gf-note") if len(shown) < len(chosen) else None,
    ]  # fmt: skip


_ABOUT = {
    COARSE: "A few large groups, each of some of the medium ones",
    MEDIUM: "Groups of some of the finest that lie near each other on the map",
    FINE: "The smallest groups that stand apart on the map",
}


PARTS = (3, 6, 12)


def _splits() -> html.Div:
    """Buttons that split what is selected."""
    about = "Split what is selected, such as a cluster, into {} parts that look alike, each a card and a selection"
    return _choice(
        "Split the selection in",
        [
            html.Button(
                str(count), type="button", className="gf-button link", **el.why(about.format(count)),
                **{"aria-label": about.format(count)},
                **el.on_click(is_="split", count=count),
            )
            for count in PARTS
        ],
    )  # fmt: skip


def _parts(service: Service, atlas: Atlas, split: PartOf, *, light: bool) -> list[Any]:
    """Cards of the parts of a selection, while they are found their job."""
    back = el.button("← the clusters of the map", kind="link", is_="split", count=0)
    try:
        found = split_of(service, split)
    except InputError as error:
        return [back, el.empty(f"{error.args[0]}.")]
    of = selection_words(split.of, named_selections(service, atlas))
    if isinstance(found, Job):
        return [back, job_card(found)]
    told = f"{found.sizes.sum():,} galaxies ({of}) in {found.sizes.size} parts that look alike. What you open is "
    return [
        back,
        html.P(f"{told}the selection: it can be kept, or split again.", className="gf-note"),
        _splits(),
        *(
            html.Button(
                portrayed(atlas, int(found.medoids[at]), part_name(at, found.words_of(at)), found.words_of(at),
                          f"Part {at} · {found.sizes[at]:,} galaxies", found.portrait(at), float("nan"), light=light),
                type="button",
                className="gf-row gf-cluster gf-part",
                **el.on_click(is_="part", number=at),
                **{"data-row": str(found.medoids[at])},
            )
            for at in np.argsort(-found.sizes, kind="stable").tolist()
        ),
    ]  # fmt: skip


def part_name(at: int, words: tuple[Word, ...]) -> str:
    """Name of a part: what sets it apart from the others, or its number where nothing does."""
    return cluster_name(at, words) if words else f"Part {at}"


def scale_shown(space: OpenSpace, asked: ClusterScale) -> str:
    """Column of the scale that is shown: as asked for, where the atlas has it."""
    tree = space.cluster_tree
    found = next((column for column, name in SCALES.items() if name == asked and column in tree.scales), None)
    return found or tree.handful(HANDFUL)


def ordered(found: tuple[ClusterInfo, ...], portraits: Mapping[int, Portrait], by: ClusterOrder) -> list[ClusterInfo]:
    """Clusters by size, stability, share of odd galaxies or distance from others, the most first; ties by size."""
    key = {
        "size": lambda c: -c.size,
        "stability": lambda c: -np.nan_to_num(c.stability),
        "oddness": lambda c: -np.nan_to_num(portraits[c.label].odd),
        "distinctness": lambda c: -portraits[c.label].distinctness,
    }[by]
    return sorted(found, key=key)


def cluster_name(label: int, words: tuple[Word, ...]) -> str:
    """A cluster's name: what sets it apart, or its number where nothing does."""
    told = ", ".join(word.text for word in words)
    return f"{told[:1].upper()}{told[1:]}" if told else f"Cluster {label}"


def named_selections(service: Service, atlas: Atlas) -> dict[Selection, str]:
    """Clusters as selections, with the names that they were given."""
    named = service.book.cluster_names(atlas).of.items()
    return {Cluster(atlas.default_space, label): one.name for label, one in named if one.name}


def named_at_scale(service: Service, atlas: Atlas, column: str) -> list[tuple[int, str]]:
    """Labels and names of the clusters of a scale that were given one, the largest first; none for other columns."""
    named = service.book.cluster_names(atlas)
    at_scale = sorted(label for label in named.of if atlas.space().cluster(label).scale == column)
    return [(label, name) for label in at_scale if (name := named.name(label))]


def _head(service: Service, atlas: Atlas, scale: str, count: int) -> html.P:
    if PLACE not in atlas.columns(atlas.default_space):
        inside = sum(c.size for c in atlas.space().clusters)
        told = f"{count} groups hold {inside:,} of {atlas.n_rows:,} galaxies; the rest stands between them. "
        return html.P(f"{told}A condition calls them by the same number: cluster == 0.", className="gf-note")
    mask = service.mask(Cluster(atlas.default_space, -1), atlas)
    between = 0 if mask is None else mask.count
    why = (
        "Where the map is too thin for a cluster, a galaxy counts in that of the nearest galaxy there that has one. "
        f"The condition {PLACE} == 'inside' leaves such galaxies out."
    )
    return html.P(
        [
            f"{count} groups hold all {atlas.n_rows:,} galaxies; ",
            el.figure(f"{_percent(between / atlas.n_rows)} lie between groups", why),
            f" and count in the nearest. A condition calls them by the same number: {scale} == "
            f"{atlas.space().cluster_tree.of(scale)[0].label}.",
        ],
        className="gf-note",
    )


def _choice(title: str, buttons: list[Any]) -> html.Div:
    return html.Div([html.Span(title, className="gf-muted"), *buttons], className="gf-sorts")


def _press(text: str, why: str, pressed: bool, **change: str) -> html.Button:
    return html.Button(
        text, type="button", className="gf-button link", **{"aria-pressed": "true" if pressed else "false"},
        **el.why(why), **el.on_click(is_="change", **change),
    )  # fmt: skip


def _lost(space: OpenSpace, lost: LostName) -> html.P:
    """Note on a name whose cluster is none of this build, with the clusters that hold its galaxies."""
    where: list[Any] = []
    for label, share in lost.parts:
        where += [_relative(space, label), f"\u00a0({_percent(share)}) "]
    told = ", now split into " if len(lost.parts) > 1 else ", now part of " if lost.parts else ", now gone "
    forget = el.button("forget", kind="link", label=f"Take the name {lost.name} away (Z brings it back)", is_="local",
                       do="forgetname", identity=lost.identity)  # fmt: skip
    was = html.B(f"“{lost.name}”", **el.why(f"Named by {lost.who}, {lost.at[:10]}: {ABOUT_LOST}"))
    return html.P(["One was named ", was, told, *where, forget], className="gf-note gf-lost-name")


def _card(atlas: Atlas, cluster: ClusterInfo, names: NamesHere, *, light: bool) -> html.Div:
    """One button: its medoid, where it lies, its name with the figures behind it, sizes and shares, and some of its
    members; below it the clusters that hold it and that it holds."""
    space = atlas.space()
    portrait, words = space.cluster_portraits[cluster.label], space.cluster_words.get(cluster.label, ())
    given = names.of.get(cluster.label)
    name = cluster_name(cluster.label, words)
    number = [f"Cluster {cluster.label}"] if words or (given and given.name) else []
    if given is not None and given.name:
        number += [name] if words else []
        name = given.name
    return html.Div(
        [
            html.Button(
                portrayed(atlas, cluster.medoid, name, words, " · ".join([*number, f"{cluster.size:,} galaxies"]),
                          portrait, cluster.stability, given, light=light),
                type="button",
                className="gf-row gf-cluster",
                **el.on_click(is_="cluster", label=cluster.label),
                **{"data-row": str(cluster.medoid)},
            ),
            _below(space, cluster, given.name if given is not None else ""),
        ],
        className="gf-grouped",
    )  # fmt: skip


def portrayed(
    atlas: Atlas,
    medoid: int,
    name: str,
    words: tuple[Word, ...],
    size: str,
    portrait: Portrait,
    stability: float,
    given: NameHere | None = None,
    *,
    light: bool,
) -> list[Any]:
    """Inside of a card: one image large, where some members lie, name, size, shares and these members."""
    by = [f"Named by {given.who}, {given.at[:10]}"] if given is not None and given.name else []
    told = "; ".join([*by, *(f"{word.text.capitalize()}: {word.why}" for word in words)])
    members = [row for row in portrait.members if row != medoid][: IMAGES - 1]
    return [
        html.Span(
            [el.image(atlas, medoid, "most typical"), *whereabouts(atlas, portrait.members, light=light)],
            className="gf-face",
        ),
        html.Span(
            [
                html.B(name, **el.why(told)),
                html.Span(size),
                html.Span(_shares(portrait, stability), **el.why(_explained(portrait, stability))),
                html.Span([el.image(atlas, row, "a member") for row in members], className="gf-members"),
            ]
        ),
    ]


def _below(space: OpenSpace, cluster: ClusterInfo, name: str) -> html.Div:
    """Buttons for the cluster that holds this one and for those that it holds, the largest first; and for its name."""
    tree = space.cluster_tree
    parent, children = tree.parent(cluster.label), tree.children(cluster.label)
    above = [] if parent is None else [html.Span("part of cluster"), _relative(space, parent)]
    below = [] if len(children) < 2 else [html.Span("holds clusters"), *(_relative(space, one) for one in children)]
    naming = el.button(
        "rename" if name else "name it", kind="link", label=f"Name cluster {cluster.label}", is_="local",
        do="namecluster", cluster=cluster.label, name=name,
    )  # fmt: skip
    return html.Div([*above, *below, naming], className="gf-kin")


def _relative(space: OpenSpace, label: int) -> html.Button:
    words = space.cluster_words.get(label, ())
    told = f"Cluster {label}: {space.cluster(label).size:,} galaxies"
    why = f"{told}; {cluster_name(label, words)}"
    return html.Button(
        str(label), type="button", className="gf-button link", **{"aria-label": why}, **el.why(why),
        **el.on_click(is_="cluster", label=label),
    )  # fmt: skip


def _shares(portrait: Portrait, stability: float) -> str:
    shares = [
        f"{_percent(share)} {word}"
        for share, word in ((portrait.odd, "odd"), (portrait.spoilt, "spoilt"))
        if share > 0 or (word == "odd" and share == 0)
    ]
    steady = [] if np.isnan(stability) else [f"stable {stability:.2f}"]
    sky = [f"on {_percent(portrait.spread)} of the sky"] if portrait.spread < EVENLY else []
    return " · ".join([*shares, *steady, f"apart {portrait.distinctness:.2f}", *sky])


EVENLY = 0.9
"""Share of the survey's sky from which nothing is said."""


def _explained(portrait: Portrait, stability: float) -> str:
    told = [f"Its middle is {portrait.distinctness:.3f} from that of the nearest other cluster, in cosine distance."]
    if not np.isnan(portrait.odd):
        told.append(f"{_percent(portrait.odd)} of its galaxies are among the oddest 1 % for their brightness.")
    if not np.isnan(portrait.spoilt):
        told.append(f"{_percent(portrait.spoilt)} of its images are spoilt.")
    if not np.isnan(stability):
        told.append(
            f"Looked for again in five subsamples of the map, it shares {100 * stability:.0f} % of its galaxies with "
            "what is found there (mean Jaccard overlap): below 60 % it may be chance, from 75 % on it is stable."
        )
    if not np.isnan(portrait.spread):
        told.append(f"It is spread over {_percent(portrait.spread)} of the survey's sky; 100 % is as all galaxies are.")
    return " ".join([*told, "Shares are of a sample of at most 200,000 galaxies."])


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share == 0 or share >= 0.1 else f"{100 * share:.1f} %"
