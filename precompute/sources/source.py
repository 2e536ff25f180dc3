"""A source: a catalogue with embeddings, and images if there are any, opened for a build.

    source = open_source(path)              # headers only: cheap, also where the build is done already
    catalog = source.check()                # reads positions and ids; every problem in one error
    for name in catalog.column_names:
        values = normalize_column(source.read_column(name), source.description.columns[name],
                                  identifier=name in catalog.id_columns)
    for start, rows in source.embedding_chunks(65_536):
        unit, report = check_and_normalize(rows, start)

From here on a column goes by its name in the atlas (`plan_columns`), also where the file calls it differently.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from atlas.errors import UnknownColumnError, shorten
from precompute.errors import SourceError
from precompute.sources.catalog import CatalogFile, FileColumn, open_catalog
from precompute.sources.checks import check_ids, check_positions, degrees_per_unit, raise_problems
from precompute.sources.columns import StoredColumn, normalize_column, plan_columns
from precompute.sources.description import FILENAME, IMAGES, ColumnDescription, SourceDescription, read_description
from precompute.sources.embeddings import Embeddings, open_embeddings
from precompute.sources.guess import find_catalog, guess_id_columns, guess_image_column
from precompute.sources.images import named_path, numbered_path
from precompute.sources.resolve import SOURCE_ROW, check_shape, complete, merge, override, take_positions


@dataclass(frozen=True, eq=False)
class CheckedCatalog:
    """What `Source.check` returns.

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
    """

    def __init__(
        self,
        *,
        path: Path,
        file: CatalogFile,
        embeddings: Embeddings,
        positions: tuple[FileColumn, FileColumn],
        stored: Sequence[StoredColumn],
        description: SourceDescription,
        images: Path | None,
        choices: tuple[str, ...],
        notes: list[str],
    ) -> None:
        self.folder = path.parent
        self.n_rows = file.n_rows
        self.dimension = embeddings.dimension
        self.description = description
        self.column_names = tuple(column.name for column in stored)
        background = description.sky_background
        self.background_path = None if background is None else self.folder / background.file
        self.notes = notes
        self._path = path
        self._file = file
        self._embeddings = embeddings
        self._positions = positions
        self._stored = {column.name: column for column in stored}
        self._images = images
        self._choices = choices

    @property
    def has_images(self) -> bool:
        """Whether there is a folder of images."""
        return self._images is not None

    def check(self) -> CheckedCatalog:
        """Read positions and ids and check them.

        Raises
        ------
        SourceError
            With everything that is wrong: missing or impossible positions, missing or repeated ids.
        """
        ra, dec = self._positions
        positions = check_positions(self._degrees(ra, is_ra=True), self._degrees(dec, is_ra=False))
        problems, notes = list(positions.problems), list(positions.notes)
        id_columns = self.description.id_columns
        if id_columns:
            problems += check_ids(self._read_ids(id_columns))
        else:
            id_columns, found = self._find_ids()
            notes += found
        raise_problems(self._path, problems)
        generated = (SOURCE_ROW,) if SOURCE_ROW in id_columns else ()
        return CheckedCatalog(
            positions.ra_deg, positions.dec_deg, id_columns, self.column_names + generated, tuple(notes)
        )

    def read_column(self, name: str) -> NDArray[Any]:
        """A column of the catalogue as the file has it, shape (n,); masked where values are missing, text as objects.

        Raises
        ------
        UnknownColumnError
            If the source has no such column.
        """
        if name == SOURCE_ROW:
            return np.arange(self.n_rows, dtype=np.uint32)
        if name not in self._stored:
            raise UnknownColumnError(name, self._stored)
        column = self._stored[name]
        values = self._file.read(column.file_name)
        return values if column.component is None else values[:, column.component]

    def embedding_chunks(self, chunk: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Each first row with the embeddings from there, shape (m, d), m ≤ `chunk`, as the file has them."""
        return self._embeddings.chunks(chunk)

    def image_path(self, row: int) -> Path | None:
        """The image of a row, or None where it has none.

        Raises
        ------
        SourceError
            If the name of the image leads out of the folder of images.
        """
        if self._images is None:
            return None
        if self._image_names is None:
            return numbered_path(self._images, row)
        name = self._image_names[row]
        name = name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name or "")
        return named_path(self._images, name.strip())

    def fingerprint(self) -> str:
        """Identity of what the source holds: names, sizes and times of its files, its description, the choices made.

        An image that is replaced inside the folder of images does not change it; adding or removing one does.
        """
        told = self.folder / FILENAME
        paths = [self._path, self._embeddings.path, self._images, self.background_path]
        files = []
        for path in paths:
            if path is not None:
                status = path.stat()
                files.append((path.name, 0 if path.is_dir() else status.st_size, status.st_mtime_ns))
        digest = hashlib.sha256(msgspec.json.encode([files, self._choices]))
        digest.update(told.read_bytes() if told.exists() else b"")
        return digest.hexdigest()

    @cached_property
    def _image_names(self) -> NDArray[Any] | None:
        name = self.description.image_column
        if not name:
            return None
        values = self._file.read(name)
        return np.ma.filled(values, "") if isinstance(values, np.ma.MaskedArray) else values

    def _degrees(self, column: FileColumn, *, is_ra: bool) -> NDArray[Any]:
        """A column of positions, missing values NaN."""
        told = ColumnDescription(missing=column.description.missing)
        values = normalize_column(self._file.read(column.name), told).array
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


def open_source(
    path: Path,
    *,
    ra: str | None = None,
    dec: str | None = None,
    id_columns: tuple[str, ...] = (),
    embeddings: str | None = None,
    images: Path | None = None,
) -> Source:
    """Open a source: reads headers and `source.json`, not the data.

    Parameters
    ----------
    path : Path
        A folder with one catalogue, or a catalogue file; what else belongs to it lies beside it.
    ra, dec : str, optional
        Columns of the positions. Otherwise source.json's, those of UCD pos.eq.ra;meta.main, or usual names.
    id_columns : tuple of str, optional
        Columns that name a galaxy, together. Otherwise source.json's, or found by `Source.check`.
    embeddings : str, optional
        An `.npy` file, or a list column of the Parquet file. Otherwise source.json's column, `embeddings.npy`, or the
        only list column of floats.
    images : Path, optional
        Folder of images. Otherwise `images`, where it exists.

    Raises
    ------
    SourceError
        With everything that is wrong: files missing, broken or of different lengths, columns that do not exist.
    """
    path = find_catalog(path)
    file = open_catalog(path)
    description = override(read_description(path.parent), ra, dec, id_columns)
    columns = tuple(merge(column, description.columns.get(column.name)) for column in file.columns)
    problems, notes = check_shape(file, description), list(file.notes)

    positions = take_positions(columns, description, problems, notes)
    opened, embedding_column = None, ""
    try:
        opened, embedding_column = open_embeddings(path, columns, embeddings or description.embedding_column)
    except SourceError as e:
        problems.append(str(e))
    if opened is not None and opened.n_rows != file.n_rows:
        problems.append(
            f"the catalogue has {file.n_rows:,} rows, but there are {opened.n_rows:,} embeddings ({opened.path.name}); "
            "one a row is needed, in the same order"
        )
    images = images or (path.parent / IMAGES if (path.parent / IMAGES).is_dir() else None)
    if images is not None and not images.is_dir():
        problems.append(f"{images} is not a folder of images")
    background = description.sky_background
    if background is not None and not (path.parent / background.file).is_file():
        problems.append(f"the picture of the sky, {shorten(background.file)}, is missing")
    image_column = description.image_column or (guess_image_column(columns) if images is not None else "")
    raise_problems(path, problems)
    assert positions is not None and opened is not None  # their lack is a problem, raised above

    used = {positions[0].name, positions[1].name, embedding_column, image_column} - set(description.id_columns)
    stored, found = plan_columns(column for column in columns if column.name not in used)
    notes += found
    return Source(
        path=path,
        file=file,
        embeddings=opened,
        positions=positions,
        stored=stored,
        description=complete(description, columns, stored, positions, image_column, notes),
        images=images,
        choices=(ra or "", dec or "", *id_columns, embeddings or ""),
        notes=notes,
    )
