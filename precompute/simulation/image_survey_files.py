"""Files of the rendered survey: their names, what decides their bytes, and how they come into place whole or not.

While `.partial` is in a folder, the folder is no source: whatever interrupts the writing, no half of it is ever read.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import msgspec
import numpy as np
from numpy.typing import NDArray

from atlas.errors import InputError, shorten

from ..errors import SourceError
from ..source_description import FILENAME, PARTIAL, read_description
from .rendering.parameters import PIXEL_ARCSEC

NAME = "simulated-images"
COMPLETE = "complete"  # in `.partial`, once all that is left to do is to move files
MAX_RENDERED = 100_000
_OURS = re.compile(r"images_npix\d+_\d{9}_\d{9}\.h5|representations_\d{9}_\d{9}\.npy")


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """Recipe that decides the bytes of the files; what another recipe left half done is thrown away."""

    n: int
    first_row: int
    seed: int
    pixels: int
    dimension: int
    chunk_rows: int
    code: str

    @property
    def is_rendered(self) -> bool:
        """Whether every galaxy is rendered."""
        return self.first_row + self.n <= MAX_RENDERED

    def chunks(self) -> Iterator[slice]:
        """Rows of each chunk."""
        for start in range(0, self.n, self.chunk_rows):
            yield slice(start, min(self.n, start + self.chunk_rows))

    def images_file(self, rows: slice) -> str:
        """Name of a chunk of images and columns."""
        return f"images_npix{self.pixels}_{rows.start:09d}_{rows.stop:09d}.h5"

    def embeddings_file(self, rows: slice) -> str:
        """Name of a chunk of embeddings."""
        return f"representations_{rows.start:09d}_{rows.stop:09d}.npy"

    def files(self) -> list[str]:
        """Every file of the survey."""
        of_chunks = (name for rows in self.chunks() for name in (self.images_file(rows), self.embeddings_file(rows)))
        return [FILENAME, *of_chunks]


class NewHdf5:
    """A new HDF5 file that has its name only when it was closed whole."""

    def __init__(self, path: Path, recipe: Recipe) -> None:
        self._path = path
        self._recipe = recipe
        self._unfinished = path.with_suffix(".tmp")

    def __enter__(self) -> h5py.File:
        self._file = h5py.File(self._unfinished, "w", libver=("v110", "v110"))
        told = {"seed": self._recipe.seed, "pixels": self._recipe.pixels, "pixel_arcsec": PIXEL_ARCSEC}
        self._file.attrs.update(told)
        return self._file

    def __exit__(self, kind: object, *_: object) -> None:
        self._file.close()
        if kind is None:
            self._unfinished.replace(self._path)


def save(path: Path, array: NDArray[Any]) -> None:
    """Write an array that has its name only when it is whole."""
    unfinished = path.with_suffix(".tmp")
    with unfinished.open("wb") as f:
        np.save(f, array, allow_pickle=False)
    unfinished.replace(path)


def publish_files(folder: Path, recipe: Recipe) -> None:
    """Move the files into place; while `.partial` is there the folder is no source, so no half of it is ever read."""
    partial = folder / PARTIAL
    names = recipe.files()
    for path in folder.iterdir():
        if _OURS.fullmatch(path.name) and path.name not in names:
            path.unlink()
    for name in names:
        if (partial / name).exists():  # else an earlier run moved it
            (partial / name).replace(folder / name)
    shutil.rmtree(partial)


def check_folder(folder: Path) -> None:
    """Only an empty folder, or one that this module wrote, may be written to."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; give a folder for the simulated survey")
    if not folder.exists() or not (entries := {path.name for path in folder.iterdir()}):
        return
    foreign = sorted(name for name in entries - {FILENAME, PARTIAL} if not _OURS.fullmatch(name))
    if foreign:
        raise InputError(f"{folder} holds {shorten(foreign[0])!r}; give a new folder, or one with a simulated survey")
    try:
        is_ours = entries == {PARTIAL} or read_description(folder).name == NAME
    except SourceError:
        is_ours = False
    if not is_ours:
        raise InputError(f"{folder} holds a source that was not simulated; it is not overwritten, give a new folder")
