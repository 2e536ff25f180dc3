"""The layout of github.com/georgestein/ssl-legacysurvey: HDF5 chunks of galaxies by decreasing z flux.

    images_npix152_000000000_001000000.h5 …     `images` (N, 3, 152, 152) in g, r, z nanomaggies, and a dataset a column
    representations_000000000_001000000.npy …   embeddings, in chunks of any length
    source.json                                 optional

The files may lie up to three folders down. Of a part of the survey, as one chunk is, and of a survey whose embeddings
end before its images do (62 million images, 42 million embeddings), the rows that both have are taken: names say which.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import msgspec
import numpy as np
from numpy.typing import NDArray

from atlas.errors import shorten

from ...errors import SourceError
from ...source_description import SourceDescription
from ..chunk_files import ChunkFile, check_count, check_ranges, find_chunk_files
from ..embeddings import ArrayEmbeddings, ChunkedEmbeddings, Embeddings
from ..find_embeddings import open_arrays
from ..images import FolderImages, Images
from ..merge_description import fill
from ..tables.file_column import FileColumn, FileColumnKind
from .base import Parts
from .hdf5_images import IMAGES, DrawnImages, StoredImages, says_how_to_draw
from .kept_rows import keep_rows
from .legacy_columns import BANDS, COLUMNS, MAGNITUDE, SURVEY, band_columns, column_description, magnitudes, type_words

ENDING = ".h5"
STEM = re.compile(r"(?:.*[_-])?images.*", re.IGNORECASE)
POSITIONS = ("ra", "dec")
KNOWN = frozenset((*COLUMNS, IMAGES))

PIXEL_ARCSEC = 0.262
SEEN_PIXELS = 96
"""Of an image, the middle that the survey's own encoder saw (Stein et al. 2021, arXiv 2110.13151)."""


class Dataset(msgspec.Struct, frozen=True):
    """A dataset of an HDF5 file: its shape and numpy's code of its type ("O" for texts of any length)."""

    shape: tuple[int, ...]
    dtype: str


class ReadColumn(msgspec.Struct, frozen=True):
    """Reading of a column from a dataset: one band of it or all, and what is done to the numbers."""

    dataset: str
    band: int | None = None
    convert: Callable[[NDArray[Any]], NDArray[Any]] | None = None


class Hdf5Catalog:
    """Datasets of consecutive files as columns; a file is opened when a column is read.

    Attributes
    ----------
    problems : tuple of str
        Gaps, overlaps, wrong counts, files that cannot be read or do not agree.
    has_images : bool
        Whether some file holds images that can be shown.
    """

    def __init__(self, files: Sequence[ChunkFile]) -> None:
        self._files = files
        self.n_rows = files[-1].stop - files[0].start
        problems = check_ranges(files, files[0].start)
        found = {}
        for file in files:
            try:
                found[file] = _datasets(file.path)
            except OSError as e:
                problems.append(f"{file.path} cannot be read as HDF5: {shorten(e, 200)}")
        kept, notes = _agree(found, problems)
        self.has_images = IMAGES in kept
        self._columns: dict[str, ReadColumn] = {}
        described = []
        for name in [*(n for n in COLUMNS if n in kept), *sorted(set(kept) - set(COLUMNS) - {IMAGES})]:
            for column, read in _columns_of(name, kept):
                described.append(column)
                self._columns[column.name] = read
        self.columns = tuple(described)
        self.notes = tuple(notes)
        self.problems = tuple(problems)

    def read(self, name: str) -> NDArray[Any]:
        """See `CatalogFile.read`."""
        how = self._columns[name]
        parts = []
        for file in self._files:
            try:
                with h5py.File(file.path, "r") as f:
                    values = f[how.dataset][...]
            except (OSError, KeyError) as e:
                raise SourceError(f"{file.path} is damaged at dataset {how.dataset!r}: {shorten(e, 200)}") from e
            if values.dtype.kind == "O":
                values = np.array(values, dtype="S")
            # A copy of the band: a view of it would hold the others in memory.
            parts.append(values if how.band is None else values[:, how.band].copy())
        whole = np.concatenate(parts)
        native: NDArray[Any] = whole.astype(whole.dtype.newbyteorder("="), copy=False)
        return native if how.convert is None else how.convert(native)


class LegacySurvey:
    """Takes folders with files `images…_<first row>_<row after the last>.h5`."""

    def matches(self, path: Path) -> bool:
        """See `Layout.matches`."""
        return path.is_dir() and bool(find_chunk_files(path, ENDING, STEM))

    def open(self, path: Path, told: SourceDescription, embeddings: str, images: Path | None) -> Parts:
        """See `Layout.open`."""
        sets = find_chunk_files(path, ENDING, STEM)
        if len(sets) > 1:
            names = ", ".join(stem.relative_to(path).as_posix() for stem in sets)
            raise SourceError(f"{path} holds {len(sets)} surveys ({shorten(names, 200)}); name the folder of one")
        (every,) = sets.values()
        files: Sequence[ChunkFile] = every
        opened: Embeddings | None = None
        common: Common | None = None
        missing = []
        try:
            opened = open_arrays(path, embeddings, anywhere=True)
            files, common = _common(every, opened)
        except SourceError as e:
            missing.append(str(e))
        catalog = Hdf5Catalog(files)
        problems, notes = [*catalog.problems, *missing], list(catalog.notes)
        pictures: Images | None = FolderImages(images) if images is not None else None
        # Whoever names a survey brings another encoder, or none.
        known = SURVEY if told.survey else msgspec.structs.replace(SURVEY, seen_arcsec=SEEN_PIXELS * PIXEL_ARCSEC)
        if pictures is None and catalog.has_images:
            pictures = StoredImages(files)
        elif pictures is None and says_how_to_draw(files):
            pictures = DrawnImages(files)
        if isinstance(pictures, StoredImages):
            known = msgspec.structs.replace(known, image_scale_arcsec=PIXEL_ARCSEC, image_up_deg=0.0)
            notes.append("images are taken to start in the south, as in FITS, and are shown with north up")
        parts = Parts(
            path=path,
            catalog=catalog,
            embeddings=opened,
            images=pictures,
            description=fill(told, known),
            files=(*(file.path for file in files), *(() if images is None else (images,))),
            problems=problems,
            notes=notes,
        )
        if common is None or opened is None or problems:
            return parts
        notes.append(common.note)
        first, of_embeddings = common.rows.start - files[0].start, common.rows.start - common.first_embedding
        rows = np.arange(len(common.rows))
        return keep_rows(parts, opened, rows + of_embeddings, rows + first)[0]


class Common(msgspec.Struct, frozen=True):
    """Rows, as names count them, that catalogue and embeddings both have, where one of them has more."""

    rows: range
    first_embedding: int
    note: str


def _common(files: Sequence[ChunkFile], embeddings: Embeddings) -> tuple[Sequence[ChunkFile], Common | None]:
    """The files of rows that have embeddings, and what both have; None where that is everything, or not known."""
    first, stop = files[0].start, files[-1].stop
    if isinstance(embeddings, ChunkedEmbeddings):
        start = embeddings.first_row
    elif isinstance(embeddings, ArrayEmbeddings):
        start = first if embeddings.n_rows == stop - first else 0
    else:
        return files, None
    there = range(start, start + embeddings.n_rows)
    rows = range(max(first, there.start), min(stop, there.stop))
    if there == range(first, stop):
        return files, None
    told = (
        f"by their names the files are of rows {first:,} to {stop - 1:,}, the embeddings of {there.start:,} to "
        f"{there.stop - 1:,}"
    )
    if not rows:
        raise SourceError(f"{told}: no row has both")
    kept = [file for file in files if file.start < rows.stop and file.stop > rows.start]
    return kept, Common(rows, there.start, f"{told}: those of both are taken, {rows.start:,} to {rows.stop - 1:,}")


def _datasets(path: Path) -> dict[str, Dataset]:
    """Every dataset at the top of a file that has rows; texts of any length are objects."""
    with h5py.File(path, "r") as f:
        return {
            name: Dataset(item.shape, item.dtype.str)
            for name, item in f.items()
            if isinstance(item, h5py.Dataset) and item.ndim > 0
        }


def _agree(found: dict[ChunkFile, dict[str, Dataset]], problems: list[str]) -> tuple[dict[str, Dataset], list[str]]:
    """The datasets that can be read as columns, as the first file has them, and what is left out; adds problems."""
    notes = []
    for file, datasets in found.items():
        problems += _check_lengths(file, {name: d.shape[0] for name, d in datasets.items() if name in KNOWN})
    kept = {}
    for name in dict.fromkeys(name for datasets in found.values() for name in datasets):
        having = {file: datasets[name] for file, datasets in found.items() if name in datasets}
        lacking = [file.path.name for file in found if file not in having]
        first_file, first = next(iter(having.items()))
        other = next((file for file, d in having.items() if _nature(d) != _nature(first)), None)
        if lacking and name in POSITIONS:
            problems.append(f"no dataset {name!r} in {_listed(lacking)}")
        elif lacking and name == IMAGES:
            notes.append(f"no images in {_listed(lacking)}")
        elif lacking:
            notes.append(f"dataset {name!r} is left out, since it is not in {_listed(lacking)}")
            continue
        if name not in KNOWN and any(d.shape[0] != file.stop - file.start for file, d in having.items()):
            notes.append(f"dataset {name!r} is left out, since it does not have one row a galaxy")
        elif other is not None:
            problems.append(
                f"dataset {name!r} is {_told(first)} in {first_file.path.name}, "
                f"but {_told(having[other])} in {other.path.name}"
            )
        elif name == IMAGES and (len(first.shape) != 4 or first.shape[1] != len(BANDS)):
            problems.append(f"images are {_told(first)} a row; (3, height, width) in g, r, z are needed")
        else:
            kept[name] = first
    return kept, notes


def _check_lengths(file: ChunkFile, lengths: dict[str, int]) -> list[str]:
    rows = defaultdict(list)
    for name, length in lengths.items():
        rows[length].append(name)
    if len(rows) <= 1:
        return [problem for length in rows for problem in check_count(file, length)]
    told = "; ".join(f"{length:,} rows in {_listed(names)}" for length, names in sorted(rows.items()))
    return [f"{file.path.name} holds datasets of different lengths: {told}"]


def _columns_of(name: str, kept: dict[str, Dataset]) -> list[tuple[FileColumn, ReadColumn]]:
    """The columns that come from a dataset."""
    dataset = kept[name]
    type_name = np.dtype(dataset.dtype).name
    about = column_description(name, dataset.dtype)
    has_bands = name in COLUMNS and dataset.shape[1:] == (len(BANDS),)
    if has_bands:
        columns = [(column, ReadColumn(name, band)) for band, column in enumerate(band_columns(name, about, type_name))]
        if name == "flux":
            columns += [
                (column, ReadColumn(name, band, magnitudes))
                for band, column in enumerate(band_columns("mag", MAGNITUDE, type_name))
                if column.name not in kept
            ]
        return columns
    width = dataset.shape[1] if len(dataset.shape) == 2 else 1
    kind = _kind(dataset)
    if name == "source_type" and kind == "number":
        return [(FileColumn(name, "text", type_name, 1, about), ReadColumn(name, convert=type_words))]
    return [(FileColumn(name, kind, type_name, width, about), ReadColumn(name))]


def _kind(dataset: Dataset) -> FileColumnKind:
    match np.dtype(dataset.dtype).kind, len(dataset.shape):
        case "b" | "i" | "u" | "f", 1:
            return "number"
        case "b" | "i" | "u" | "f", 2:
            return "vector"
        case "S" | "O", 1:
            return "text"
        case _:
            return "other"


def _nature(dataset: Dataset) -> tuple[str, tuple[int, ...]]:
    """Nature that has to be the same in all files: integers may be of any size, but not stand beside texts."""
    kind = np.dtype(dataset.dtype).kind
    return {"u": "i", "b": "i", "S": "O"}.get(kind, kind), dataset.shape[1:]


def _told(dataset: Dataset) -> str:
    dtype = np.dtype(dataset.dtype)
    type_name = "text" if dtype.kind in "SO" else dtype.name
    return f"{type_name} of {' × '.join(map(str, dataset.shape[1:]))}" if dataset.shape[1:] else type_name


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if names[3:] else "")


LAYOUT = LegacySurvey()
