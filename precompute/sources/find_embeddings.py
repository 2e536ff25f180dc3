"""Search for the embeddings of a source: files beside it, a column of its catalogue, or a table of their own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from atlas.errors import shorten

from ..errors import SourceError
from ..source_description import EMBEDDINGS
from .chunk_files import ChunkFile, find_chunk_files
from .embedding_tables import embeddings_of_columns, open_embedding_table
from .embeddings import ArrayEmbeddings, ChunkedEmbeddings, Embeddings
from .tables.file_column import CatalogFile

ARRAY_NAMES = (EMBEDDINGS, "representations.npy")
CHUNK_STEM = re.compile(r"(?:.*[_-])?(?:representations?|embeddings?|model_outputs?)", re.IGNORECASE)
_COUNTED = re.compile(r"(?P<stem>.+?)[_-](?P<number>\d+)\.npy")


def open_embeddings(
    path: Path, catalog: CatalogFile, wanted: str, files: Sequence[Path] = ()
) -> tuple[Embeddings, tuple[str, ...]]:
    """Embeddings of a catalogue.

    Parameters
    ----------
    path : Path
        Its file.
    catalog : CatalogFile
    wanted : str
        A column of lists or vectors, the start of the names of columns of numbers, or what `open_arrays` takes. Empty:
        `embeddings.npy` beside the catalogue, the columns that look like embeddings, or the only numbered arrays.
    files : sequence of Path
        That the catalogue is made of; the path alone by default.

    Returns
    -------
    embeddings : Embeddings
    columns : tuple of str
        That they lie in; empty where a file was taken.

    Raises
    ------
    SourceError
        If there are none, or they cannot be read.
    """
    beside = path.parent / EMBEDDINGS
    if not wanted and beside.exists():
        return ArrayEmbeddings(beside), ()
    if (found := embeddings_of_columns(path, catalog, wanted, files)) is not None:
        return found
    if not wanted and (sets := _sets_in(path.parent)):
        if len(sets) > 1:
            raise SourceError(
                f"{len(sets)} sets of embeddings ({', '.join(s.name for s in sets)}): name one (--embeddings)"
            )
        return ChunkedEmbeddings(*sets.values()), ()
    if not wanted:
        raise SourceError(
            f"no embeddings: neither {EMBEDDINGS} beside the catalogue nor a column of lists or vectors in it, nor "
            "numbered columns of floats; name the .npy file or the column (--embeddings)"
        )
    if (column := next((one for one in catalog.columns if one.name == wanted), None)) is not None:
        raise SourceError(
            f"column {wanted!r} ({column.type_name}) holds no embeddings: one of lists or vectors of floats does; "
            "otherwise give an .npy file"
        )
    if (arrays := find_arrays(path.parent, wanted)) is None:
        raise SourceError(f"embeddings {shorten(wanted)!r} are neither a file nor a column of the catalogue")
    return arrays, ()


def open_arrays(folder: Path, wanted: str, *, anywhere: bool = False) -> Embeddings:
    """Embeddings in one `.npy` file or in numbered ones, of a source whose columns hold none.

    Parameters
    ----------
    folder : Path
        Of the source.
    wanted : str
        A file, a folder of numbered files, or such a folder and the start of their names; or a table, HDF5 or folder
        of batches with ids, and a colon and a name where it holds several; also relative to the source. Empty: the
        only numbered files below the folder, or `embeddings.npy` or `representations.npy` in it.
    anywhere : bool
        Whether numbered files may begin at another row than 0.

    Raises
    ------
    SourceError
        If there are none, or they cannot be read.
    """
    if wanted:
        if (arrays := find_arrays(folder, wanted, anywhere=anywhere)) is None:
            raise SourceError(f"embeddings {shorten(wanted)!r} are neither a file nor a folder of numbered files")
        return arrays
    sets = find_chunk_files(folder, ".npy", CHUNK_STEM)
    if len(sets) > 1:
        names = ", ".join(stem.relative_to(folder).as_posix() for stem in sets)
        raise SourceError(f"{len(sets)} sets of embeddings ({shorten(names, 200)}); name one (--embeddings)")
    if sets:
        return ChunkedEmbeddings(*sets.values(), anywhere=anywhere)
    path = next((folder / name for name in ARRAY_NAMES if (folder / name).exists()), None)
    if path is None:
        raise SourceError(
            f"no embeddings: neither files such as representations_000000000_001000000.npy below {folder} "
            f"nor {' or '.join(ARRAY_NAMES)} in it; name them (--embeddings)"
        )
    return ArrayEmbeddings(path)


def _sets_in(folder: Path) -> dict[Path, tuple[ChunkFile, ...]]:
    """Sets of numbered arrays in a folder: named by their first and last rows, or counted through."""
    found = find_chunk_files(folder, ".npy", CHUNK_STEM, depth=0)
    named = {file.path for files in found.values() for file in files}
    counted: dict[Path, list[tuple[int, Path]]] = {}
    for path in folder.glob("*.npy"):
        match = _COUNTED.fullmatch(path.name)
        if match and path not in named and CHUNK_STEM.fullmatch(match["stem"]):
            counted.setdefault(folder / match["stem"], []).append((int(match["number"]), path))
    for stem, numbered in counted.items():
        files, start = [], 0
        for _, path in sorted(numbered):
            stop = start + ArrayEmbeddings(path).n_rows
            files.append(ChunkFile(path, start, stop))
            start = stop
        found.setdefault(stem, tuple(files))
    return found


def rows_beside(catalog: Path, wanted: str) -> int | None:
    """Number of embeddings in files beside a catalogue; None where they are elsewhere or cannot be read."""
    try:
        found = find_arrays(catalog.parent, wanted or EMBEDDINGS)
    except SourceError:
        return None
    return None if found is None else found.n_rows


def find_arrays(folder: Path, wanted: str, *, anywhere: bool = False) -> Embeddings | None:
    """Arrays that `open_arrays` finds where it is told where to look; None where nothing is there."""
    for path in (Path(wanted), folder / wanted):
        if (table := open_embedding_table(path)) is not None:
            return table
        if path.is_file():
            return ArrayEmbeddings(path)
        anchor = path if path.is_dir() else path.parent
        sets = _sets_in(anchor) if anchor.is_dir() else {}
        sets = {stem: files for stem, files in sets.items() if path in (stem, stem.parent)}
        if len(sets) > 1:
            names = ", ".join(stem.name for stem in sets)
            raise SourceError(f"{path} holds {len(sets)} sets of embeddings ({names}); name one, as {path / 'NAME'}")
        if sets:
            return ChunkedEmbeddings(*sets.values(), anywhere=anywhere)
    return None
