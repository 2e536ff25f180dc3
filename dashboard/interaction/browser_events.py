"""The only place that sees raw input: what a browser sent becomes typed values here, or a clear error.

Callbacks and routes hand over what they got; everything behind this module may trust its types and limits.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec

from atlas.errors import InputError, shorten
from atlas.storage import layout

from ..events.event import BrowserEvent
from ..events.registry import SENT
from ..settings import Settings
from ..state import url as links
from ..state.page_state import State
from ..state.shading import Shading

MAX_EVENTS = 50
FIELDS = {
    "low": "the lower bound",
    "high": "the upper bound",
    "values": "the choice of words",
    "text": "the text",
    "name": "the name",
    "id": "the id",
    "vertices": "the outline",
    "shown": "the number of images",
    "order": "the order",
    "color": "the colour",
    "column": "the column",
    "shading": "the range of the colours",
    "columns": "the choice of columns",
}
"""Fields that a person fills, in words."""

_SEEN = re.compile(layout.SEEN)
_LIMIT = re.compile(r"(<=|>=|<|>) (-?[0-9.e+]+)")


def batch(body: Any) -> list[Any]:
    """Batch of what happened in the browser, in order, each for `event` to read.

    Raises
    ------
    InputError
        If it is no list, or one of none or too many.
    """
    if not isinstance(body, list) or not 1 <= len(body) <= MAX_EVENTS:
        raise InputError(f"expected a list of 1 to {MAX_EVENTS} events")
    return body


def event(body: Any, settings: Settings) -> BrowserEvent:
    """Something that happened in the browser.

    Raises
    ------
    InputError
        If the body is not an event of the documented forms, or is over a limit.
    """
    try:
        found: BrowserEvent = msgspec.convert(body, SENT)
    except msgspec.ValidationError as e:
        raise InputError(sentence(e)) from e
    found.check(settings)
    return found


def sentence(error: msgspec.ValidationError) -> str:
    """Fault of a value, for people: msgspec names a path and a type, which say nothing to a visitor.

    The limit stays where somebody may have typed what is beyond it.
    """
    problem, _, path = str(error).partition(" - at `")
    field = re.split(r"[.\[\]]+", path.rstrip("`").rstrip("]"))[-1]
    limit = _LIMIT.search(problem)
    if field not in FIELDS:
        return "the page sent something that the server does not understand; reload the page and try again"
    if limit is None:
        return f"{FIELDS[field]} cannot be this"
    bound = f"{float(limit[2]):,.10g}"
    unit = " characters" if "length" in problem else ""
    return f"{FIELDS[field]} must be {'at most' if limit[1][0] == '<' else 'at least'} {bound}{unit}"


def state(text: Any) -> State:
    """The state that the browser holds.

    Raises
    ------
    InputError
        If it is not one.
    """
    if text is None:
        return State()
    if not isinstance(text, str):
        raise InputError(f"expected a state as text, got {type(text).__name__}")
    return links.from_json(text)


class _Sorted(msgspec.Struct, frozen=True):
    """One entry of a grid's sort model."""

    colId: Annotated[str, msgspec.Meta(max_length=64)]
    sort: Literal["asc", "desc"]


class _RowsRequest(msgspec.Struct, frozen=True):
    """Request of a grid; its other fields are not read."""

    startRow: Annotated[int, msgspec.Meta(ge=0, lt=2**32)]
    endRow: Annotated[int, msgspec.Meta(ge=0, lt=2**32)]
    sortModel: Annotated[tuple[_Sorted, ...], msgspec.Meta(max_length=1)] = ()


def rows_request(body: Any, settings: Settings) -> tuple[int, int, str, bool] | None:
    """First row, end, column and direction that a table asks for; None where it asks for nothing.

    Raises
    ------
    InputError
        If it is not of the documented form, or asks for too many rows at once.
    """
    if body is None:
        return None
    try:
        asked = msgspec.convert(body, _RowsRequest)
    except msgspec.ValidationError as e:
        raise InputError(f"the table's request for rows was refused: {sentence(e)}") from e
    if not 0 < asked.endRow - asked.startRow <= settings.table_page:
        raise InputError(f"a table asks for 1 to {settings.table_page} rows at once")
    by = asked.sortModel[0] if asked.sortModel else None
    return asked.startRow, asked.endRow, "" if by is None else by.colId, by is not None and by.sort == "desc"


def build_id(text: str) -> str:
    """The id of a build as an address names it, perhaps with a space (`OpenBuild.seen_in`).

    Raises
    ------
    InputError
        If it is none.
    """
    if not _SEEN.fullmatch(text):
        raise InputError(f"{shorten(text)!r} is not the id of a build")
    return text


def number(args: Any, name: str, low: float, high: float) -> float:
    """A number of a URL's query string.

    Raises
    ------
    InputError
        If it is missing, not a finite number, or out of bounds.
    """
    text = args.get(name)
    if text is None:
        raise InputError(f"{name} is missing")
    try:
        value = float(text[:40])
    except ValueError:
        raise InputError(f"{name} is {shorten(text)!r}: expected a number") from None
    if not low <= value <= high:
        raise InputError(f"{name} is {shorten(text)}: allowed is {low:g} to {high:g}")
    return value


def whole(args: Any, name: str, low: int, high: int) -> int:
    """A whole number of a URL's query string.

    Raises
    ------
    InputError
        If it is missing, not whole, or out of bounds.
    """
    value = number(args, name, low, high)
    if value != int(value):
        raise InputError(f"{name} is {value:g}: expected a whole number")
    return int(value)


def shading(args: Any) -> Shading:
    """Shading of a URL's query string; as by default where it says nothing of it.

    Raises
    ------
    InputError
        If it is not of the documented form.
    """
    try:
        return msgspec.json.decode(text(args, "shading", 300), type=Shading) if "shading" in args else Shading()
    except msgspec.DecodeError as e:
        raise InputError("this is no shading") from e


def text(args: Any, name: str, longest: int) -> str:
    """A text of a URL's query string.

    Raises
    ------
    InputError
        If it is missing or too long.
    """
    value = args.get(name)
    if value is None:
        raise InputError(f"{name} is missing")
    if len(value) > longest:
        raise InputError(f"{name} has {len(value):,} characters: at most {longest} are allowed")
    return str(value)
