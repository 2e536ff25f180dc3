"""Settings in words: the values that one may take, and a value as the environment holds it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from msgspec import Meta


def allowed(annotation: Any) -> str:
    """The values that a setting may take, in words."""
    kind, meta = get_args(annotation)[0], meta_of(annotation)
    if get_origin(kind) is Literal:
        return " or ".join(get_args(kind))
    if kind is bool:
        return "true or false"
    if kind in (int, float):
        noun = "a whole number" if kind is int else "a number"
        low = f" from {meta.ge:,}" if meta.ge is not None else f" above {meta.gt:,}"
        return noun + low + (f" to {meta.le:,}" if meta.le is not None else "")
    if meta.title is not None:
        return meta.title
    if kind is Path:
        return "a path"
    return "text" if kind is str else "names separated by commas"


def meta_of(annotation: Any) -> Meta:
    """Bounds and description of an annotated type."""
    meta = get_args(annotation)[1]
    assert isinstance(meta, Meta)
    return meta


def text_of(value: object) -> str:
    """A value as it stands in the environment."""
    if isinstance(value, tuple):
        return ",".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)
