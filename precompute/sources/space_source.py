"""Embeddings for a further space, of galaxies that an atlas has or is to have: of all, by id or in their order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from atlas.errors import shorten
from atlas.storage.arrays import open_array
from atlas.storage.layout import SOURCE_ROW
from atlas.storage.manifest import Manifest

from ..errors import SourceError
from ..source_description import SourceDescription
from .column_guesses import guess_id_columns
from .embedding_tables import EmbeddingTable
from .find_embeddings import open_arrays
from .join_by_id import SHOWN, Joined, join_by_id
from .layouts.base import Parts
from .source import Source
from .tables.file_column import CatalogFile, FileColumn, FileColumnKind

KINDS: dict[str, FileColumnKind] = {"text": "text", "number": "number", "flags": "number"}


@dataclass(frozen=True)
class NamedGalaxies:
    """Galaxies that embeddings are wanted of, in order.

    Attributes
    ----------
    name : str
        For messages.
    catalog : CatalogFile
        Its columns name them.
    id_columns : tuple of str
        Which of these do; none where they are named by their order alone.
    """

    name: str
    catalog: CatalogFile
    id_columns: tuple[str, ...]


class SpaceSource(Source):
    """Source of the embeddings of a further space; it has no catalogue but that of the galaxies.

    Parameters
    ----------
    galaxies : NamedGalaxies
    embeddings : str
        As of `open_arrays`.
    ids : tuple of str
        Columns of a table of embeddings that name a galaxy; empty to find them.

    Attributes
    ----------
    scratch : Path
        File that embeddings are brought into the galaxies' order in, where they come in another.

    Raises
    ------
    SourceError
        If there are no embeddings, or a galaxy has none.
    """

    def __init__(self, galaxies: NamedGalaxies, embeddings: str, ids: tuple[str, ...]) -> None:
        opened = open_arrays(Path(), embeddings)
        self.folder = opened.path
        self.n_rows, self.dimension = galaxies.catalog.n_rows, opened.dimension
        self.notes: list[str] = []
        self.scratch = Path()
        self._galaxies = galaxies
        self._embeddings = opened
        self._choices = (Path(embeddings).name, *ids)
        self._atlas_rows: NDArray[np.int64] | None = None
        joined = None
        if isinstance(opened, EmbeddingTable):
            joined = join_by_id(_parts(galaxies), opened, _joined_by(galaxies, opened, ids), ids)
        elif ids:
            raise SourceError(f"{opened.path} has no columns: --embeddings-id {','.join(ids)} says nothing")
        if joined is None and ids:
            raise SourceError(
                f"{galaxies.name} has no ids that {', '.join(ids)} of {opened.path} could be: leave them out"
            )
        if joined is None:
            self._require_as_many(opened.n_rows)
        else:
            self._take(joined)

    def embedding_chunks(self, chunk: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """See `Source.embedding_chunks`; in the order of the galaxies."""
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
                f"{self.folder} has {n:,} embeddings, {self._galaxies.name} {self.n_rows:,} galaxies: give one a row "
                "in the order of those, or a table with ids"
            )
        self.notes.append(f"{self.folder.name} names no galaxies: its rows are taken as those of {self._galaxies.name}")

    def _take(self, joined: Joined) -> None:
        if without := joined.without_embedding:
            some = ", ".join(shorten(one, 40) for one in without[:SHOWN])
            raise SourceError(
                f"{len(without):,} of {self.n_rows:,} galaxies of {self._galaxies.name} have no embedding in "
                f"{self.folder}: {some}{' …' * (len(without) > SHOWN)}. A space holds every galaxy: embed these "
                "too, or leave them out of the atlas"
            )
        of = np.full(self._embeddings.n_rows, -1, dtype=np.int64)
        of[joined.embedding_rows] = joined.catalog_rows
        self._atlas_rows = None if np.array_equal(of, np.arange(self.n_rows)) else of
        beyond = len(joined.without_galaxy)
        self.notes.append(
            f"{self.n_rows:,} embeddings joined by id" + (f"; {beyond:,} more are of no galaxy here" if beyond else "")
        )


def galaxies_of_atlas(build: Path, manifest: Manifest) -> NamedGalaxies:
    """The galaxies of a build, in the order of its rows."""
    return NamedGalaxies("the atlas", _AtlasCatalog(build, manifest), manifest.id_columns)


def galaxies_of_source(source: Source, id_columns: tuple[str, ...]) -> NamedGalaxies:
    """The galaxies of a source that is to be appended to an atlas where those columns name a galaxy."""
    known = id_columns if {*id_columns} <= {*source.column_names} else ()
    return NamedGalaxies(source.folder.name, _SourceCatalog(source, source.column_names), known)


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


class _SourceCatalog:
    """The columns of a source that name its galaxies, as a catalogue file."""

    notes: tuple[str, ...] = ()

    def __init__(self, source: Source, names: tuple[str, ...]) -> None:
        self.n_rows = source.n_rows
        self.columns = tuple(FileColumn(name, "text", "id") for name in names)
        self.read = source.read_column


def _joined_by(galaxies: NamedGalaxies, table: EmbeddingTable, wanted: tuple[str, ...]) -> tuple[str, ...]:
    """Columns of the galaxies that embeddings are joined by.

    Where their rows alone name them, what both sides have goes first: an `objid` of a table is no number of a row.
    """
    if galaxies.id_columns not in ((SOURCE_ROW,), ()):
        return galaxies.id_columns
    there = [column.name for column in galaxies.catalog.columns]
    if wanted:
        return wanted if {*wanted} <= {*there} else galaxies.id_columns
    beside = {name.lower().rpartition("/")[2] for name in table.names}
    both = (names for names in guess_id_columns(there) if {name.lower() for name in names} <= beside)
    return galaxies.id_columns if SOURCE_ROW in beside else next(both, galaxies.id_columns)


def _parts(galaxies: NamedGalaxies) -> Parts:
    return Parts(
        path=Path(galaxies.name),
        catalog=galaxies.catalog,
        embeddings=None,
        images=None,
        description=SourceDescription(),
        files=(),
    )
