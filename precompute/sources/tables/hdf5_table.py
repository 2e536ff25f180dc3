"""HDF5 files as catalogues: datasets of one length side by side, or records of fields, at the root or in groups.

A dataset of vectors may be the embeddings (AstroCLIP, Multimodal Universe); it is read in parts, by its place in the
file. Datasets of other lengths are told and left out.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from astropy.table.meta import get_header_from_yaml
from numpy.typing import NDArray

from atlas.errors import shorten

from ...errors import SourceError
from ...source_description import ColumnDescription
from .file_column import FileColumn, FileColumnKind
from .several_tables import Suits

TOLD_BY_ASTROPY = ".__table_column_meta__"
"""Ends the name of the dataset in which astropy says what the columns of a table are."""

UNITS = ("unit", "units")
ABOUT = ("description", "desc", "title")


class ColumnPlace(NamedTuple):
    """Position of a column in a file: a dataset, and the field of its records where it has some."""

    dataset: str
    field: str = ""


class Hdf5Table:
    """Datasets of one HDF5 file; see `CatalogFile`.

    Parameters
    ----------
    path : Path
    suits : callable
        How well datasets of one length serve as the catalogue.

    Raises
    ------
    SourceError
        If there is no dataset of rows.
    """

    def __init__(self, path: Path, suits: Suits) -> None:
        self._path = path
        with h5py.File(path, "r") as file:
            found: dict[str, h5py.Dataset] = {}
            file.visititems(lambda name, item: found.update({name: item}) if isinstance(item, h5py.Dataset) else None)
            of_length: defaultdict[int, dict[str, h5py.Dataset]] = defaultdict(dict)
            for name, dataset in found.items():
                if dataset.shape and dataset.shape[0] and not name.endswith(TOLD_BY_ASTROPY):
                    of_length[dataset.shape[0]][name] = dataset
            if not of_length:
                raise SourceError(f"{path} holds no dataset of rows")
            described = {n: _described(file, datasets) for n, datasets in of_length.items()}
            self.n_rows = max(described, key=lambda n: (suits([c for c, _ in described[n]], n), len(described[n]), n))
            left = [name for n, datasets in of_length.items() if n != self.n_rows for name in datasets]
        self.columns = tuple(column for column, _ in described[self.n_rows])
        self._places = {column.name: place for column, place in described[self.n_rows]}
        told = f"datasets that have not {self.n_rows:,} rows are left out: {shorten(', '.join(left), 200)}"
        self.notes: tuple[str, ...] = (told,) if left else ()

    def dataset_of(self, name: str) -> str:
        """The dataset that a column is, which can be read in parts; empty where it is a field of records."""
        place = self._places[name]
        return "" if place.field else place.dataset

    def read(self, name: str) -> NDArray[Any]:
        """See `CatalogFile.read`."""
        place = self._places[name]
        try:
            with h5py.File(self._path, "r") as file:
                dataset = file[place.dataset]
                if h5py.check_string_dtype(dataset.dtype) is not None:
                    words: NDArray[Any] = dataset.asstr(errors="replace")[...]
                    return words.astype(object)
                values: NDArray[Any] = dataset.fields(place.field)[...] if place.field else dataset[...]
        except (OSError, KeyError) as e:
            raise SourceError(f"{self._path} is damaged at column {name!r}: {shorten(e, 160)}") from e
        if values.dtype.kind == "O":
            return np.array([v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in values], dtype=object)
        if values.ndim == 2 and values.shape[1] == 1:
            values = values[:, 0]
        kind = np.dtype(np.uint8) if values.dtype.kind == "b" else values.dtype.newbyteorder("=")
        return values.astype(kind, copy=False)


def _described(file: h5py.File, datasets: dict[str, h5py.Dataset]) -> list[tuple[FileColumn, ColumnPlace]]:
    """Columns of some datasets of one length, by the last part of their names where no other has the same."""
    places = [ColumnPlace(name, field) for name, dataset in datasets.items() for field in dataset.dtype.names or ("",)]
    short = Counter(_short(place) for place in places)
    found = []
    for place in places:
        dataset = datasets[place.dataset]
        dtype, shape = dataset.dtype, dataset.shape[1:]
        if place.field:
            dtype, shape = dtype[place.field].base, (*shape, *dtype[place.field].shape)
        kind, width = _kind(dtype, shape)
        whole = "_".join(filter(None, (*place.dataset.split("/"), place.field)))
        name = _short(place) if short[_short(place)] == 1 else whole
        found.append((FileColumn(name, kind, str(dtype), width, _about(file, place)), place))
    return found


def _short(place: ColumnPlace) -> str:
    return place.field or place.dataset.rpartition("/")[2]


def _kind(dtype: np.dtype[Any], shape: tuple[int, ...]) -> tuple[FileColumnKind, int]:
    if not shape and (dtype.kind in "SU" or h5py.check_string_dtype(dtype) is not None):
        return "text", 1
    if dtype.kind not in "iufb" or len(shape) > 1:
        return "other", 1
    return ("number", 1) if not shape or shape == (1,) else ("vector", shape[0])


def _about(file: h5py.File, place: ColumnPlace) -> ColumnDescription:
    """Description of a column by the file: attributes of a dataset, or astropy's notes on the fields of records."""
    if not place.field:
        told = {name.lower(): value for name, value in file[place.dataset].attrs.items()}
        return ColumnDescription(unit=_text(told, UNITS), description=_text(told, ABOUT), ucd=_text(told, ("ucd",)))
    notes = file.get(place.dataset + TOLD_BY_ASTROPY)
    if notes is None:
        return ColumnDescription()
    columns = get_header_from_yaml(line.decode() for line in notes[...])["datatype"]
    mine: dict[str, Any] = next((column for column in columns if column["name"] == place.field), {})
    told = {**(mine.get("meta") or {}), **mine}
    return ColumnDescription(unit=_text(told, UNITS), description=_text(told, ABOUT), ucd=_text(told, ("ucd",)))


def _text(told: dict[str, Any], names: tuple[str, ...]) -> str:
    value = next((told[name] for name in names if name in told), "")
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value if isinstance(value, str) else ""
