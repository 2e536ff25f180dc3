"""The files of a source that `embed` writes: its catalogue, what was odd, and the way to the pictures."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ..descriptor import artefact_columns
from ..descriptor.sky_level import ImageFloats
from ..source_description import ColumnDescription, SourceDescription
from ..sources.pictures import Odd
from .chunk_set import ChunkSet
from .picture_set import Pictures, PictureSet, names_of

NAMED = 3
"""Pictures that a note names."""

WORDS = {
    Odd.BROKEN: "cannot be read and are left out",
    Odd.BLANK: "are blank",
    Odd.OTHER_SIZE: "have another size than most and were scaled to it",
    Odd.NOT_SQUARE: "are not square; their middle is used",
    Odd.GREY: "have one band",
    Odd.SIXTEEN_BIT: "have 16 bits a band",
    Odd.ALPHA: "have transparent parts, which count as without data",
}

_IMAGE = "image"
_OF_PICTURES = {
    "id": ColumnDescription("", "meta.id;meta.main", "Name of the picture's file."),
    "ra": ColumnDescription("deg", "pos.eq.ra;meta.main", "Right ascension of the picture's middle (ICRS)."),
    "dec": ColumnDescription("deg", "pos.eq.dec;meta.main", "Declination of the picture's middle (ICRS)."),
}


def catalog_columns(
    pictures: PictureSet, good: NDArray[np.int64], places: NDArray[np.float64], artefacts: dict[str, ImageFloats]
) -> tuple[dict[str, Any], SourceDescription]:
    """The columns of the source and what they mean; a catalogue keeps its own, with their units."""
    described = artefact_columns.describe_columns("", "in the unit of the pictures")
    files = [pictures.name(int(row)) for row in good]
    if pictures.catalog is None:
        names = names_of(pictures)
        columns: dict[str, Any] = {"id": [names[row] for row in good], _IMAGE: files}
        if np.isfinite(places).any():
            columns |= {"ra": places[:, 0], "dec": places[:, 1]}
        told = SourceDescription(
            id_columns=("id",), image_column=_IMAGE, columns={n: _OF_PICTURES[n] for n in columns if n != _IMAGE}
        )
    else:
        rows = pictures.rows[good]
        columns = {
            column.name: _arrow(pictures.catalog.read(column.name)[rows])
            for column in pictures.catalog.columns
            if column.kind != "other"
        }
        own = {column.name: column.description for column in pictures.catalog.columns}
        described = {name: text for name, text in described.items() if name not in columns}
        image_column = pictures.image_column or _free(_IMAGE, columns)
        columns[image_column] = files
        told = msgspec.structs.replace(
            pictures.description, table="", image_column=image_column, columns=own | pictures.description.columns
        )
    columns |= {name: artefacts[name] for name in described}
    return columns, msgspec.structs.replace(told, columns=told.columns | described)


def _free(name: str, taken: dict[str, Any]) -> str:
    """A name that no column has."""
    return name if name not in taken else _free(f"{name}_file", taken)


def _arrow(values: NDArray[Any]) -> pa.Array:
    """A column as a file has it; missing values are null."""
    plain, missing = np.ma.getdata(values), np.ma.getmaskarray(values)
    if plain.ndim == 2:
        return pa.FixedSizeListArray.from_arrays(pa.array(plain.ravel(), mask=missing.ravel()), plain.shape[1])
    if plain.dtype.kind == "S":
        plain = np.char.decode(plain, "utf-8", "replace")
    if plain.dtype.kind == "U":
        plain = plain.astype(object)
    return pa.array(plain, mask=missing, from_pandas=False)


def write_odd(path: Path, pictures: Pictures, kinds: NDArray[np.uint8]) -> list[str]:
    """Write down every picture of which something is told; returns a sentence for each kind."""
    notes = []
    with path.open("w", newline="", encoding="utf-8") as f:
        writer = csv.writer(f)
        writer.writerow(("picture", "what"))
        for kind, words in WORDS.items():
            rows = np.flatnonzero(kinds & kind)
            # What all pictures are needs no list.
            if not rows.size or (rows.size == len(kinds) and kind is not Odd.BROKEN):
                continue
            if kind is Odd.BROKEN and pictures.keeps_every_row:
                words = "cannot be read and have no embedding"
            names = [pictures.name(int(row)) for row in rows]
            writer.writerows((name, words) for name in names)
            more = "" if len(names) <= NAMED else ", …"
            notes.append(f"{len(names):,} of {len(kinds):,} pictures {words}: {', '.join(names[:NAMED])}{more}")
    if isinstance(pictures, PictureSet) and pictures.without:
        notes.append(
            f"{len(pictures.without):,} rows of the catalogue have no picture and are left out; "
            f"the first is row {pictures.without[0]:,}"
        )
    return notes


def link_pictures(folder: Path, link: Path) -> list[str]:
    """Let `build` find the pictures; a note where the file system has no links."""
    if link.is_symlink():
        link.unlink()
    try:
        link.symlink_to(folder.resolve(), target_is_directory=True)
    except OSError:
        return [f"the file system takes no links: give `build` the pictures by --images {folder}"]
    return []


def link_chunks(chunks: ChunkSet, out: Path) -> list[str]:
    """Lay chunks into a source, under their own names; a note where the file system has no links."""
    for path in chunks.files():
        link = out / path.name
        if link.is_symlink():
            link.unlink()
        try:
            link.symlink_to(path.resolve())
        except OSError:
            return [f"the file system takes no links: move the files of {chunks.folder} into {out} before `build`"]
    return []
