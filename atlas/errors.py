"""Every error that Galaxy Finder raises on purpose.

    AtlasError                     base; its message is written for the person who reads it
    ├── InputError                 a value from outside is wrong: says what came and what is allowed
    │   ├── CoordinateError        a position that cannot be read
    │   ├── UnknownColumnError     no such column; suggests the nearest name
    │   ├── ExpressionError        an expression that cannot be read; carries the place in its text
    │   ├── UnknownGalaxyError     no galaxy of that id in this build
    │   └── NothingNearError       no galaxy near a position; carries the nearest one
    ├── FormatError                files of an atlas are missing, truncated, foreign or of another version
    ├── ResourceError              disk, memory, a port: the machine cannot do what was asked
    ├── KeepingError               labels could not be kept or read: a full disk, a database that is away
    └── DamagedError               a build that is served has files that are no longer as they were written

The text of an `InputError`, a `KeepingError` or a `DamagedError` may be shown to anyone. A `FormatError` or
`ResourceError` may name paths, so the dashboard logs it and shows a general sentence instead.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class AtlasError(Exception):
    """Base of all errors raised on purpose."""


class InputError(AtlasError):
    """A value that came from outside is not allowed."""


class CoordinateError(InputError):
    """A position could not be read."""


class UnknownColumnError(InputError):
    """A column that the atlas does not have."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        known = sorted(known)
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known columns: {', '.join(known[:20])}"
        super().__init__(f"no column {shorten(name)!r}; {hint}")


class ExpressionError(InputError):
    """An expression that cannot be read, or does not fit the columns.

    Attributes
    ----------
    start, end : int
        The place in the text that is wrong, in characters; equal where something is missing.
    """

    def __init__(self, message: str, start: int, end: int) -> None:
        super().__init__(message)
        self.start = start
        self.end = end


class UnknownGalaxyError(InputError):
    """A galaxy id that the atlas does not have."""


class NothingNearError(InputError):
    """No galaxy lies within the radius of a position.

    Attributes
    ----------
    row : int or None
        The nearest galaxy within the search limit, if any.
    separation_arcsec : float or None
        Its distance.
    """

    def __init__(self, message: str, row: int | None, separation_arcsec: float | None) -> None:
        super().__init__(message)
        self.row = row
        self.separation_arcsec = separation_arcsec


class FormatError(AtlasError):
    """Files of an atlas are missing, truncated, foreign or of another version."""


class ResourceError(AtlasError):
    """The machine cannot do what was asked (disk, memory, port)."""


class KeepingError(AtlasError):
    """Labels could not be kept or read; nothing was stored, and the same may be tried again."""


class DamagedError(AtlasError):
    """A build that is served has files that are no longer as they were written; names one of them within the build."""


def shorten(value: object, limit: int = 60) -> str:
    """A received value, short enough to quote in a message."""
    text = str(value)
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[: limit + 1])
    return text if len(text) <= limit else text[: limit - 1] + "…"
