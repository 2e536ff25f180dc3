"""From what the files, `source.json` and the caller say to one description, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from atlas.errors import UnknownColumnError, shorten
from atlas.storage.layout import DEC, RA, SOURCE_ROW

from ..errors import SourceError
from ..source_description import FILENAME, ColumnDescription, SourceDescription
from .checks import degrees_per_unit
from .column_guesses import guess_flags, guess_positions
from .column_types import StoredColumn
from .tables.file_column import CatalogFile, FileColumn

MAX_ROWS = 2**32 - 1
_NOTHING = SourceDescription()


def override(
    description: SourceDescription, table: str | None, ra: str | None, dec: str | None, id_columns: tuple[str, ...]
) -> SourceDescription:
    """The description with what the caller named instead."""
    return msgspec.structs.replace(
        description,
        table=table or description.table,
        ra=ra or description.ra,
        dec=dec or description.dec,
        id_columns=id_columns or description.id_columns,
    )


def fill(told: SourceDescription, own: SourceDescription) -> SourceDescription:
    """The description with what the layout knows wherever nothing was told; columns are merged one by one later."""
    known = {
        name: getattr(own, name) for name in own.__struct_fields__ if getattr(told, name) == getattr(_NOTHING, name)
    }
    return msgspec.structs.replace(told, **known)


def merge(column: FileColumn, told: ColumnDescription | None) -> FileColumn:
    """A column with what `source.json` says of it before what the file says."""
    own = column.description
    told = told or ColumnDescription()
    merged = ColumnDescription(
        unit=told.unit or own.unit,
        ucd=told.ucd or own.ucd,
        description=told.description or own.description,
        missing=own.missing if told.missing is None else told.missing,
        flags=told.flags or own.flags or guess_flags(column),
        bits=told.bits or own.bits,
        low=told.low or own.low,
        high=told.high or own.high,
    )
    return msgspec.structs.replace(column, description=merged)


def check_shape(file: CatalogFile, description: SourceDescription) -> list[str]:
    """Problems of the catalogue as a whole: its size, its names, and names that do not exist."""
    problems = []
    if not 1 <= file.n_rows <= MAX_ROWS:
        problems.append(f"the catalogue has {file.n_rows:,} rows; 1 to {MAX_ROWS:,} are allowed")
    kinds = {column.name for column in file.columns}
    named = (description.ra, description.dec, *description.id_columns, description.image_column)
    problems += [str(UnknownColumnError(name, kinds)) for name in named if name and name not in kinds]
    readable = {column.name for column in file.columns if column.kind in ("number", "text")}
    problems += [
        f"id column {name!r} holds neither numbers nor text"
        for name in description.id_columns
        if name in kinds and name not in readable
    ]
    return problems


def take_positions(
    columns: Sequence[FileColumn], description: SourceDescription, problems: list[str], notes: list[str]
) -> tuple[FileColumn, FileColumn] | None:
    """The columns of right ascension and declination; None, and a problem, where there are none that can be used."""
    guessed = guess_positions(columns) or ("", "")
    by_name = {column.name: column for column in columns}
    taken = []
    for what, told, name in zip(
        ("right ascension", "declination"), (description.ra, description.dec), guessed, strict=True
    ):
        if told and told not in by_name:
            continue  # said by `check_shape`
        column = by_name.get(told or name)
        if column is None:
            problems.append(
                f"no column of {what} was found (in degrees); name it (--ra, --dec). "
                f"Columns: {shorten(', '.join(by_name), 300)}"
            )
            continue
        unit = column.description.unit
        if column.kind != "number":
            problems.append(f"column {column.name!r} ({column.type_name}) is no {what}: degrees as numbers are needed")
            continue
        try:
            factor = degrees_per_unit(unit, is_ra=what == "right ascension")
        except SourceError as e:
            problems.append(f"column {column.name!r}: {e}")
            continue
        if not unit:
            notes.append(f"column {column.name!r} names no unit; degrees are assumed")
        elif factor != 1:
            notes.append(f"column {column.name!r} is converted from {unit} to degrees")
        taken.append(column)
    return (taken[0], taken[1]) if len(taken) == 2 else None


def complete_description(
    description: SourceDescription,
    columns: Sequence[FileColumn],
    stored: Sequence[StoredColumn],
    positions: tuple[FileColumn, FileColumn],
    image_column: str,
    notes: list[str],
) -> SourceDescription:
    """The description with every column in it, each by its name in the atlas."""
    by_name = {column.name: column.description for column in columns}
    ra, dec = (msgspec.structs.replace(column.description, unit="deg", missing=None) for column in positions)
    complete = {
        RA: msgspec.structs.replace(ra, ucd=ra.ucd or "pos.eq.ra;meta.main"),
        DEC: msgspec.structs.replace(dec, ucd=dec.ucd or "pos.eq.dec;meta.main"),
        SOURCE_ROW: ColumnDescription(ucd="meta.id;meta.main", description="Row in the source, counted from 0"),
    }
    renamed = {}
    for column in stored:
        complete[column.name] = by_name[column.file_name]
        if column.component is None:
            renamed[column.file_name] = column.name
    if unknown := sorted({*description.columns, *description.ground_truth} - set(by_name)):
        notes.append(f"{FILENAME} describes columns that the catalogue does not have: {', '.join(unknown)}")
    return msgspec.structs.replace(
        description,
        ra=RA,
        dec=DEC,
        id_columns=tuple(renamed[name] for name in description.id_columns),
        key_columns=tuple(renamed[name] for name in description.key_columns),
        image_column=image_column,
        image_width_column=renamed.get(description.image_width_column, ""),
        columns=complete,
        ground_truth=tuple(renamed[name] for name in description.ground_truth if name in renamed),
    )
