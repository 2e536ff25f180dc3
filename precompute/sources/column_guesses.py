"""Guesses at what a source does not say, by the habits of surveys: which file, which columns. Guesses become notes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from atlas.catalog.position_text import POSITION_NAMES
from atlas.errors import shorten

from ..errors import SourceError
from .catalog_files import HDF5_ENDINGS, catalog_ending
from .tables.file_column import FileColumn

LANCE_VERSIONS = "_versions"
"""The folder by which a data set of Lance is known."""

CATALOG_STEM = "catalog."
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NUMBERS = re.compile(r"\d+(?:[mp]\d+)?")  # sweep-000m005-010p000

POSITION_UCDS = (
    ("pos.eq.ra;meta.main", "pos.eq.dec;meta.main"),
    ("pos_eq_ra_main", "pos_eq_dec_main"),
    ("pos.eq.ra", "pos.eq.dec"),
)
ID_NAMES = (
    ("release", "brickid", "objid"),
    ("source_id",),
    ("targetid",),
    ("object_id",),
    ("objectid",),
    ("objid",),
    ("iauname",),
    ("id_str",),
    ("id",),
    ("name",),
)
EMBEDDING_NAMES = ("embedding", "embeddings", "representation", "representations", "vector")
# A list of fewer floats is photometry rather than an embedding.
MIN_EMBEDDING_WIDTH = 8
IMAGE_NAMES = ("image", "image_name", "image_file", "cutout", "filename")
# Red bands first: surveys of galaxies are selected in them.
MAGNITUDE_NAMES = ("mag_z", "mag_i", "mag_r", "mag_g", "mag", "mag_auto", "magnitude", "inst_mag_red")

FLAGS_NAME = re.compile(r"mask|flag|bits", re.IGNORECASE)


def find_catalog(path: Path) -> tuple[Path, ...]:
    """The files of a source's catalogue: the path itself, or the `catalog.*` or only catalogue of a folder.

    Files whose names differ in numbers alone are one catalogue, in the order of these, also in a folder that is named
    as a file would be, `catalog.parquet/part-00000.parquet`.

    Raises
    ------
    SourceError
        If there is none, or more than one.
    """
    if path.is_file():
        return (path,)
    if (path / LANCE_VERSIONS).is_dir():
        raise SourceError(
            f"{path} is Lance, which is read for embeddings (--embeddings {path.name} beside a catalogue); a catalogue "
            "in it is to be written as Parquet"
        )
    known = sorted(p for p in path.iterdir() if catalog_ending(p) and p.name[0] not in "._")
    files = [p for p in known if p.is_file()]
    # Beside another catalogue an HDF5 file is the embeddings.
    tables = [p for p in files if not p.name.lower().endswith(HDF5_ENDINGS)]
    found = [p for p in known if p.name.startswith(CATALOG_STEM)] or tables or files or known
    if len(found) == 1 and found[0].is_dir():
        return find_catalog(found[0])
    if not found:
        raise SourceError(f"{path} holds no catalogue: one of .parquet, .fits, .hdf5, .csv, .ecsv or .vot is needed")
    if len({_without_numbers(p.name) for p in found}) > 1:
        names = shorten(", ".join(p.name for p in found), 300)
        raise SourceError(f"{path} holds {len(found)} catalogues ({names}); name one of them")
    return tuple(sorted(found, key=lambda p: [int(n) for n in re.findall(r"\d+", p.name)]))


def _without_numbers(name: str) -> str:
    """Name that parts have in common: `part-#.parquet`, `sweep-#-#.fits`."""
    return _NUMBERS.sub("#", _UUID.sub("#", name.lower()))


def guess_positions(columns: Sequence[FileColumn]) -> tuple[str, str] | None:
    """Names of the columns of right ascension and declination, by main UCD, then by name, then by any UCD.

    Numbers go first: many catalogues have the positions as sexagesimal text, too, often under the better names.
    """
    return _position_pair([c for c in columns if c.kind == "number"]) or _position_pair(columns)


def _position_pair(columns: Sequence[FileColumn]) -> tuple[str, str] | None:
    by_ucd = {column.description.ucd.lower().replace(" ", ""): column.name for column in reversed(columns)}
    by_name = {column.name.lower(): column.name for column in reversed(columns)}
    tables = [(by_ucd, pair) for pair in POSITION_UCDS]
    tables[-1:-1] = [(by_name, pair) for pair in POSITION_NAMES]
    for names, (ra, dec) in tables:
        if ra in names and dec in names:
            return names[ra], names[dec]
    return None


def guess_id_columns(names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Sets of columns that by their names might name a galaxy, the likeliest first."""
    by_name = {name.lower(): name for name in reversed(names)}
    for wanted in ID_NAMES:
        if all(name in by_name for name in wanted):
            yield tuple(by_name[name] for name in wanted)


def list_columns(columns: Sequence[FileColumn]) -> list[str]:
    """Names of the columns that could be embeddings: lists, and vectors too wide for photometry."""
    return [c.name for c in columns if c.kind == "list" or (c.kind == "vector" and c.width >= MIN_EMBEDDING_WIDTH)]


def guess_embedding_column(columns: Sequence[FileColumn]) -> str:
    """The list column with a usual name, or the only wide one; empty where there is none.

    Raises
    ------
    SourceError
        If there are several, and no name says which.
    """
    lists = list_columns(columns)
    usual = [name for wanted in EMBEDDING_NAMES for name in lists if name.lower() == wanted]
    if len(lists) > 1 and not usual:
        raise SourceError(
            f"{len(lists)} columns could be the embeddings: {shorten(', '.join(lists), 300)}; "
            "name the one to build from (--embeddings)"
        )
    found = usual[:1] or lists
    return found[0] if found else ""


def guess_image_column(columns: Sequence[FileColumn]) -> str:
    """The text column that by its name holds names of images; empty where there is none."""
    texts = {column.name.lower(): column.name for column in reversed(columns) if column.kind == "text"}
    return next((texts[name] for name in IMAGE_NAMES if name in texts), "")


def guess_magnitude(names: Sequence[str]) -> str:
    """The column that by its name says how bright a galaxy is, lower brighter; empty where there is none."""
    by_name = {name.lower(): name for name in reversed(names)}
    return next((by_name[name] for name in MAGNITUDE_NAMES if name in by_name), "")


def guess_flags(column: FileColumn) -> bool:
    """Whether the integers of a column are sets of bits."""
    return "int" in column.type_name and FLAGS_NAME.search(column.name) is not None
