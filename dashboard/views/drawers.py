"""Drawers of the rail: filters, subsets and clusters (in modules of their own), anomalies, the atlas."""

from __future__ import annotations

from typing import Any

from dash import Dash, Input, Output, html

from atlas import Atlas

from ..interaction.held_state import read_state
from ..service.atlas_service import Service
from ..state.page_state import State
from . import clusters, comparison, filters, labels, scores, subsets, why_here
from . import elements as el
from .detectors import detectors

ANOMALY_IMAGES = 12
ABOUT_JUDGING = "Key 1 labels a galaxy interesting, 2 boring; “Your labels” then orders all by them"


def drawer(service: Service, state: State) -> list[Any]:
    """Content of the open drawer; nothing where none is open."""
    atlas = service.atlas
    match state.drawer:
        case "filters":
            return _frame("Filters", filters.drawer(service, state))
        case "subsets":
            return _frame("Subsets", subsets.drawer(service, state))
        case "clusters":
            return _frame("Clusters", clusters.drawer(service, state))
        case "anomalies":
            return _frame("Anomalies", anomalies(service, state))
        case "labels":
            return _frame("Labels", labels.drawer(service, state))
        case "why":
            return _frame("Why here?", why_here.drawer(service, state))
        case "scores":
            return _frame("Scores", scores.drawer(service, state))
        case "compare":
            return _frame("Compare", comparison.drawer(service, state))
        case "about":
            return _frame("This atlas", about(atlas))
    return []


def anomalies(service: Service, state: State) -> list[Any]:
    """The detectors, each with a sentence on what it finds, the default first; and the first of the outlier layer."""
    atlas = service.atlas
    columns = atlas.columns(atlas.default_space)
    rows = atlas.space().outliers[:ANOMALY_IMAGES].tolist()
    taught = el.button("Order the gallery by labels", kind="link", label=labels.ABOUT_TEACHING, is_="teach")
    return [
        filters.artefact_switch(service, atlas, state),
        *detectors(columns, state),
        html.P(
            ["Say what is interesting as you look: the page learns which others are. ",
             el.button("Judge with the keys 1 and 2", kind="link", label=ABOUT_JUDGING, is_="local", do="judge"),
             *([html.Br(), taught] if service.book.known().classes else [])],
            className="gf-note",
        ),
        html.H3("Golden on the map"),
        html.Div(
            [
                html.Button(el.image(atlas, row, f"galaxy {atlas.identity.name(row)}"), type="button",
                            className="gf-tile small", **el.pick(atlas, row), **{"data-row": str(row)})
                for row in rows
            ],
            className="gf-strip wrap",
        ),
    ]  # fmt: skip


def about(atlas: Atlas) -> list[Any]:
    """Provenance, columns and quality."""
    m, p, quality = atlas.manifest, atlas.manifest.provenance, atlas.space().quality
    facts = [
        ("galaxies", f"{m.n_rows:,}", ""),
        ("survey", f"{p.survey} {p.release}".strip() or "–", ""),
        ("licence", p.licence or "–", ""),
        ("build", f"{m.build_id}, {m.created[:10]}", "Names what was built, and the day; links and receipts hold it"),
        ("embedding", f"{atlas.space().dimension} numbers, {atlas.space().described.dtype}",
         "So many numbers describe a galaxy's image; those of galaxies that look alike are alike"),
        ("search engine", atlas.space().index.name if atlas.space().index_loaded else "loading", ""),
        ("trustworthiness of the map", f"{quality.trustworthiness:.3f}",
         "How few galaxies lie near each other on the map that are not alike: 1 is none (Venna & Kaski 2001)"),
        ("neighbours kept", f"{100 * quality.trust_mean:.0f} %",
         "Share of the galaxies most like each (its ten nearest) that lie near it on the map, averaged over all"),
    ]  # fmt: skip
    return [
        html.Dl([part for name, value, why in facts for part in (_term(name, why), html.Dd(value, **el.why(why)))]),
        html.P(el.method_link("How it works: the method, in pictures of this atlas"), className="gf-links"),
        html.P(p.acknowledgement, className="gf-note"),
        *([html.H3("To cite"), html.Pre(p.bibtex, className="gf-bibtex", tabIndex="0")] if p.bibtex else []),
        *(html.P(note, className="gf-note") for note in p.notes),
    ]


def _term(name: str, why: str) -> html.Dt:
    return html.Dt(el.figure(name, why) if why else name)


def _frame(title: str, children: list[Any]) -> list[Any]:
    close = el.button("×", kind="close-drawer", label="Close", is_="change", drawer="")
    return [html.Header([html.H2(title), close]), html.Div(children, className="gf-drawer-body")]


def register(app: Dash, service: Service) -> None:
    """Fill the drawer that is open."""

    @app.callback(
        Output("drawer", "children"),
        Input("part-drawer", "data"),
        Input("job-ended", "data"),
        prevent_initial_call=True,
    )
    def on_drawer(part: Any, _: Any) -> Any:
        return drawer(service, read_state(service, part))
