"""Small parts that several panels share. A clickable element carries the event that it stands for, as JSON."""

from __future__ import annotations

import json
from typing import Any

from dash import html

from atlas import Atlas
from atlas.errors import InputError


def on_click(**event: Any) -> dict[str, str]:
    """Attributes of an element that sends an event when it is clicked: `on_click(is_="random")`."""
    return {"data-event": json.dumps({("is" if k == "is_" else k): v for k, v in event.items()}, separators=(",", ":"))}


def why(text: str) -> dict[str, str]:
    """Attributes of what explains itself where the mouse rests or the keyboard arrives (assets/7-explain.js)."""
    return {"data-why": text} if text else {}


def says(label: str) -> dict[str, str]:
    """Attributes of what shows no words: a name that explains."""
    return {"aria-label": label, **why(label)}


def explained(text: str) -> dict[str, str]:
    """Context of a column of the table whose head explains itself (assets/7-explain.js)."""
    return {"why": text}


def figure(children: Any, text: str, *, kind: str = "") -> html.Span:
    """A figure or a term that the keyboard reaches, and that says what it means."""
    return html.Span(children, className=f"gf-figure {kind}".strip(), tabIndex="0", **why(text))


def button(children: Any, *, label: str = "", kind: str = "", disabled: bool = False, **event: Any) -> html.Button:
    """A button that sends an event."""
    more: dict[str, Any] = says(label) if label else {}
    return html.Button(
        children, type="button", className=f"gf-button {kind}".strip(), disabled=disabled, **on_click(**event), **more
    )


def icon(sign: str, word: str, *, label: str, kind: str = "", **event: Any) -> html.Button:
    """A button of one sign, with its word beside it where there is room (assets/8-room.js)."""
    inside = [html.Span(sign, className="gf-sign"), html.Span(word, className="gf-beside")]
    return button(inside, label=label, kind=f"icon {kind}".strip(), **event)


def fold(tools: list[Any], of: str, name: str, *, kind: str = "gf-graph-tools") -> html.Details:
    """Tools in a row; where there is no room for them, a menu that opens downwards (assets/8-room.js)."""
    summary = html.Summary("⋯", **{"aria-label": name}, **why(name))
    return html.Details([summary, html.Div(tools, className=kind)], open=True, className=f"gf-fold gf-fold-{of}")


def image_url(atlas: Atlas, row: int, large: bool = False) -> str:
    """Address of a galaxy's image; names the build, so that browsers may keep it for ever."""
    return f"/cutout/{atlas.build_id}/{row}.webp" + ("?large=1" if large else "")


def image(atlas: Atlas, row: int, alt: str, *, large: bool = False, lazy: bool = True) -> html.Img:
    """A galaxy's image; a lazy one is fetched when it comes into sight (assets/4-images.js)."""
    address = image_url(atlas, row, large)
    where: dict[str, Any] = {"data-src": address} if lazy else {"src": address}
    return html.Img(alt=alt, draggable="false", **where, **{"data-row": str(row)})


def pick(atlas: Atlas, row: int) -> dict[str, str]:
    """Attributes of an element that makes a galaxy the focus."""
    return on_click(is_="pick", row=row, build=atlas.build_id)


def method_link(text: str) -> html.A:
    """A link to the page that explains the method, in the theme of this one (assets/1-events.js)."""
    return html.A(text, href="/method", className="gf-method-link", target="_blank", rel="noopener")


def aladin_link(ra_deg: float | None = None, dec_deg: float | None = None) -> html.A:
    """A link to the page of Aladin Lite on this server, at a position or at the sky's view; what is selected goes with
    it (assets/9-aladin.js)."""
    at = "" if ra_deg is None else f"?ra={ra_deg:.6f}&dec={dec_deg:.6f}"
    told = "Pictures of the sky in tiles, with the galaxies of the selection over them"
    return html.A(
        "Aladin Lite", href=f"/aladin{at}", className="gf-aladin", target="_blank", rel="noopener", **why(told)
    )


def empty(text: str) -> html.Div:
    """A panel with nothing in it says why."""
    return html.Div(text, className="gf-empty")


def refusal(error: InputError) -> html.Div:
    """A panel whose question cannot be answered says why."""
    return empty(f"{capitalised(str(error))}.")


def broken(name: str) -> list[Any]:
    """A column's name for a narrow place: lines end after an underscore, not within a word."""
    first, *rest = name.split("_")
    return [first, *(part for word in rest for part in ("_", html.Wbr(), word))]


def capitalised(text: str) -> str:
    """Words with a capital letter at their beginning, and the others as they are."""
    return f"{text[:1].upper()}{text[1:]}"
