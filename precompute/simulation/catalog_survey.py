"""`simulate`: write a survey with known truth, of any size, that `build` reads like a user's own.

    <folder>/catalog.parquet  embeddings.npy  source.json

Written a block at a time, so that memory does not grow with n. The files are made in `<folder>/.partial` and moved
when all are complete: whatever interrupts the writing, `open_source` refuses the folder and the same command mends it.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from tqdm.auto import tqdm

from atlas.errors import InputError, shorten
from atlas.storage.publish import require_disk

from ..errors import SourceError
from ..source_description import (
    EMBEDDINGS,
    FILENAME,
    PARTIAL,
    ColumnDescription,
    SourceDescription,
    read_description,
    write_description,
)
from .catalog_galaxies import BLOCK_ROWS, CLASS_NAMES, MASK_BITS, OUTLIER_GROUP, SOURCE_TYPES, Survey

NAME = "simulated"
CATALOG = "catalog.parquet"
FILES = (FILENAME, EMBEDDINGS, CATALOG)

MIN_ROWS = 100
MAX_ROWS = 2**31 - 1  # `objid` is int32
MIN_DIMENSION = 16  # below, the latents have no room
MAX_DIMENSION = 4096
CATALOG_BYTES_PER_ROW = 80

# Blocks to a row group of the catalogue: the chunk that is held in memory.
BLOCKS_PER_CHUNK = 16

VOCABULARIES = {"source_type": SOURCE_TYPES, "true_class": CLASS_NAMES}
MASK_NAMES = {1: "BRIGHT", 11: "MEDIUM", 12: "GALAXY"}
GROUND_TRUTH = ("true_class", "true_group", "is_outlier")

COLUMNS = {
    "release": ColumnDescription(description="Survey release: 9010 south, 9011 north"),
    "brickid": ColumnDescription(ucd="meta.id.part", description="Brick of 0.25° that holds the galaxy"),
    "objid": ColumnDescription(ucd="meta.id.part", description="Number within release and brick"),
    "ra": ColumnDescription("deg", "pos.eq.ra;meta.main", "Right ascension (ICRS)"),
    "dec": ColumnDescription("deg", "pos.eq.dec;meta.main", "Declination (ICRS)"),
    "mag_g": ColumnDescription("mag", "phot.mag;em.opt.B", "g magnitude (AB), corrected for Galactic extinction"),
    "mag_r": ColumnDescription("mag", "phot.mag;em.opt.R", "r magnitude (AB), corrected for Galactic extinction"),
    "mag_z": ColumnDescription("mag", "phot.mag;em.opt.I", "z magnitude (AB), corrected for Galactic extinction"),
    "z_phot": ColumnDescription("", "src.redshift.phot", "Photometric redshift"),
    "z_spec": ColumnDescription("", "src.redshift", "Spectroscopic redshift, where one was taken"),
    "source_type": ColumnDescription("", "src.morph.type", "Best-fitting profile: DEV, EXP, REX or SER"),
    "ebv": ColumnDescription("mag", "phys.absorption.gal", "Galactic reddening E(B-V)"),
    "maskbits": ColumnDescription(
        "",
        "meta.code",
        f"Image flags: bits {', '.join(map(str, MASK_BITS))}",
        flags=True,
        bits=tuple(MASK_NAMES.get(bit, "") for bit in range(max(MASK_BITS) + 1)),
    ),
    "true_class": ColumnDescription("", "meta.modelled", "Class that the galaxy was drawn from"),
    "true_group": ColumnDescription("", "meta.modelled", f"Group in embedding space; {OUTLIER_GROUP} for outliers"),
    "is_outlier": ColumnDescription("", "meta.modelled", "Drawn far from every group"),
}


def simulate_survey(
    n: int, folder: Path, *, first_row: int = 0, seed: int = 1, dimension: int = 128, quiet: bool = False
) -> None:
    """Write a simulated survey.

    The same seed gives the same bytes, and the rows of a short survey are the first rows of every longer one.

    Parameters
    ----------
    n : int
        Rows, at least 100.
    folder : Path
        Made if missing. An earlier simulated survey there is replaced; anything else there is an error.
    first_row : int
        Row of the longer survey that this one begins with: what a survey of as many rows grows by.
    seed : int
        Seeds everything; not negative.
    dimension : int
        Numbers in an embedding, at least 16.
    quiet : bool
        No progress bar.

    Raises
    ------
    InputError
        If a number is out of range, or the folder holds something else.
    ResourceError
        If the disk has too little room; said before anything is written.
    """
    _check_range("number of rows", n, MIN_ROWS, MAX_ROWS)
    _check_range("first row", first_row, 0, MAX_ROWS - n)
    _check_range("dimension", dimension, MIN_DIMENSION, MAX_DIMENSION)
    _check_range("seed", seed, 0, 2**63)
    _check_folder(folder)
    needed = n * (2 * dimension + CATALOG_BYTES_PER_ROW)
    require_disk(folder.absolute(), needed, f"the simulated survey of {n:,} galaxies")

    partial = folder / PARTIAL
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    _write_rows(Survey.draw(seed, dimension), first_row, n, partial, quiet)
    write_description(partial, _description(seed, dimension))
    for name in FILES:
        (partial / name).replace(folder / name)
    partial.rmdir()


def _write_rows(survey: Survey, first_row: int, n: int, folder: Path, quiet: bool) -> None:
    """Catalogue and embeddings of `n` rows.

    The embeddings are written as a stream and not through a memory map: a full disk is then an error, not a SIGBUS,
    and what was interrupted is short, not a whole file of zeros.
    """
    dimension = survey.centres.shape[1]
    writer = None
    with (
        (folder / EMBEDDINGS).open("wb") as f,
        tqdm(total=n, unit=" rows", desc="simulate", unit_scale=True, disable=quiet, file=sys.stderr) as bar,
    ):
        header = {"descr": "<f2", "fortran_order": False, "shape": (n, dimension)}
        np.lib.format.write_array_header_1_0(f, header)
        try:
            end = first_row + n
            first_block, n_blocks = first_row // BLOCK_ROWS, -(-end // BLOCK_ROWS)
            for chunk in range(first_block, n_blocks, BLOCKS_PER_CHUNK):
                tables = []
                for block in range(chunk, min(chunk + BLOCKS_PER_CHUNK, n_blocks)):
                    columns, embeddings = survey.draw_block(block)
                    start = max(first_row - block * BLOCK_ROWS, 0)
                    stop = min(end - block * BLOCK_ROWS, BLOCK_ROWS)
                    embeddings[start:stop].astype("<f2", copy=False).tofile(f)
                    tables.append(_to_table(columns).slice(start, stop - start))
                    bar.update(stop - start)
                table = pa.concat_tables(tables).combine_chunks()
                if writer is None:
                    writer = pq.ParquetWriter(folder / CATALOG, table.schema, use_dictionary=["release", *VOCABULARIES])
                writer.write_table(table, row_group_size=len(table))
        finally:
            if writer is not None:
                writer.close()


def _to_table(columns: dict[str, NDArray[np.generic]]) -> pa.Table:
    """An Arrow table in the order of `COLUMNS`, categories as dictionaries."""
    arrays = {
        name: pa.DictionaryArray.from_arrays(columns[name], VOCABULARIES[name])
        if name in VOCABULARIES
        else pa.array(columns[name])
        for name in COLUMNS
    }
    return pa.table(arrays)


def _description(seed: int, dimension: int) -> SourceDescription:
    return SourceDescription(
        name=NAME,
        title="Simulated survey",
        survey="Simulation",
        release=f"seed {seed}, {dimension} numbers an embedding",
        licence="CC0-1.0",
        notes=("Simulated: no galaxy here is real. Positions, photometry and embeddings are drawn at random.",),
        ra="ra",
        dec="dec",
        id_columns=("release", "brickid", "objid"),
        key_columns=("mag_r", "z_phot", "z_spec", "source_type"),
        columns=COLUMNS,
        ground_truth=GROUND_TRUTH,
    )


def _check_range(what: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise InputError(f"{what} is {shorten(value)}; allowed are {low:,} to {high:,}")


def _check_folder(folder: Path) -> None:
    """Only an empty folder, or one that this module wrote, may be written to."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; give a folder for the simulated survey")
    if not folder.exists() or not (entries := {path.name for path in folder.iterdir()}):
        return
    foreign = sorted(entries - {*FILES, PARTIAL})
    if foreign:
        raise InputError(f"{folder} holds {shorten(foreign[0])!r}; give a new folder, or one with a simulated survey")
    # Of our own files source.json is moved in first, so every stage of our writing passes here.
    try:
        is_ours = entries == {PARTIAL} or read_description(folder).name == NAME
    except SourceError:
        is_ours = False
    if not is_ours:
        raise InputError(f"{folder} holds a source that was not simulated; it is not overwritten, give a new folder")
