"""`update`: columns of a further catalogue join an atlas by id, or take the place of those that it has.

No stage reads a further column, so none runs: the new build links the files of the old one, and the columns are written
beside them. It is published as any build is: until then, and whatever interrupts it, the atlas is as it was, and the
same command goes on.
"""

from __future__ import annotations

import csv
import resource
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from atlas.catalog.columns import Columns
from atlas.catalog.identity import Identity
from atlas.storage import layout
from atlas.storage import publish as writer
from atlas.storage.appended_array import write_part
from atlas.storage.arrays import chunks
from atlas.storage.manifest import Column, Manifest, StageRecord

from ..errors import SourceError
from ..source_description import ColumnDescription
from ..sources.bad_rows import UNMATCHED
from ..sources.checks import counted, raise_problems
from ..sources.color_columns import COMPUTED, Color, colors_of, difference
from ..sources.column_types import MISSING_CODE, NormalizedColumn, normalize_column
from ..sources.flux_columns import computed_of
from ..sources.further_columns import FurtherColumns, RowsOfGalaxies
from ..stages import anomalies, read
from .stage_runner import CHANGE, digest, digest_of_array, link_files, publish_change, replace_array, say, taken_up

VERSION = 1
"""Raised when the code's result changes, so that an interrupted run of older code is not gone on with."""

Others = Literal["", "missing", "keep"]
"""Value of a replaced column in galaxies that the catalogue does not have; "" refuses to choose."""

CHUNK_ROWS = 1 << 16


def update(further: FurtherColumns, out: Path, *, others: Others = "", quiet: bool = False) -> Manifest:
    """Add columns to an atlas, or replace them.

    Parameters
    ----------
    further : FurtherColumns
    out : Path
        Folder of the atlas, which stays in use meanwhile.
    others : {"", "missing", "keep"}
    quiet : bool
        Say nothing.

    Returns
    -------
    Manifest
        Of the build that holds them, which is now current.

    Raises
    ------
    SourceError
        If ids do not match, or a column cannot be stored.
    FormatError
        If there is no whole atlas in the folder.
    ResourceError
        If the disk is too small, or another build of the atlas runs.
    """
    with taken_up(out) as (before, old):
        begun = time.perf_counter()
        of_atlas = Columns(before, old.columns, old.n_rows)
        identity = Identity(before, old.id_columns, of_atlas, old.segments)
        rows = further.rows_of(identity, of_atlas, old.n_rows)
        notes = [*further.notes, *_list_unmatched(out, further, identity, rows, quiet=quiet)]
        _refuse_to_choose(further, old, rows, others)
        fresh, found = _read(further, of_atlas, rows, others)
        if not found:
            raise SourceError(f"{further.path}: no column could be taken: {'; '.join(fresh)}")
        notes += fresh
        found |= _colors(old, of_atlas, found)
        key = digest(
            [layout.FORMAT_VERSION, "update", VERSION, old.build_id, [_key_of(c, v) for c, v in found.items()]]
        )
        writer.require_disk(out, sum(values.array.nbytes for values, _ in found.values()), "the columns")
        partial = writer.begin(out, key[:12])
        (partial / layout.STAGES).mkdir(exist_ok=True)
        # What the stage of the catalogue wrote is no longer what it would write.
        link_files(before, partial, [name for name in old.files if name != f"{layout.STAGES}/{read.STAGE.name}.json"])
        for name, (values, _) in found.items():
            _write(partial / layout.COLUMNS / f"{name}.npy", values.array, old)
        seconds = time.perf_counter() - begun
        manifest = _assemble(old, key, further, found, notes, rows, seconds)
        manifest = publish_change(out, before, old, partial, manifest, quiet=quiet)
    for note in notes:
        say(quiet, f"note: {note}")
    say(quiet, f"{out}: build {manifest.build_id} with {manifest.stages[-1].measured[CHANGE]} is in use")
    return manifest


FreshColumns = dict[str, tuple[NormalizedColumn, ColumnDescription]]


def _key_of(name: str, column: tuple[NormalizedColumn, ColumnDescription]) -> list[Any]:
    """All that tells a column from another, for the key of the build."""
    values, about = column
    return [name, values.kind, values.array.dtype.str, values.vocabulary, about, digest_of_array(values.array)]


def _refuse_to_choose(further: FurtherColumns, old: Manifest, rows: RowsOfGalaxies, others: Others) -> None:
    """Refuse to replace a column for some galaxies only, unless it is said what the others have."""
    replaced = sorted({c.name for c in old.columns} & {c.name for c in further.columns})
    if replaced and rows.lacking.size and not others:
        raise SourceError(
            f"{', '.join(replaced)} would be replaced, and {further.path} lacks "
            f"{counted(rows.lacking.size, 'galaxy', 'galaxies')} of {old.n_rows:,}: --others keep leaves those as they "
            "are, --others missing without a value; --columns or --skip-columns choose other columns"
        )


def _read(
    further: FurtherColumns, of_atlas: Columns, rows: RowsOfGalaxies, others: Others
) -> tuple[list[str], FreshColumns]:
    """The columns as the atlas will hold them; one that cannot be read is left out with a note."""
    notes, found, problems = list[str](), FreshColumns(), list[str]()
    for column in further.columns:
        about = further.describe(column)
        try:
            values = further.read(column, rows)
            if others == "keep" and column.name in of_atlas and rows.lacking.size:
                values = _with_kept(values, of_atlas, column.name, rows.lacking)
            stored = normalize_column(values, about)
        except SourceError as e:
            (problems if column.name in of_atlas else notes).append(f"column {column.name} is left out: {e}")
            continue
        notes += [f"column {column.name}: {note}" for note in stored.notes]
        found[column.name] = stored, _about(about, of_atlas, column.name)
    raise_problems(further.path, problems)
    return notes, found


def _about(about: ColumnDescription, of_atlas: Columns, name: str) -> ColumnDescription:
    """Description of a column by the catalogue, and by the atlas where that says nothing."""
    if name not in of_atlas:
        return about
    before = of_atlas.describe(name)
    return msgspec.structs.replace(
        about,
        unit=about.unit or before.unit,
        ucd=about.ucd or before.ucd,
        description=about.description or before.description,
        low=about.low or before.low,
        high=about.high or before.high,
    )


def _with_kept(values: NDArray[Any], of_atlas: Columns, name: str, lacking: NDArray[np.int64]) -> NDArray[Any]:
    """Values of a catalogue, and in other galaxies those that the atlas has."""
    column = of_atlas.describe(name)
    kept: NDArray[Any] = np.asarray(of_atlas.array(name)[lacking])
    if column.kind in ("category", "text"):
        if column.kind == "category":
            words = np.array([*column.vocabulary, *[None] * (MISSING_CODE + 1 - len(column.vocabulary))], dtype=object)
            kept = words[kept]
        else:
            kept = np.array([word.decode() or None for word in kept.tolist()], dtype=object)
        missing = pd.isna(kept)
    else:
        missing = np.isnan(kept) if kept.dtype.kind == "f" else np.zeros(kept.shape, dtype=np.bool_)
    if (values.dtype.kind == "O") != (kept.dtype.kind == "O"):
        raise SourceError(f"the atlas holds {column.kind} there, the catalogue does not: --others keep cannot mix them")
    dtype = np.dtype(object) if kept.dtype.kind == "O" else np.result_type(values.dtype, kept.dtype)
    mixed = values.astype(dtype)
    mixed[lacking[~missing]] = kept[~missing]
    if dtype.kind == "f" and values.dtype.kind in "iu" and np.ma.allequal(mixed, np.rint(mixed)):
        mixed = mixed.astype(values.dtype)  # whole numbers that some rows had lacked
    return mixed


def _colors(old: Manifest, of_atlas: Columns, found: FreshColumns) -> FreshColumns:
    """Colours that were computed of a replaced magnitude, computed again, and those that a new one makes possible."""
    own = {c.name for c in old.columns if not c.description.startswith(COMPUTED)} | found.keys()
    numbers = {c.name: c.description for c in old.columns if c.kind == "number" and c.name in own - found.keys()}
    numbers |= {name: about.description for name, (values, about) in found.items() if values.kind == "number"}

    def of(color: Color) -> NormalizedColumn:
        pair = [found[n][0].array if n in found else of_atlas.array(n) for n in (color.bluer, color.redder)]
        return NormalizedColumn("number", difference(*pair))

    return {
        color.name: (of(color), color.about)
        for color in colors_of(numbers)
        if {color.bluer, color.redder} & found.keys()
    }


def _write(path: Path, values: NDArray[Any], old: Manifest) -> None:
    """A column in as many files as the arrays beside it, so that appended rows go on from the last."""
    first, *appended = old.segments
    replace_array(path, values[first.start : first.stop])
    for number, segment in enumerate(appended, 1):
        write_part(path, number, values[segment.start : segment.stop])


def _list_unmatched(
    out: Path, further: FurtherColumns, identity: Identity, rows: RowsOfGalaxies, *, quiet: bool
) -> list[str]:
    """Write the ids that are on one side only; returns a note of how many where there are some."""
    if not rows.unknown.size and not rows.lacking.size:
        return []
    path = out / UNMATCHED
    scratch = path.with_name(f".{path.name}.tmp")
    with scratch.open("w", newline="", encoding="utf-8") as f:
        lines = csv.writer(f)
        lines.writerow(("id", "reason"))
        for name in _named(further.names, rows.unknown):
            lines.writerow((name, "not in the atlas"))
        for name in _named(lambda part: identity.names(part.tolist()), rows.lacking):
            lines.writerow((name, "not in the catalogue"))
    scratch.replace(path)
    return [
        f"{counted(rows.lacking.size, 'galaxy', 'galaxies')} of the atlas not in {further.path.name}, "
        f"{counted(rows.unknown.size, 'row')} of it no galaxy of the atlas: listed in {path}"
    ]


def _named(names: Any, rows: NDArray[np.int64]) -> Iterator[str]:
    for part in chunks(rows.size, CHUNK_ROWS):
        yield from names(rows[part])


def _assemble(
    old: Manifest,
    key: str,
    further: FurtherColumns,
    found: FreshColumns,
    notes: list[str],
    rows: RowsOfGalaxies,
    seconds: float,
) -> Manifest:
    """The manifest of the new build, but for its files."""
    described = {
        name: read.describe_column(name, values, about, truth=False) for name, (values, about) in found.items()
    }
    known = {column.name for column in old.columns}
    added, replaced = [n for n in described if n not in known], [n for n in described if n in known]
    columns: list[Column] = [described.pop(column.name, column) for column in old.columns]
    change = "; ".join(
        f"{counted(len(names), 'column')} {done} ({', '.join(names)})"
        for names, done in ((added, "added"), (replaced, "replaced"))
        if names
    )
    told = [f"{change} from {further.path.name}"]
    kept = {column.name: column.description for column in old.columns if column.name not in replaced}
    for name in replaced:
        if stale := computed_of(name, kept):
            told.append(f"{', '.join(stale)} is still of the {name} before: build again to compute it anew")
    fitted = {anomalies.fitted_magnitude(old, space.name) for space in old.spaces}
    for magnitude in sorted(fitted & {*replaced}):
        told.append(f"anomaly scores are still those by the {magnitude} before: build again to score by the new one")
    number = sum(record.name.startswith("update-") for record in old.stages) + 1
    record = StageRecord(
        name=f"update-{number}",
        key=key,
        seconds=round(seconds, 3),
        peak_mib=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        measured={CHANGE: change, "without": int(rows.lacking.size), "unmatched": int(rows.unknown.size)},
    )
    return msgspec.structs.replace(
        old,
        build_id=key[:12],
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        columns=(*columns, *described.values()),
        provenance=msgspec.structs.replace(old.provenance, notes=(*old.provenance.notes, *told, *notes)),
        stages=(*old.stages, record),
    )
