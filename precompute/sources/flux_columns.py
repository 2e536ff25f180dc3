"""AB magnitudes of fluxes: many catalogues bring `FLUX_G` and leave the logarithm, and the dust, to their readers.

FLUX_G, flux_r, FLUX_W1 …     in nanomaggies, or in any unit of flux per frequency
MW_TRANSMISSION_G …           share of the light that passes the Galaxy's dust, by which a flux is divided
EBV                           reddening, by which a magnitude is corrected where no such share is told
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import numpy as np
from astropy import units as u
from numpy.typing import NDArray

from ..source_description import FILENAME, ColumnDescription
from .column_types import normalize_column
from .layouts.legacy_columns import magnitudes
from .merge_description import merge
from .tables.file_column import CatalogFile, FileColumn

COMPUTED_MAGNITUDE = "AB magnitude, "
"""Begins the description of a magnitude that was computed."""

NOT_CORRECTED, BY_TRANSMISSION, BY_REDDENING = (
    "not corrected for Galactic extinction",
    "corrected for Galactic extinction by the transmission ",
    "corrected for Galactic extinction by the reddening ",
)

# Bands with their UCDs.
BANDS = {
    "u": "em.opt.U", "g": "em.opt.B", "r": "em.opt.R", "i": "em.opt.I", "z": "em.opt.I", "y": "em.opt.I",
    "j": "em.IR.J", "h": "em.IR.H", "k": "em.IR.K",
    "w1": "em.IR.3-4um", "w2": "em.IR.4-8um", "w3": "em.IR.8-15um", "w4": "em.IR.15-30um",
}  # fmt: skip

# Extinction of each band in units of E(B-V), which is also what the survey's transmissions are made of
# (legacysurvey.org/dr9/catalogs, "Galactic Extinction Coefficients"). Its fluxes are in nanomaggies without saying so.
EXTINCTION = {"g": 3.214, "r": 2.165, "i": 1.592, "z": 1.211, "w1": 0.184, "w2": 0.113, "w3": 0.0241, "w4": 0.00910}

NANOMAGGIES = frozenset(("nanomaggy", "nanomaggies", "nanomaggie", "nmgy", "nmaggy"))
"""Spellings that astropy does not all know."""

_FLUX = re.compile(rf"flux_({'|'.join(BANDS)})", re.IGNORECASE)


class Magnitude(msgspec.Struct, frozen=True):
    """A magnitude that can be computed: of which columns, and how many nanomaggies the unit of the flux is."""

    band: str
    flux: FileColumn
    nanomaggies: float
    transmission: FileColumn | None
    reddening: FileColumn | None

    @property
    def name(self) -> str:
        """In the atlas."""
        return f"mag_{self.band}"

    @property
    def formula(self) -> str:
        """Origin in a few words."""
        return f"{self.flux.name} / {self.transmission.name}" if self.transmission else self.flux.name

    @property
    def column(self) -> FileColumn:
        """As a column of the catalogue."""
        unit = "nanomaggies" if self.nanomaggies == 1 else f"nanomaggies, from {self.flux.description.unit}"
        corrected = NOT_CORRECTED
        if self.transmission:
            corrected = f"{BY_TRANSMISSION}{self.transmission.name}"
        elif self.reddening:
            corrected = f"{BY_REDDENING}{self.reddening.name}, {EXTINCTION[self.band]:g} times"
        about = f"{COMPUTED_MAGNITUDE}22.5 - 2.5 log10({self.formula}), fluxes in {unit}; {corrected}"
        return FileColumn(
            self.name, "number", "float", 1, ColumnDescription("mag", f"phot.mag;{BANDS[self.band]}", about)
        )


class WithMagnitudes:
    """A catalogue with the magnitudes of its fluxes behind its own columns; see `CatalogFile`.

    Parameters
    ----------
    catalog : CatalogFile
    told : mapping of str to ColumnDescription
        What `source.json` says of its columns.
    taken : iterable of str
        Magnitudes to leave, besides those that the catalogue has, in whichever case.
    """

    def __init__(self, catalog: CatalogFile, told: Mapping[str, ColumnDescription], taken: Iterable[str] = ()) -> None:
        self.n_rows, self.notes = catalog.n_rows, catalog.notes
        self._catalog = catalog
        self._odd: list[str] = []
        self._computed: dict[str, Magnitude] = {}
        numbers = {c.name.lower(): merge(c, told.get(c.name)) for c in reversed(catalog.columns) if c.kind == "number"}
        names = {name.lower() for name in (*taken, *(c.name for c in catalog.columns))}
        for name, flux in reversed(numbers.items()):
            if (match := _FLUX.fullmatch(name)) and f"mag_{match[1]}" not in names:
                found = self._magnitude(match[1], flux, numbers)
                self._computed |= {found.name: found} if found else {}
        self.columns: tuple[FileColumn, ...] = (*catalog.columns, *(m.column for m in self._computed.values()))

    def read(self, name: str) -> NDArray[Any]:
        """See `CatalogFile.read`; a magnitude is NaN where the flux or the transmission is not positive."""
        how = self._computed.get(name)
        if how is None:
            return self._catalog.read(name)
        flux = self._numbers(how.flux)
        flux = flux if how.nanomaggies == 1 else flux * how.nanomaggies
        if how.transmission is not None:
            passed = self._numbers(how.transmission)
            with np.errstate(divide="ignore", invalid="ignore"):
                flux = np.where(passed > 0, flux / passed, np.nan)
        found = magnitudes(flux)
        if how.reddening is not None:
            found = found - self._numbers(how.reddening).astype(found.dtype) * found.dtype.type(EXTINCTION[how.band])
        return found

    def told(self, names: set[str]) -> list[str]:
        """Notes of the magnitudes among some columns: of what each was computed, and what was assumed."""
        computed = [how for name, how in self._computed.items() if name in names]
        notes = []
        if computed:
            of = ", ".join(
                f"{how.name} of {how.formula}{f' and {how.reddening.name}' if how.reddening else ''}"
                for how in computed
            )
            notes.append(f"AB magnitudes are computed of fluxes: {of}; a flux that is not positive has none")
        if unsaid := [how.flux.name for how in computed if not how.flux.description.unit]:
            notes.append(f"fluxes without a unit are taken as nanomaggies: {', '.join(unsaid)}")
        return notes + self._odd

    def _magnitude(self, band: str, flux: FileColumn, numbers: Mapping[str, FileColumn]) -> Magnitude | None:
        unit = flux.description.unit
        if not unit and band not in EXTINCTION:
            self._odd.append(f"no magnitude of {flux.name}, which names no unit (unit nmgy of it in {FILENAME})")
            return None
        factor = nanomaggies_per_unit(unit) if unit else 1.0
        if factor is None:
            self._odd.append(f"no magnitude of {flux.name}: {unit} is no flux per frequency")
            return None
        transmission = numbers.get(f"mw_transmission_{band}", numbers.get(f"transmission_{band}"))
        reddening = numbers.get("ebv") if transmission is None and band in EXTINCTION else None
        return Magnitude(band, flux, factor, transmission, reddening)

    def _numbers(self, column: FileColumn) -> NDArray[Any]:
        told = ColumnDescription(missing=column.description.missing)
        return normalize_column(self._catalog.read(column.name), told).array


def nanomaggies_per_unit(unit: str) -> float | None:
    """Nanomaggies in one unit of a flux; None where it is no flux per frequency, or is not understood."""
    if unit.strip().lower() in NANOMAGGIES:
        return 1.0
    try:
        parsed = u.Unit(unit, parse_strict="silent")
        factor = float(parsed.to(u.nmgy, equivalencies=u.zero_point_flux(1 * u.AB)))
    except (ValueError, TypeError):  # astropy's UnitConversionError is both
        return None
    return 1.0 if np.isclose(factor, 1, rtol=1e-9, atol=0) else factor


def correction_of(description: str) -> str:
    """Correction for dust of a magnitude that was computed here; empty for one that the catalogue brought."""
    known = (BY_TRANSMISSION, BY_REDDENING, NOT_CORRECTED)
    return next((one for one in known if one in description), "") if description.startswith(COMPUTED_MAGNITUDE) else ""


def computed_of(name: str, described: Mapping[str, str]) -> list[str]:
    """Magnitudes that were computed of a column, by their descriptions."""
    word = re.compile(rf"\b{re.escape(name)}\b")
    return [one for one, text in described.items() if text.startswith(COMPUTED_MAGNITUDE) and word.search(text)]
