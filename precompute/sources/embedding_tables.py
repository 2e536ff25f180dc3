"""Embeddings that come with ids, as encoders write them: in another order than the catalogue, or for fewer galaxies.

results.parquet, .fits, .csv …    a list or vector column, or one a number (`feat_0`, `feat_1` …), beside ids
representations.hdf5              a matrix beside ids (Zoobot's `representations` and `id_str`, AstroCLIP's)
batch_0.npy, batch_1.npy …        records of an id and an array (Hyrax)
lance_db/results.lance            ids and lists in Lance (Hyrax, LanceDB)
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from atlas.errors import shorten

from ..errors import SourceError
from .catalog_files import BROKEN, HDF5_ENDINGS, PARQUET_ENDINGS, catalog_ending, open_catalog
from .column_guesses import EMBEDDING_NAMES, LANCE_VERSIONS, guess_embedding_column
from .embeddings import Embeddings, ListEmbeddings, rows_of_lists
from .tables.arrow_table import ArrowCatalog
from .tables.file_column import CatalogFile, FileColumn
from .tables.hdf5_table import Hdf5Table

MIN_WIDE = 16
"""Fewer numbered columns are bands or apertures."""

LANCE_FOLDER = "lance_db"
"""Folder in which Hyrax keeps its results."""

_BATCH = re.compile(r"batch_(\d+)\.npy")
_NUMBERED = re.compile(r"(.*?)(\d+)")


class EmbeddingTable:
    """Embeddings and the columns beside them; see `Embeddings`.

    Attributes
    ----------
    names : tuple of str
        Columns that may be ids.
    """

    path: Path
    files: tuple[Path, ...]
    n_rows: int
    dimension: int
    names: tuple[str, ...]

    def chunks(self, chunk: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """See `Embeddings.chunks`."""
        raise NotImplementedError

    def read(self, name: str) -> NDArray[Any]:
        """A column beside the embeddings, shape (n,)."""
        raise NotImplementedError


class ColumnEmbeddings:
    """Embeddings in columns of numbers, or in one of vectors, which a file's reader gives whole; see `Embeddings`."""

    def __init__(
        self, path: Path, catalog: CatalogFile, columns: Sequence[FileColumn], files: Sequence[Path] = ()
    ) -> None:
        self.path = path
        self.files: tuple[Path, ...] = tuple(files) or (path,)
        self.n_rows = catalog.n_rows
        self.dimension = sum(column.width for column in columns)
        self._catalog, self._columns = catalog, columns

    def chunks(self, chunk: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """See `Embeddings.chunks`; a missing number is NaN."""
        read = [self._catalog.read(column.name) for column in self._columns]
        for start in range(0, self.n_rows, chunk):
            parts = [_as_floats(values[start : start + chunk]) for values in read]
            yield start, parts[0] if parts[0].ndim == 2 else np.stack(parts, axis=1)


def embeddings_of_columns(
    path: Path, catalog: CatalogFile, wanted: str = "", files: Sequence[Path] = ()
) -> tuple[Embeddings, tuple[str, ...]] | None:
    """Embeddings in a table, and the columns that they lie in; None where nothing looks like some.

    Parameters
    ----------
    path : Path
    catalog : CatalogFile
    wanted : str
        A column of lists or vectors, or the start of the names of columns of numbers, `feat_`.
    files : sequence of Path
        That the table is made of; the path alone by default.

    Raises
    ------
    SourceError
        If several columns look like embeddings and none is named.
    """
    wide = wide_columns(catalog.columns)
    name = wanted or guess_embedding_column(catalog.columns)
    if name in wide or (not name and len(wide) == 1):
        columns = wide[name or next(iter(wide))]
        return ColumnEmbeddings(path, catalog, columns, files), tuple(column.name for column in columns)
    column = next((one for one in catalog.columns if one.name == name and one.kind in ("list", "vector")), None)
    if column is None:
        return None
    if catalog_ending(path) in PARQUET_ENDINGS:
        return ListEmbeddings(path, name, files), (name,)
    if isinstance(catalog, Hdf5Table) and (dataset := catalog.dataset_of(name)):
        return Hdf5Embeddings(path, dataset), (name,)
    return ColumnEmbeddings(path, catalog, [column], files), (name,)


class CatalogEmbeddings(EmbeddingTable):
    """Embeddings in a table of any format that catalogues come in.

    Raises
    ------
    SourceError
        If no column, and no row of numbered columns, looks like embeddings.
    """

    def __init__(self, path: Path, wanted: str = "") -> None:
        self.path, self.files = path, (path,)
        self._catalog: CatalogFile = open_catalog(path)
        columns = self._catalog.columns
        found = embeddings_of_columns(path, self._catalog, wanted)
        if found is None:
            raise SourceError(_nothing(path, wanted, [*(c.name for c in columns), *wide_columns(columns)]))
        self._numbers, taken = found
        self.n_rows, self.dimension = self._numbers.n_rows, self._numbers.dimension
        self.names = tuple(c.name for c in columns if c.kind in ("number", "text") and c.name not in taken)

    def chunks(self, chunk: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """See `Embeddings.chunks`."""
        return self._numbers.chunks(chunk)

    def read(self, name: str) -> NDArray[Any]:
        """See `EmbeddingTable.read`."""
        return self._catalog.read(name)


class Hdf5Embeddings(EmbeddingTable):
    """A matrix of an HDF5 file, and the vectors of its length beside it.

    Raises
    ------
    SourceError
        If the file is no HDF5, or holds no matrix of floats, or several and none is named.
    """

    def __init__(self, path: Path, wanted: str = "") -> None:
        self.path, self.files = path, (path,)
        try:
            self._file = h5py.File(path, "r")
        except OSError as e:
            raise SourceError(f"{path} cannot be read as HDF5: {shorten(e, 160)}") from e
        datasets: dict[str, h5py.Dataset] = {}
        self._file.visititems(lambda n, item: datasets.update({n: item}) if isinstance(item, h5py.Dataset) else None)
        matrices = [n for n, d in datasets.items() if d.ndim == 2 and d.dtype.kind == "f" and d.shape[1] > 1]
        usual = [n for n in matrices if n.rpartition("/")[2].lower() in EMBEDDING_NAMES]
        chosen = [wanted] if wanted in matrices else usual if len(usual) == 1 and not wanted else matrices
        if len(chosen) != 1 or (wanted and chosen != [wanted]):
            raise SourceError(_nothing(path, wanted, matrices))
        self._matrix = datasets[chosen[0]]
        self.n_rows, self.dimension = self._matrix.shape
        self._beside = {n: d for n, d in datasets.items() if d.shape == (self.n_rows,)}
        self.names = tuple(self._beside)

    def chunks(self, chunk: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """See `Embeddings.chunks`."""
        for start in range(0, self.n_rows, chunk):
            try:
                yield start, _as_floats(self._matrix[start : start + chunk])
            except OSError as e:
                raise SourceError(f"{self.path} is damaged at row {start:,}: {shorten(e, 160)}") from e

    def read(self, name: str) -> NDArray[Any]:
        """See `EmbeddingTable.read`."""
        values: NDArray[Any] = self._beside[name][:]
        return values


class BatchEmbeddings(EmbeddingTable):
    """Records of an id and an array in numbered files, as Hyrax leaves its results.

    Raises
    ------
    SourceError
        If a file is broken or of another form than the first.
    """

    def __init__(self, folder: Path, files: Sequence[Path], wanted: str = "") -> None:
        self.path, self.files = folder, tuple(files)
        try:
            self._batches = [np.lib.format.open_memmap(file, mode="r") for file in files]
        except (OSError, ValueError, EOFError) as e:
            raise SourceError(f"{folder}: a batch is missing, truncated or not an .npy array: {shorten(e, 160)}") from e
        kind = self._batches[0].dtype
        odd = next((f for f, b in zip(files, self._batches, strict=True) if b.dtype != kind), None)
        if odd is not None:
            raise SourceError(f"{odd} holds {self._batches[files.index(odd)].dtype}, the first file {kind}")
        fields = {name: kind[name] for name in kind.names or ()}
        arrays = [n for n, d in fields.items() if len(d.shape) == 1 and d.base.kind == "f"]
        chosen = [wanted] if wanted else arrays
        if len(chosen) != 1 or chosen[0] not in arrays:
            raise SourceError(_nothing(folder, wanted, arrays))
        self._field = chosen[0]
        self.n_rows = sum(map(len, self._batches))
        self.dimension = fields[self._field].shape[0]
        self.names = tuple(n for n, d in fields.items() if not d.shape)

    def chunks(self, chunk: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """See `Embeddings.chunks`; no chunk reaches from one file into the next."""
        first = 0
        for batch in self._batches:
            for start in range(0, len(batch), chunk):
                yield first + start, _as_floats(batch[self._field][start : start + chunk])
            first += len(batch)

    def read(self, name: str) -> NDArray[Any]:
        """See `EmbeddingTable.read`."""
        return np.concatenate([batch[name] for batch in self._batches])


class LanceEmbeddings(EmbeddingTable):
    """A column of lists of a Lance data set, and those beside it, read a batch at a time.

    Raises
    ------
    SourceError
        If the reader is not installed, the data set is broken, or nothing tells which column is meant.
    """

    def __init__(self, folder: Path, wanted: str = "") -> None:
        try:
            import lance
        except ImportError as e:
            raise SourceError(
                f"{folder} is Lance, whose reader is an extra: pip install 'galaxy-finder[lance]', or write it as "
                "Parquet where it was made (lance.dataset(…).to_table())"
            ) from e
        self.path = folder
        self.files = tuple(sorted(file for file in folder.rglob("*") if file.is_file()))
        self._data = lance.dataset(str(folder))
        self.n_rows = self._data.count_rows()
        self._catalog = ArrowCatalog(self._data.schema, self.n_rows, self._whole)
        name = wanted or guess_embedding_column(self._catalog.columns)
        column = next((one for one in self._catalog.columns if one.name == name), None)
        if column is None or column.kind not in ("list", "vector"):
            raise SourceError(_nothing(folder, wanted, [c.name for c in self._catalog.columns]))
        self._field = name
        first = next((rows for rows in self._batches(1024) if len(rows) > rows.null_count), None)
        if first is None:
            raise SourceError(f"{folder}: column {name!r} holds no embedding")
        self.dimension = int(pc.list_value_length(first.drop_null())[0].as_py())
        self.names = tuple(one.name for one in self._catalog.columns if one.kind in ("number", "text"))

    def chunks(self, chunk: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """See `Embeddings.chunks`; a batch ends where the data set's own parts do, too."""
        start = 0
        for lists in self._batches(chunk):
            yield start, rows_of_lists(lists, self.dimension, self._field, start)
            start += len(lists)

    def read(self, name: str) -> NDArray[Any]:
        """See `EmbeddingTable.read`."""
        return self._catalog.read(name)

    def _batches(self, rows: int) -> Iterator[pa.Array]:
        # One batch ahead: by itself the reader takes as many as there are cores.
        ahead = {"batch_readahead": 1, "fragment_readahead": 1, "scan_in_order": True}
        with self._told_where(self._field):
            for batch in self._data.scanner(columns=[self._field], batch_size=rows, **ahead).to_batches():
                yield batch.column(0)

    def _whole(self, name: str) -> pa.ChunkedArray:
        with self._told_where(name):
            return self._data.to_table(columns=[name]).column(0)

    @contextmanager
    def _told_where(self, name: str) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError, RuntimeError) as e:
            raise SourceError(f"{self.path} is damaged at column {name!r}: {shorten(e, 200)}") from e


def lance_folder(path: Path) -> Path | None:
    """The one Lance data set that a folder is, or that lies in it as Hyrax and LanceDB leave theirs; None elsewhere."""
    if not path.is_dir():
        return None
    found = [path, *(folder for under in ("*.lance", f"{LANCE_FOLDER}/*.lance") for folder in sorted(path.glob(under)))]
    sets = [folder for folder in found if (folder / LANCE_VERSIONS).is_dir()]
    if len(sets) > 1:
        raise SourceError(f"{path} holds {len(sets)} Lance data sets ({', '.join(s.name for s in sets)}); name one")
    return sets[0] if sets else None


def open_embedding_table(path: Path) -> EmbeddingTable | None:
    """Embeddings with ids that a path names, if it does; a column, dataset or field may stand behind it after a colon.

    Raises
    ------
    SourceError
        If it is, but cannot be read.
    """
    name = ""
    if not path.exists() and ":" in str(path):
        stem, _, name = str(path).rpartition(":")
        path = Path(stem)
    try:
        if (folder := lance_folder(path)) is not None:
            return LanceEmbeddings(folder, name)
        if path.is_dir():
            files = sorted((f for f in path.iterdir() if _BATCH.fullmatch(f.name)), key=_batch_number)
            return BatchEmbeddings(path, files, name) if files else None
        if path.is_file() and path.name.lower().endswith(HDF5_ENDINGS):
            return Hdf5Embeddings(path, name)
        return CatalogEmbeddings(path, name) if path.is_file() and catalog_ending(path) else None
    except BROKEN as e:
        raise SourceError(f"{path} cannot be read: {shorten(e, 160)}") from e


def wide_columns(columns: Sequence[FileColumn]) -> Mapping[str, tuple[FileColumn, ...]]:
    """Embeddings that lie in a column a number, by the start of their names, each in the order of its numbers.

    `feat_0 … feat_511` are one of 512; numbers begin with 0 or 1 and leave none out.
    """
    numbered: defaultdict[str, dict[int, FileColumn]] = defaultdict(dict)
    for column in columns:
        if column.kind == "number" and "int" not in column.type_name and (m := _NUMBERED.fullmatch(column.name)):
            numbered[m[1]][int(m[2])] = column
    return {
        stem: tuple(of[i] for i in sorted(of))
        for stem, of in numbered.items()
        if len(of) >= MIN_WIDE and min(of) in (0, 1) and max(of) - min(of) == len(of) - 1
    }


def _batch_number(path: Path) -> int:
    match = _BATCH.fullmatch(path.name)
    assert match is not None
    return int(match[1])


def _as_floats(values: NDArray[Any]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # what is beyond float32 becomes infinite, which the check reports
        floats: NDArray[np.float32] = np.ma.filled(np.ma.asanyarray(values).astype(np.float32), np.nan)
    return floats


def _nothing(path: Path, wanted: str, there: Sequence[str]) -> str:
    names = shorten(", ".join(there), 200) or "nothing of the kind"
    if wanted:
        return f"{path} holds no embeddings called {shorten(wanted)!r}; it holds {names}"
    return f"{path}: which are the embeddings? Name them behind a colon (--embeddings {path.name}:NAME); there: {names}"
