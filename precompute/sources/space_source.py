"""Embeddings of the galaxies that an atlas has already: all of them, by id or in the order of its rows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from atlas.errors import shorten
from atlas.storage.arrays import open_array
from atlas.storage.manifest import Manifest

from ..errors import SourceError
from ..source_description import SourceDescription
from .embedding_tables import EmbeddingTable
from .find_embeddings import open_arrays
from .join_by_id import SHOWN, Joined, join_by_id
from .layouts.base import Parts
from .source import Source
from .tables.file_column import FileColumn

KINDS: dict[str, Literal["text", "number"]] = {"text": "text", "number": "number", "flags": "number"}


class SpaceSource(Source):
    """Source of the embeddings of a further space; it has no catalogue but the atlas's.

    Parameters
    ----------
    build : Path
        Of the atlas.
    manifest : Manifest
    embeddings : str
        As of `open_arrays`.
    ids : tuple of str
        Columns of a table of embeddings that name a galaxy; empty to find them.

    Attributes
    ----------
    scratch : Path
        File that embeddings are brought into the atlas's order in, where they come in another.

    Raises
    ------
    SourceError
        If there are no embeddings, or a galaxy of the atlas has none.
    """

    def __init__(self, build: Path, manifest: Manifest, embeddings: str, ids: tuple[str, ...]) -> None:
        opened = open_arrays(Path(), embeddings)
        self.folder = opened.path
        self.n_rows, self.dimension = manifest.n_rows, opened.dimension
        self.notes: list[str] = []
        self.scratch = Path()
        self._embeddings = opened
        self._choices = (Path(embeddings).name, *ids)
        self._atlas_rows: NDArray[np.int64] | None = None
        joined = None
        if isinstance(opened, EmbeddingTable):
            joined = join_by_id(_parts(build, manifest), opened, manifest.id_columns, ids)
        elif ids:
            raise SourceError(f"{opened.path} has no columns: --embeddings-id {','.join(ids)} says nothing")
        if joined is None:
            self._require_as_many(opened.n_rows)
        else:
            self._take(joined)

    def embedding_chunks(self, chunk: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """See `Source.embedding_chunks`; in the order of the atlas's rows."""
        if self._atlas_rows is None:
            yield from self._embeddings.chunks(chunk)
            return
        ordered = np.lib.format.open_memmap(
            self.scratch, mode="w+", dtype=np.float32, shape=(self.n_rows, self.dimension)
        )
        for start, rows in self._embeddings.chunks(chunk):
            at = self._atlas_rows[start : start + len(rows)]
            ordered[at[at >= 0]] = rows[at >= 0]
        for start in range(0, self.n_rows, chunk):
            yield start, np.array(ordered[start : start + chunk])

    def fingerprint(self) -> str:
        """See `Source.fingerprint`."""
        files = [(path.name, (status := path.stat()).st_size, status.st_mtime_ns) for path in self._embeddings.files]
        return hashlib.sha256(msgspec.json.encode([files, self._choices])).hexdigest()

    def _require_as_many(self, n: int) -> None:
        if n != self.n_rows:
            raise SourceError(
                f"{self.folder} has {n:,} embeddings, the atlas {self.n_rows:,} galaxies: give one a row in the order "
                "of the atlas's rows, or a table with ids (--embeddings-id)"
            )
        self.notes.append(f"{self.folder.name} names no galaxies: its rows are taken in the order of the atlas's")

    def _take(self, joined: Joined) -> None:
        if without := joined.without_embedding:
            some = ", ".join(shorten(one, 40) for one in without[:SHOWN])
            raise SourceError(
                f"{len(without):,} of {self.n_rows:,} galaxies of the atlas have no embedding in {self.folder}: {some}"
                f"{' …' * (len(without) > SHOWN)}. A space holds every galaxy: embed these too, or build an atlas of "
                "those that have both"
            )
        of = np.full(self._embeddings.n_rows, -1, dtype=np.int64)
        of[joined.embedding_rows] = joined.catalog_rows
        self._atlas_rows = None if np.array_equal(of, np.arange(self.n_rows)) else of
        beyond = len(joined.without_galaxy)
        self.notes.append(
            f"{self.n_rows:,} embeddings joined by id" + (f"; {beyond:,} more are of no galaxy here" if beyond else "")
        )


class _AtlasCatalog:
    """The columns of a build as a catalogue file."""

    notes: tuple[str, ...] = ()

    def __init__(self, build: Path, manifest: Manifest) -> None:
        self.n_rows = manifest.n_rows
        self.columns = tuple(
            FileColumn(column.name, KINDS[column.kind], column.dtype)
            for column in manifest.columns
            if column.kind in KINDS
        )
        self._files = {column.name: build / column.file for column in manifest.columns}

    def read(self, name: str) -> NDArray[Any]:
        """See `CatalogFile.read`."""
        return open_array(self._files[name])


def _parts(build: Path, manifest: Manifest) -> Parts:
    return Parts(
        path=build.parent.parent,
        catalog=_AtlasCatalog(build, manifest),
        embeddings=None,
        images=None,
        description=SourceDescription(),
        files=(),
    )
