"""Reads what a further source has for the columns of an atlas; everything that does not fit is told at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.catalog.identity import Identity
from atlas.errors import shorten
from atlas.storage import layout
from atlas.storage.layout import SOURCE_ROW
from atlas.storage.manifest import Column, Manifest

from ..errors import SourceError
from ..source_description import ColumnDescription
from ..sources.checks import check_ids, counted, name_rows, raise_problems
from ..sources.color_columns import colors_of, difference
from ..sources.column_types import NormalizedColumn, normalize_column
from ..sources.flux_columns import correction_of
from ..sources.source import Source
from ..stages import agreement
from .conform import conform


@dataclass
class NewRows:
    """Columns of an atlas for new rows.

    Attributes
    ----------
    columns : dict of str to ndarray of shape (m,)
        In the types of the atlas.
    vocabularies : dict of str to list of str
        Of the categories, with the words that are new.
    missing : dict of str to int
        Rows without a value.
    notes : list of str
        What was assumed, changed or left out.
    """

    columns: dict[str, NDArray[Any]] = field(default_factory=dict)
    vocabularies: dict[str, list[str]] = field(default_factory=dict)
    missing: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def is_measured(column: Column) -> bool:
    """Whether a column of an atlas was measured from its images, and is from those of new rows, too."""
    return Path(column.file).parts[0] == layout.ARTEFACTS


def is_computed(column: Column, old: Manifest) -> bool:
    """Whether an atlas found a column itself: measured of images, or of how two of its spaces see the galaxies."""
    return is_measured(column) or column.name in {agreement.column_name(space.name) for space in old.spaces[1:]}


def read_new_rows(source: Source, old: Manifest, identity: Identity, first_row: int) -> NewRows:
    """Read a source's catalogue as rows of an atlas.

    Parameters
    ----------
    source : Source
    old : Manifest
        Of the atlas.
    identity : Identity
        Of the atlas.
    first_row : int
        Row that the first of the source will be.

    Raises
    ------
    SourceError
        With everything that is wrong: columns that are missing or hold other things, galaxies that the atlas has.
    """
    catalog = source.check()
    found = NewRows(notes=[*source.notes, *catalog.notes])
    found.columns |= {layout.RA: catalog.ra_deg, layout.DEC: catalog.dec_deg}
    generated = SOURCE_ROW in old.id_columns and SOURCE_ROW not in source.column_names
    wrong: dict[str, str] = {}
    expected = [column for column in old.columns if not is_computed(column, old)]
    for column in expected:
        name = column.name
        try:
            if name == SOURCE_ROW and generated:
                counted_on = NormalizedColumn("number", np.arange(first_row, first_row + source.n_rows))
                _keep(counted_on, column, found)
            elif name in source.column_names:
                about = source.description.columns.get(name, ColumnDescription())
                identifier = name in old.id_columns
                _refuse_other_origin(about, column)
                _keep(normalize_column(source.read_column(name), about, identifier=identifier), column, found)
        except SourceError as e:
            wrong[name] = f"column {name} {e}"
    numbers = {c.name: c.description for c in old.columns if c.kind == "number" and c.name in source.column_names}
    computed = {color.name: color for color in colors_of(numbers)}
    for column in old.columns:
        if column.name in computed.keys() - found.columns.keys() - wrong.keys():
            color = computed[column.name]
            if {color.bluer, color.redder} <= found.columns.keys():
                values = difference(found.columns[color.bluer], found.columns[color.redder])
                _keep(NormalizedColumn("number", values), column, found)
    problems = list(wrong.values())
    # A colour is lacking for want of its magnitudes, which are told.
    lacking = [c.name for c in expected if c.name not in found.columns.keys() | wrong.keys() | computed.keys()]
    if lacking:
        problems.append(f"the atlas has {counted(len(lacking), 'column')} that it lacks: {', '.join(lacking)}")
    if not problems:
        problems += _id_problems(source, old, identity, found)
    raise_problems(source.folder, problems)
    spare = [name for name in source.column_names if name not in found.columns]
    if spare:
        found.notes.append(f"columns that the atlas does not have are left out: {', '.join(spare)}")
    return found


def _refuse_other_origin(about: ColumnDescription, column: Column) -> None:
    """Refuse magnitudes that were computed of fluxes where others were not, or were corrected otherwise."""
    if correction_of(about.description) != correction_of(column.description):
        here, there = (shorten(one.description, 160) or "the catalogue's own" for one in (about, column))
        raise SourceError(f"is {here!r}, in the atlas {there!r}: bring a column {column.name} that is alike")


def _keep(values: NormalizedColumn, column: Column, found: NewRows) -> None:
    found.columns[column.name], vocabulary = conform(values, column)
    found.missing[column.name] = values.missing_count
    if column.kind == "category":
        found.vocabularies[column.name] = list(vocabulary)
    found.notes += [f"column {column.name}: {note}" for note in values.notes]


def _id_problems(source: Source, old: Manifest, identity: Identity, found: NewRows) -> list[str]:
    """Ids that are missing, repeated, or those of galaxies that the atlas has."""
    names = old.id_columns
    named = [name for name in names if name in source.column_names]
    if not named:
        return []  # rows of their own name them, counted on
    if problems := check_ids({name: source.read_column(name) for name in named}):
        return problems
    rows = identity.find([found.columns[name] for name in names])
    known = np.flatnonzero(rows >= 0)
    if not known.size:
        return []
    every = "all" if known.size == source.n_rows else f"{known.size:,} of"
    return [
        f"{every} {source.n_rows:,} galaxies are in the atlas already, by {', '.join(names)}; {name_rows(known)}, "
        f"such as {identity.name(int(rows[known[0]]))}, row {int(rows[known[0]]):,} there"
    ]
