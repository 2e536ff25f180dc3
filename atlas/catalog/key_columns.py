"""The few columns that say most of a galaxy: those that the source names, else a magnitude and the redshifts.

Where nobody named any, UCDs, units and names tell them: `phot.mag` or a unit of mag, `src.redshift`, `z_phot`.
"""

from __future__ import annotations

from collections.abc import Iterable

from atlas.catalog.columns import is_magnitude, is_redshift
from atlas.storage.manifest import Column, Manifest

# Bands in which surveys of galaxies are selected, the usual first; an unknown band comes after them.
BANDS = ("r", "i", "z", "g")
MOST_REDSHIFTS = 2


def key_columns(manifest: Manifest) -> tuple[Column, ...]:
    """The columns of a catalogue that say most of a galaxy, in the order in which they are told."""
    if manifest.key_columns:
        named = {column.name: column for column in manifest.columns}
        return tuple(named[name] for name in manifest.key_columns)
    measured = [c for c in manifest.columns if c.kind == "number" and c.name not in manifest.id_columns and not c.truth]
    magnitude = magnitude_column(measured)
    redshifts = [c for c in measured if is_redshift(c)][:MOST_REDSHIFTS]
    return (*([] if magnitude is None else [magnitude]), *redshifts)


def magnitude_column(columns: Iterable[Column]) -> Column | None:
    """The magnitude that tells brightness, in the band that surveys are selected in, or else the first."""
    magnitudes = [c for c in columns if c.kind == "number" and not c.truth and is_magnitude(c)]
    return min(magnitudes, key=_band, default=None)


def _band(column: Column) -> int:
    last = column.name.lower().rpartition("_")[2]
    return BANDS.index(last) if last in BANDS else len(BANDS)
