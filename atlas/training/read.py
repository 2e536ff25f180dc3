"""Labels from a table: what somebody else labelled becomes part of the history."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from atlas.build import OpenBuild
from atlas.errors import InputError, shorten
from atlas.labels.entry import Entry

MOST_ROWS = 1_000_000
CHUNK = 5_000


class Imported(msgspec.Struct, frozen=True):
    """Outcome of an import.

    Attributes
    ----------
    fresh, known : int
        Labels kept now, and those that had been kept before.
    missing : list of str
        Galaxies that this atlas does not have.
    """

    fresh: int
    known: int
    missing: list[str]


def read_table(path: Path) -> pd.DataFrame:
    """A CSV or Parquet table, ids as text.

    Raises
    ------
    InputError
        If it cannot be read, has no column `label`, or is too long.
    """
    text = {"id": str, "id_str": str}
    try:
        table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, dtype=text)
    except (OSError, ValueError) as error:
        raise InputError(f"{path.name} cannot be read as a table: {shorten(error, 120)}") from error
    table = table.rename(columns={"id_str": "id", "ra_deg": "ra", "dec_deg": "dec"})
    if "label" not in table or not ("id" in table or {"ra", "dec"} <= set(table)):
        has = shorten(", ".join(map(str, table)), 100)
        raise InputError(f"{path.name} needs a column label, and id, or ra and dec in degrees; it has {has}")
    if len(table) > MOST_ROWS:
        raise InputError(f"a table of labels may have {MOST_ROWS:,} rows, this one has {len(table):,}")
    return table.dropna(subset=["label"])


def import_labels(atlas: OpenBuild, table: pd.DataFrame, who: str, *, radius_arcsec: float = 1.0) -> Imported:
    """Keep the labels of a table, by id where it has one, else by position.

    Importing the same table once more keeps nothing twice.

    Parameters
    ----------
    table : DataFrame
        `label`, and `id` or `ra` and `dec` (degrees); optional `who`, `grade`, `note`.
    who : str
        Whose labels they are, where the table does not say.

    Raises
    ------
    InputError
        If a label or a person cannot be one.
    KeepingError
        If they could not be kept.
    """
    rows = _rows(atlas, table, radius_arcsec)
    names = table["id"] if "id" in table else table["ra"].astype(str) + " " + table["dec"].astype(str)
    missing = [str(name) for name in names[rows < 0]]
    kept = table[rows >= 0]
    known_rows = rows[rows >= 0]
    entries = []
    for name, row, values in zip(
        atlas.identity.names(known_rows), known_rows.tolist(), kept.to_dict("records"), strict=True
    ):
        ra_deg, dec_deg = atlas.position(row)
        person, label = _text(values, "who") or who, _text(values, "label")
        grade, note = _text(values, "grade")[:20], _text(values, "note")[:500]
        # Those of tables without grade and note are as they always were.
        content = "\n".join([person, name, label, _text(values, "at"), *([grade, note] if grade or note else [])])
        entries.append(
            Entry(
                id=f"import-{hashlib.sha256(content.encode()).hexdigest()[:32]}", kind="label", who=person, galaxy=name,
                ra_deg=ra_deg, dec_deg=dec_deg, label=label, grade=grade, note=note,
            )
        )  # fmt: skip
    unique = list({entry.id: entry for entry in entries}.values())
    fresh = sum(atlas.labels.add(unique[at : at + CHUNK]).fresh for at in range(0, len(unique), CHUNK))
    return Imported(fresh, len(entries) - fresh, missing)


def _rows(atlas: OpenBuild, table: pd.DataFrame, radius_arcsec: float) -> Any:
    if "id" in table:
        return atlas.identity.rows([str(name) for name in table["id"]])
    places = zip(table["ra"].tolist(), table["dec"].tolist(), strict=True)
    found = [atlas.sky.nearest(ra % 360, dec, radius_arcsec / 3600) for ra, dec in places]
    return np.array([-1 if one is None else one[0] for one in found], dtype=np.int64)


def _text(values: dict[Any, Any], name: str) -> str:
    value = values.get(name)
    return "" if value is None or value != value else str(value).strip()
