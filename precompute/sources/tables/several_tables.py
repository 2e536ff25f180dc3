"""A file that holds several tables, of which one is the catalogue."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from atlas.errors import shorten

from ...errors import SourceError
from .file_column import FileColumn

# How well a table of these columns and so many rows serves as the catalogue: the most wins, 0 not at all.
Suits = Callable[[Sequence[FileColumn], int], int]
SHOWN_COLUMNS = 4


class TableHead(msgspec.Struct, frozen=True):
    """Head of a table, known before it is read; `place` is the number by which `--hdu` names it."""

    place: int
    name: str
    n_rows: int
    columns: tuple[FileColumn, ...]

    def __str__(self) -> str:
        shown = [column.name for column in self.columns[:SHOWN_COLUMNS]]
        more = ", …" if len(self.columns) > SHOWN_COLUMNS else ""
        name = f" {shorten(self.name, 40)!r}" if self.name else ""
        return f"{self.place}{name} of {self.n_rows:,} rows ({', '.join(shown)}{more})"


def choose_table(path: Path, heads: Sequence[TableHead], wanted: str, suits: Suits) -> tuple[TableHead, list[str]]:
    """The table that is wanted by number or name, or the one that suits best, with a note where there was a choice.

    Raises
    ------
    SourceError
        If there is none of that number or name, or nothing tells which is meant.
    """
    listed = "; ".join(map(str, heads))
    if wanted:
        named = [head for head in heads if wanted == str(head.place) or wanted.lower() == head.name.lower() != ""]
        if len(named) != 1:
            raise SourceError(f"{path} has {len(named)} tables {shorten(wanted)!r}; there are: {listed}")
        return named[0], []
    if len(heads) == 1:
        return heads[0], []
    scores = [suits(head.columns, head.n_rows) for head in heads]
    best = [head for head, score in zip(heads, scores, strict=True) if score == max(scores) > 0]
    if len(best) != 1:
        raise SourceError(f"{path} holds {len(heads)} tables; name one by its number (--hdu): {listed}")
    return best[0], [f"{path.name} holds {len(heads)} tables; read is {best[0]} (--hdu takes another)"]
