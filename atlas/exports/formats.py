"""The formats in which a table of galaxies can leave."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from atlas.errors import InputError, shorten
from atlas.exports import coverage, tables, text
from atlas.exports.contents import Contents


class Format(msgspec.Struct, frozen=True):
    """A format: what people call it, how its file ends, its media type, what it is for, and what writes it."""

    label: str
    ending: str
    mime: str
    why: str
    write: Callable[[Contents], Iterator[bytes]]


FORMATS = {
    "csv": Format("CSV", ".csv", "text/csv", "for spreadsheets: what could run as a formula is text", text.csv),
    "ecsv": Format("ECSV", ".ecsv", "text/plain", "CSV with types, units and UCDs, for astropy", text.ecsv),
    "parquet": Format(
        "Parquet", ".parquet", "application/vnd.apache.parquet", "the smallest, for pandas and LSDB", tables.parquet
    ),
    "fits": Format("FITS", ".fits", "application/fits", "a binary table, for everything", tables.fits_table),
    "vot": Format("VOTable", ".vot", "application/x-votable+xml", "units and UCDs, for TOPCAT", tables.votable),
    "reg": Format("DS9 regions", ".reg", "text/plain", "a labelled point a galaxy", text.regions),
    "moc": Format("MOC", ".moc.fits", "application/fits", "cells of 1.7′ that hold a galaxy", coverage.moc),
}


def format_of(path: Path) -> Format:
    """The format that a file's name asks for.

    Raises
    ------
    InputError
        If it is none of these.
    """
    # The ending of a MOC holds that of FITS: the longest counts.
    fitting = [one for one in FORMATS.values() if path.name.lower().endswith(one.ending)]
    if not fitting:
        endings = ", ".join(one.ending for one in FORMATS.values())
        raise InputError(f"{shorten(path.name)!r} has none of the known endings: {endings}")
    return max(fitting, key=lambda one: len(one.ending))
