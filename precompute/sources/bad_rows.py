"""Rows that have no place in an atlas, for want of a possible position or an embedding."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

from .checks import MAX_DEC, RA_RANGE
from .embeddings import check_and_normalize
from .join_by_id import Joined
from .source import Source

LIST = "left_out.csv"
UNMATCHED = "unmatched.csv"
_CHUNK = 1 << 23


def find_bad_rows(source: Source) -> dict[int, str]:
    """Rows without a possible position or an embedding, ascending, and why; one pass over the embeddings."""
    reasons: dict[int, list[str]] = {}

    def add(is_bad: Any, start: int, reason: str) -> None:
        for row in np.flatnonzero(is_bad):
            reasons.setdefault(int(row) + start, []).append(reason)

    ra, dec = source.degrees()
    add(~np.isfinite(ra), 0, "no right ascension")
    add(~np.isfinite(dec), 0, "no declination")
    add((ra < RA_RANGE[0]) | (ra > RA_RANGE[1]), 0, "impossible right ascension")
    add(np.abs(dec) > MAX_DEC, 0, "impossible declination")
    for start, rows in source.embedding_chunks(max(1, _CHUNK // source.dimension)):
        unit, _ = check_and_normalize(rows, start)
        add(~np.isfinite(rows).all(axis=1), start, "embedding with NaN or infinity")
        add(np.isfinite(rows).all(axis=1) & ~unit.any(axis=1), start, "embedding of zeros")
    return {row: "; ".join(reasons[row]) for row in sorted(reasons)}


def write_unmatched(folder: Path, joined: Joined) -> Path:
    """Write the ids that are in the catalogue or among the embeddings only; returns the file."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / UNMATCHED).open("w", newline="", encoding="utf-8") as f:
        writer = csv.writer(f)
        writer.writerow(("id", "reason"))
        writer.writerows((id_, "no embedding") for id_ in joined.without_embedding)
        writer.writerows((id_, "not in the catalogue") for id_ in joined.without_galaxy)
    return folder / UNMATCHED


def write_list(folder: Path, left_out: dict[int, str]) -> Path:
    """Write the rows that were left out, counted from 0 in the source, and why; returns the file."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LIST).open("w", newline="", encoding="utf-8") as f:
        csv.writer(f).writerows([("source_row", "reason"), *left_out.items()])
    return folder / LIST
