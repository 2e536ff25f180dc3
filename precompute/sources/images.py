"""Images of a source; most bring one file a row, named by a column or by the row."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from atlas.errors import shorten

from ..errors import SourceError
from .pictures import ENDINGS, picture_stem, read_rgb

SHOWN = 3


class Images(Protocol):
    """Images of a source; safe to share between threads.

    Attributes
    ----------
    on_demand : bool
        Whether an image is made when it is asked for, at some cost, and not merely read: a build then makes those that
        it was told to make, instead of all.
    """

    @property
    def on_demand(self) -> bool: ...

    def read(self, row: int) -> NDArray[np.uint8] | None:
        """The image of a row, (height, width, 3), or None where it has none.

        Raises
        ------
        SourceError
            If it cannot be read.
        """


class FolderImages:
    """One file a row in a folder.

    Parameters
    ----------
    folder : Path
    names : callable
        Reads the names of the files, an array of shape (n,), when the first image is asked for; where it returns None
        files are named by their row or by the galaxy's id.
    ids : callable
        Reads the galaxies' ids as files may be named by them, arrays of shape (n,).
    """

    on_demand = False

    def __init__(
        self,
        folder: Path,
        names: Callable[[], NDArray[Any] | None] = lambda: None,
        ids: Callable[[], Iterable[NDArray[Any]]] = tuple,
    ) -> None:
        self.folder = folder
        self._read_names = names
        self._read_ids = ids

    def path(self, row: int) -> Path | None:
        """The file of a row, or None where there is none.

        Raises
        ------
        SourceError
            If its name leads out of the folder.
        """
        if self._names is not None:
            return named_path(self.folder, _text(self._names[row]))
        path = numbered_path(self.folder, row)
        return self._files.get(str(self._ids[row])) if path is None and self._ids is not None else path

    def read(self, row: int) -> NDArray[np.uint8] | None:
        """See `Images.read`; a name that leads out of the folder is an error."""
        path = self.path(row)
        return None if path is None else read_rgb(path)

    def unmatched(self, n_rows: int) -> list[str]:
        """A note where the folder holds images and none is of any row; empty otherwise."""
        files = self._files
        if not files:
            return [f"{self.folder} holds no image ({', '.join(ENDINGS)})"]
        if self._names is not None:
            wanted = [_text(name) for name in self._names]
            if any(named_path(self.folder, name) for name in wanted if ".." not in name and not name.startswith("/")):
                return []
        elif self._is_numbered or self._ids is not None:
            return []
        else:
            ids = next(iter(self._read_ids()), np.empty(0))
            wanted = [str(id_) for id_ in ids[:SHOWN]] or [f"{row:09d}" for row in range(min(n_rows, SHOWN))]
        there = ", ".join(path.name for path in list(files.values())[:SHOWN])
        return [
            f"none of the {len(files):,} images in {self.folder} is of a galaxy: they are called {there}; "
            f"looked for were {', '.join(shorten(name, 60) for name in wanted[:SHOWN])}"
        ]

    @cached_property
    def _files(self) -> dict[str, Path]:
        """Images by their names without ending, subfolders included."""
        return {picture_stem(path): path for path in list_pictures(self.folder)}

    @cached_property
    def _is_numbered(self) -> bool:
        """Whether any file is named by the row, as `numbered_path` has it."""
        return any(
            len(stem) == 9 and stem.isdecimal() and numbered_path(self.folder, int(stem)) for stem in self._files
        )

    @cached_property
    def _ids(self) -> NDArray[Any] | None:
        """The ids by which files are named; None where no file is, or files are named by row."""
        if self._is_numbered:
            return None
        return next((ids for ids in self._read_ids() if any(str(id_) in self._files for id_ in ids)), None)

    @cached_property
    def _names(self) -> NDArray[Any] | None:
        names = self._read_names()
        return np.ma.filled(names, "") if isinstance(names, np.ma.MaskedArray) else names


def list_pictures(folder: Path) -> list[Path]:
    """Pictures of a folder and its subfolders, sorted by path; hidden files are none."""
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.name.lower().endswith(ENDINGS) and not path.name.startswith(".")
    ]


def _text(name: Any) -> str:
    return (name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name or "")).strip()


def named_path(folder: Path, name: str) -> Path | None:
    """The file of that name in a folder, or None where there is none.

    Raises
    ------
    SourceError
        If the name leads out of the folder.
    """
    relative = PurePath(name)
    if relative.is_absolute() or ".." in relative.parts:
        raise SourceError(f"image name {shorten(name)!r} leads out of {folder}; names are relative to it")
    path = folder / relative
    return path if name and path.is_file() else None


def numbered_path(folder: Path, row: int) -> Path | None:
    """The file named by a row, `000000017.png`, or None where there is none."""
    paths = (folder / f"{row:09d}{ending}" for ending in ENDINGS)
    return next((path for path in paths if path.is_file()), None)
