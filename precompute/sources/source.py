"""A source: a catalogue with embeddings, and images if there are any, opened for a build.

    source = open_source(path)              # headers only: cheap, also where the build is done already
    catalog = source.check()                # reads positions and ids; every problem in one error
    for name in catalog.column_names:
        values = normalize_column(source.read_column(name), source.description.columns[name],
                                  identifier=name in catalog.id_columns)
    for start, rows in source.embedding_chunks(65_536):
        unit, report = check_and_normalize(rows, start)

From here on a column goes by its name in the atlas (`plan_columns`), also where the file calls it differently. How
the files lie is known to the layouts alone (`precompute.sources.layouts.base`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from atlas.errors import UnknownColumnError, shorten
from atlas.storage.layout import SOURCE_ROW

from ..errors import SourceError
from ..source_description import FILENAME, PARTIAL, ColumnDescription, SourceDescription, read_description
from .catalog_files import BROKEN
from .checks import check_ids, check_positions, counted, degrees_per_unit, raise_problems
from .column_guesses import guess_id_columns
from .column_types import StoredColumn, normalize_column, plan_columns
from .embedding_tables import EmbeddingTable
from .embeddings import Embeddings
from .flux_columns import WithMagnitudes
from .images import FolderImages
from .join_by_id import Joined, join_by_id
from .layouts import column_files, hats, legacy_survey, table
from .layouts.base import Layout, Parts
from .layouts.kept_rows import keep_rows
from .merge_description import check_shape, complete_description, merge, override, take_positions
from .reopen import open_again, remembered
from .tables.file_column import FileColumn

# Of right ascension, which some catalogues have instead of degrees.
HOURS = 24

MOST_HASHED = 1 << 36
"""Bytes of a file that is known by its content; larger ones hold images, and are known by name, size and time."""

SAID_OF_THE_WHOLE = {
    name: getattr(SourceDescription(), name)
    for name in (
        "name", "title", "survey", "release", "licence", "acknowledgement", "bibtex", "notes", "key_columns",
        "image_scale_arcsec", "image_width_column", "image_up_deg", "seen_arcsec", "sky_background", "random_pick",
    )
}  # fmt: skip
"""What a description says that no column depends on."""

# The first that matches is taken; a table is what is left.
LAYOUTS: tuple[Layout, ...] = (hats.LAYOUT, legacy_survey.LAYOUT, column_files.LAYOUT, table.LAYOUT)


@dataclass(frozen=True, eq=False)
class CheckedCatalog:
    """Result of `Source.check`.

    Attributes
    ----------
    ra_deg, dec_deg : ndarray of shape (n,), float64
        In [0, 360) and [-90, 90].
    id_columns : tuple of str
        Columns that name each galaxy once, together.
    column_names : tuple of str
        Columns to store, without the positions; with `source_row` where that is the id.
    notes : tuple of str
        What was assumed or changed.
    """

    ra_deg: NDArray[np.float64]
    dec_deg: NDArray[np.float64]
    id_columns: tuple[str, ...]
    column_names: tuple[str, ...]
    notes: tuple[str, ...]


class Source:
    """An opened source; made by `open_source`.

    Attributes
    ----------
    folder : Path
        Where the catalogue lies.
    n_rows, dimension : int
        Galaxies, and numbers in an embedding.
    description : SourceDescription
        What `source.json`, the files and the caller say, together; columns by their names in the atlas, `ra` and `dec`
        among them. `id_columns` is empty where nobody named any: `check` finds them.
    column_names : tuple of str
        Columns of the catalogue but positions, embeddings and names of images.
    background_path : Path or None
        The picture of the sky, where the source brings one.
    notes : list of str
        What was assumed or changed on opening.
    joined : Joined or None
        What was joined by id, and what is on one side only.
    opening : callable or None
        The call that opened it, as which it is pickled.
    """

    def __init__(
        self,
        *,
        folder: Path,
        parts: Parts,
        embeddings: Embeddings,
        positions: tuple[FileColumn, FileColumn],
        stored: Sequence[StoredColumn],
        description: SourceDescription,
        choices: tuple[str, ...],
        notes: list[str],
        joined: Joined | None = None,
    ) -> None:
        self.folder = folder
        self.n_rows = parts.catalog.n_rows
        self.dimension = embeddings.dimension
        self.description = description
        self.column_names = tuple(column.name for column in stored)
        background = description.sky_background
        self.background_path = None if background is None else self.folder / background.file
        self.notes = notes
        self._parts = parts
        self._embeddings = embeddings
        self._positions = positions
        self._stored = {column.name: column for column in stored}
        self._choices = choices
        self.joined = joined
        self._rows = None if joined is None else joined.catalog_rows
        self.opening: Callable[[], Source] | None = None
        self._left_out: list[dict[int, str]] = []

    def __reduce__(self) -> tuple[Any, ...]:
        return open_again, (self.opening, self._left_out)

    @property
    def has_images(self) -> bool:
        """Whether the source brings images, if perhaps not of every row."""
        return self._parts.images is not None

    def image_count(self, wanted: int) -> int:
        """Number of images that a build stores.

        Parameters
        ----------
        wanted : int
            What it was told; 0 stands for all that the source has, and for none where they would have to be made.
        """
        images = self._parts.images
        if images is None or (images.on_demand and not wanted):
            return 0
        return min(self.n_rows, wanted or self.n_rows)

    def check(self) -> CheckedCatalog:
        """Read positions and ids and check them.

        Raises
        ------
        SourceError
            With everything that is wrong: missing or impossible positions, missing or repeated ids.
        """
        ra = self._positions[0]
        positions = check_positions(*self.degrees())
        problems, notes = list(positions.problems), list(positions.notes)
        id_columns = self.description.id_columns
        if id_columns:
            problems += check_ids(self._read_ids(id_columns))
        else:
            id_columns, found = self._find_ids()
            notes += found
        if isinstance(self._parts.images, FolderImages):
            notes += self._parts.images.unmatched(self.n_rows)
        if not ra.description.unit and positions.ra_deg.max() <= HOURS:
            notes.append(
                f"all right ascensions lie within 0…{HOURS}: if they are hours, say so "
                f"(unit h of {ra.name!r} in {FILENAME})"
            )
        raise_problems(self._parts.path, problems)
        generated = (SOURCE_ROW,) if SOURCE_ROW in id_columns else ()
        return CheckedCatalog(
            positions.ra_deg, positions.dec_deg, id_columns, self.column_names + generated, tuple(notes)
        )

    def degrees(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Right ascension and declination as the files have them, in degrees, missing ones NaN; each of shape (n,)."""
        ra, dec = self._positions
        return self._degrees(ra, is_ra=True), self._degrees(dec, is_ra=False)

    def leave_out(self, left_out: dict[int, str]) -> None:
        """Go on without these rows; from here on rows are counted without them, but for `source_row`."""
        if left_out:
            self._left_out.append(left_out)
            rows = np.setdiff1d(np.arange(self.n_rows), np.fromiter(left_out, dtype=np.int64))
            self._parts, self._embeddings = keep_rows(self._parts, self._embeddings, rows)
            self._rows = rows if self._rows is None else self._rows[rows]
            self.n_rows = len(rows)
            self._choices = (*self._choices, "left out", *map(str, left_out))
            row, reason = next(iter(left_out.items()))
            self.notes.append(
                f"{counted(len(left_out), 'row')} left out, without a possible position or an embedding; "
                f"first {row} ({reason})"
            )

    def row_of_catalog(self, row: int) -> int:
        """Row of the catalogue's file that a row is."""
        return row if self._rows is None else int(self._rows[row])

    def read_column(self, name: str) -> NDArray[Any]:
        """A column of the catalogue as the file has it, shape (n,); masked where values are missing, text as objects.

        Raises
        ------
        UnknownColumnError
            If the source has no such column.
        SourceError
            If the file is broken there.
        """
        if name == SOURCE_ROW:
            return np.arange(self.n_rows, dtype=np.uint32) if self._rows is None else self._rows.astype(np.uint32)
        if name not in self._stored:
            raise UnknownColumnError(name, self._stored)
        column = self._stored[name]
        try:
            values = self._parts.catalog.read(column.file_name)
        except BROKEN as e:
            raise SourceError(
                f"{self._parts.path}: column {column.file_name!r} cannot be read: {shorten(e, 160)}"
            ) from e
        return values if column.component is None else values[:, column.component]

    def embedding_chunks(self, chunk: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Each first row with the embeddings from there, shape (m, d), m ≤ `chunk`, as the file has them."""
        return self._embeddings.chunks(chunk)

    def image(self, row: int) -> NDArray[np.uint8] | None:
        """The image of a row, shape (height, width, 3), or None where it has none.

        Raises
        ------
        SourceError
            If it cannot be read, or the name of its file leads out of the folder of images.
        """
        return None if self._parts.images is None else self._parts.images.read(row)

    def fingerprint(self) -> str:
        """Identity of what the source holds: names, sizes and times of its files, its description, the choices made.

        An image that is replaced inside the folder of images does not change it; adding or removing one does.
        """
        told = self.folder / FILENAME
        files = []
        for path in (*self._parts.files, *self._embeddings.files, self.background_path):
            if path is not None:
                files.append(_status(path))
        digest = hashlib.sha256(msgspec.json.encode([files, self._choices]))
        digest.update(told.read_bytes() if told.exists() else b"")
        return digest.hexdigest()

    def content(self, part: Literal["columns", "embeddings", "images", "sky"]) -> str:
        """SHA-256 of what a build stores of a part of the source, whenever its files were written.

        columns     files of the catalogue, and what is said of its columns
        embeddings  their files
        images      the folder's time of change, as of `fingerprint`, and the column that names them
        sky         its picture
        """
        rows = None if self._rows is None else hashlib.sha256(np.ascontiguousarray(self._rows).data).hexdigest()
        told: list[Any] = [part, self.n_rows, rows]
        match part:
            case "columns":
                columns = msgspec.structs.replace(self.description, **SAID_OF_THE_WHOLE)
                told += [columns, self._choices, [_content(path) for path in self._parts.files if path.is_file()]]
            case "embeddings":
                told += [self._choices, [_content(path) for path in self._embeddings.files]]
            case "images" if self._parts.images is not None:
                column = self.description.image_column
                folders = [path for path in self._parts.files if path.is_dir()] or self._parts.files
                told += [column, [_status(path) for path in folders]]
                told += (
                    [hashlib.sha256("\0".join(map(str, self._parts.catalog.read(column))).encode()).hexdigest()]
                    if column
                    else []
                )
            case "sky" if self.background_path is not None:
                told = [_content(self.background_path)]
        return hashlib.sha256(msgspec.json.encode(told)).hexdigest()

    def _degrees(self, column: FileColumn, *, is_ra: bool) -> NDArray[Any]:
        """A column of positions, missing values NaN."""
        told = ColumnDescription(missing=column.description.missing)
        values = normalize_column(self._parts.catalog.read(column.name), told).array
        factor = degrees_per_unit(column.description.unit, is_ra=is_ra)
        return values if factor == 1 else values * np.float64(factor)

    def _read_ids(self, names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
        columns = {}
        for name in names:
            columns[name] = self.read_column(name)
            missing = self.description.columns[name].missing
            if missing is not None and columns[name].dtype.kind in "iu":
                columns[name] = np.ma.masked_equal(columns[name], missing)
        return columns

    def _find_ids(self) -> tuple[tuple[str, ...], list[str]]:
        """The first likely columns that name every galaxy once, else the number of the row."""
        notes: list[str] = []
        for names in guess_id_columns(self.column_names):
            problems = check_ids(self._read_ids(names))
            if not problems:
                return names, [*notes, f"galaxies are named by {', '.join(names)}"]
            notes.append(f"{', '.join(names)} cannot name the galaxies: {problems[0]}")
        return (SOURCE_ROW,), [*notes, f"no column names the galaxies; {SOURCE_ROW}, counted from 0, does"]


def _status(path: Path) -> list[Any]:
    status = path.stat()
    return [path.name, 0 if path.is_dir() else status.st_size, status.st_mtime_ns]


def _content(path: Path) -> Any:
    if path.stat().st_size > MOST_HASHED:
        return _status(path)
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


@remembered
def open_source(
    path: Path,
    *,
    table: str | None = None,
    ra: str | None = None,
    dec: str | None = None,
    id_columns: tuple[str, ...] = (),
    embeddings: str | None = None,
    embedding_ids: tuple[str, ...] = (),
    images: Path | None = None,
    only: tuple[str, ...] = (),
    skipped: tuple[str, ...] = (),
) -> Source:
    """Open a source of any layout: reads headers and `source.json`, not the data.

    Parameters
    ----------
    path : Path
        A folder, or the file of its catalogue; what else belongs to it lies beside it.
    table : str, optional
        Number or name of the table, in a FITS file or VOTable of several. Otherwise the one with positions, or with as
        many rows as there are embeddings.
    ra, dec : str, optional
        Columns of the positions. Otherwise source.json's, those of UCD pos.eq.ra;meta.main, or usual names.
    id_columns : tuple of str, optional
        Columns that name a galaxy, together. Otherwise source.json's, or found by `Source.check`.
    embeddings : str, optional
        An `.npy` file, a folder of numbered ones, a list column of Parquet files, or a table, HDF5 or folder of batches
        with ids of its own, by which it is joined. Otherwise source.json's column, `embeddings.npy`, numbered files, or
        the only list column of floats.
    embedding_ids : tuple of str, optional
        Columns of that table that name a galaxy. Otherwise those of the catalogue's names, or usual ones.
    images : Path, optional
        Folder of one image a row. Otherwise the layout's own images, or `images`, where it exists.
    only, skipped : tuple of str
        Columns of the catalogue to store beside positions and ids, all where empty; and those to leave.

    Raises
    ------
    SourceError
        With everything that is wrong: files missing, broken or of different lengths, columns that do not exist.
    """
    if not path.exists():
        raise SourceError(f"{path} does not exist")
    folder = path if path.is_dir() else path.parent
    if (folder / PARTIAL).exists():
        raise SourceError(f"{folder} was never finished: run the command that writes it again")
    told = override(read_description(folder), table, ra, dec, id_columns)
    layout = next(layout for layout in LAYOUTS if layout.matches(path))
    is_folder = images is None or images.is_dir()
    parts = layout.open(path, told, embeddings or "", images if is_folder else None)
    description, opened = parts.description, parts.embeddings
    parts = replace(parts, catalog=(with_magnitudes := WithMagnitudes(parts.catalog, description.columns)))
    columns = tuple(merge(column, description.columns.get(column.name)) for column in parts.catalog.columns)
    problems, notes = check_shape(parts.catalog, description) + parts.problems, parts.notes
    positions = take_positions(columns, description, problems, notes)
    joined = None
    if isinstance(opened, EmbeddingTable):
        joined = join_by_id(parts, opened, description.id_columns, embedding_ids)
        if joined is not None:
            parts, opened = keep_rows(parts, opened, joined.embedding_rows, joined.catalog_rows)
            notes.append(joined.note)
    elif embedding_ids:
        problems.append(f"the embeddings have no columns: --embeddings-id {','.join(embedding_ids)} says nothing")
    if opened is not None and opened.n_rows != parts.catalog.n_rows:
        problems.append(
            f"the catalogue has {parts.catalog.n_rows:,} rows, but there are {opened.n_rows:,} embeddings "
            f"({opened.path.name}); one a row is needed, in the same order"
        )
    there = {column.name for column in columns}
    problems += [str(UnknownColumnError(name, there)) for name in (*only, *skipped) if name not in there]
    if not is_folder:
        problems.append(f"{images} is not a folder of images")
    background = description.sky_background
    if background is not None and not (folder / background.file).is_file():
        problems.append(f"the picture of the sky, {shorten(background.file)}, is missing")
    raise_problems(parts.path, problems)
    assert positions is not None and opened is not None  # their lack is a problem, raised above

    ids = set(description.id_columns)
    used = {positions[0].name, positions[1].name, *parts.embedding_columns, parts.image_column, *skipped}
    if only:
        likely = () if ids else next(guess_id_columns([c.name for c in columns]), ())
        used |= {c.name for c in columns} - {*only, *likely}
    stored, found = plan_columns(c for c in columns if c.name not in used - ids)
    notes += [*found, *with_magnitudes.told({c.file_name for c in stored})]
    kept = {column.file_name for column in stored if column.component is None}
    raise_problems(
        parts.path,
        [
            f"{FILENAME} names the {what} column {shorten(name)!r}, which is none that an atlas keeps"
            for what, names in (("key", description.key_columns), ("image width", (description.image_width_column,)))
            for name in names
            if name and name not in kept
        ],
    )
    return Source(
        folder=folder,
        parts=parts,
        embeddings=opened,
        positions=positions,
        stored=stored,
        description=complete_description(description, columns, stored, positions, parts.image_column, notes),
        choices=(
            *(table or "", ra or "", dec or "", *id_columns, embeddings or "", *embedding_ids),
            *(f"+{name}" for name in only),
            *(f"-{name}" for name in skipped),
        ),
        notes=notes,
        joined=joined,
    )
