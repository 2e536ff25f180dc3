"""Files that hold consecutive rows each and say so in their names: `images_npix152_000000000_001000000.h5`."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

_NUMBERED = re.compile(r"(?P<stem>.+?)_(?P<start>\d+)_(?P<stop>\d+)\.[A-Za-z0-9]+")

# Folders below the source that are looked into: `images/south/` of the survey's own tree.
MAX_DEPTH = 3


class ChunkFile(msgspec.Struct, frozen=True):
    """A file and the rows that it holds by its name, `start` to `stop - 1`."""

    path: Path
    start: int
    stop: int


def find_chunk_files(
    folder: Path, ending: str, stem: re.Pattern[str], depth: int = MAX_DEPTH
) -> dict[Path, tuple[ChunkFile, ...]]:
    """Sets of numbered files in a folder and below it, each in the order of its rows.

    Parameters
    ----------
    folder : Path
    ending : str
        Of the names, with its dot.
    stem : Pattern
        What the name before the numbers has to match as a whole.
    depth : int
        How many folders down to look; hidden ones are left out.

    Returns
    -------
    dict of Path to tuple of ChunkFile
        By folder and stem: `images/south/images_npix152`.
    """
    sets = defaultdict(list)
    for path in _files_below(folder, ending, depth):
        numbered = _NUMBERED.fullmatch(path.name)
        if numbered and stem.fullmatch(numbered["stem"]):
            file = ChunkFile(path, int(numbered["start"]), int(numbered["stop"]))
            sets[path.parent / numbered["stem"]].append(file)
    return {key: tuple(sorted(sets[key], key=lambda f: (f.start, f.stop))) for key in sorted(sets)}


def check_ranges(files: Sequence[ChunkFile], first_row: int = 0) -> list[str]:
    """Rows from the first that no file holds, or more than one, by their names; files in order."""
    problems = [f"{f.path.name} ends before it starts by its name" for f in files if f.stop <= f.start]
    last: ChunkFile | None = None
    for file in files:
        reached = first_row if last is None else last.stop
        if file.start > reached:
            where = f"before {file.path.name}" if last is None else f"between {last.path.name} and {file.path.name}"
            problems.append(f"{_rows(reached, file.start)} in no file, {where}")
        elif last is not None and file.start < reached:
            both = f"both {last.path.name} and {file.path.name}"
            problems.append(f"{_rows(file.start, min(file.stop, reached))} in {both}")
        if last is None or file.stop > last.stop:
            last = file
    return problems


def check_count(file: ChunkFile, n_rows: int) -> list[str]:
    """Whether a file holds as many rows as its name says."""
    if n_rows == file.stop - file.start:
        return []
    return [f"{file.path.name} holds {n_rows:,} rows; its name says {file.stop - file.start:,}"]


def _rows(start: int, stop: int) -> str:
    return f"row {start:,} is" if stop - start == 1 else f"rows {start:,} to {stop - 1:,} are"


def _files_below(folder: Path, ending: str, depth: int) -> Iterator[Path]:
    # A walk looks at each folder once: one of a million images takes a second.
    # What is linked belongs to the survey, which may lie on several disks; the depth ends a circle of links.
    for place, folders, names in os.walk(folder, followlinks=True):
        here = Path(place)
        is_deepest = len(here.relative_to(folder).parts) >= depth
        folders[:] = [] if is_deepest else sorted(name for name in folders if not name.startswith("."))
        yield from (here / name for name in names if name.endswith(ending) and not name.startswith("."))
