"""`galaxy-finder embed`: from a folder of pictures to a source that `build` reads.

    pictures ── read, crop, scale ── measure ──► .partial/measured.npy ── fit, embed ──► embeddings.npy
       └── name, position of the header, or the row of a catalogue, artefacts ─────────► catalog.parquet

Pictures are measured in blocks, each of which is on the disk before the next counts as begun: what is interrupted goes
on there. A picture that cannot be read is named and left out, one that is odd is named and used.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from tqdm.auto import tqdm

from atlas.errors import InputError, shorten
from atlas.storage.arrays import open_array
from atlas.storage.publish import require_disk

from ..descriptor import artefact_columns
from ..descriptor.alterations import PICTURES, invariance
from ..descriptor.sky_level import ImageFloats
from ..errors import SourceError
from ..parallel import run_chunks, thread_count
from ..source_description import (
    EMBEDDINGS,
    IMAGES,
    PARTIAL,
    RECIPE,
    SourceDescription,
    begin_partial,
    write_description,
)
from ..sources.pictures import Odd
from .chunk_set import ChunkSet
from .encoder import FIT_ROWS, N_MEASURES, Encoder
from .picture_set import PictureFrame, Pictures, PictureSet, choose_frame
from .source_files import catalog_columns, link_chunks, link_pictures, write_odd

CATALOG = "catalog.parquet"
ODD = "odd_pictures.csv"
EMBEDDED = "embedded.json"
MEASURED, KINDS, PLACES, DONE = "measured.npy", "odd.npy", "places.npy", "rows_done"

BLOCK_BYTES = 32 << 20
MAX_BLOCK = 512
CHUNK_ROWS = 65_536


class EmbedRecipe(msgspec.Struct, frozen=True, kw_only=True):
    """Recipe that decides the embeddings; what another recipe left half done is thrown away."""

    encoder: str
    pictures: str
    n_pictures: int
    pixels: int
    crop: int


@dataclass(frozen=True)
class Embedded:
    """Record of what was made.

    Attributes
    ----------
    n_rows, dimension : int
    notes : tuple of str
        What was odd, each with its count and some names.
    has_positions : bool
        Whether every row has a right ascension and a declination.
    """

    n_rows: int
    dimension: int
    notes: tuple[str, ...]
    has_positions: bool


def embed(
    pictures: Pictures,
    out: Path,
    encoder: Encoder,
    *,
    pixels: int = 0,
    crop: int = 0,
    threads: int = 0,
    quiet: bool = False,
) -> Embedded:
    """Embed pictures and write a source.

    Parameters
    ----------
    pictures : Pictures
    out : Path
        Folder to write: new, empty, or of an earlier run.
    encoder : Encoder
    pixels : int
        Edge of what the encoder sees; 0 for what it wants, or for the commonest edge.
    crop : int
        Central pixels of each picture that are used; 0 for all.
    threads : int
        Workers; 0 for every core.
    quiet : bool
        No progress.

    Raises
    ------
    InputError
        If `out` holds something else.
    SourceError
        If no picture can be read, or too few for an embedding.
    """
    check_source_folder(out)
    recipe = EmbedRecipe(
        encoder=encoder.identity,
        pictures=_digest(pictures),
        n_pictures=len(pictures),
        pixels=pixels,
        crop=crop,
    )
    if is_embedded(out, recipe):
        shutil.rmtree(out / PARTIAL, ignore_errors=True)  # what a run that was killed at its end left
        n_rows, dimension = open_array(out / EMBEDDINGS).shape
        return Embedded(n_rows, dimension, ("nothing has changed since they were made",), has_positions=True)
    frame = choose_frame(pictures, pixels=pixels or encoder.pixels, crop=crop, as_seen=encoder.as_seen)
    n = len(pictures)
    require_disk(out.absolute(), n * (encoder.width * 8 + 256), "embeddings of pictures")
    partial = begin_partial(out, recipe)
    work = _Measured(partial, n, encoder.width + N_MEASURES)
    _measure(pictures, frame, encoder, work, thread_count(threads), quiet)
    return _write(pictures, out, encoder, frame, work, recipe)


def is_embedded(out: Path, recipe: EmbedRecipe) -> bool:
    """Whether a folder holds what this recipe makes, whole."""
    told = out / EMBEDDED
    return told.exists() and told.read_bytes() == msgspec.json.encode(recipe)


def check_source_folder(out: Path) -> None:
    """Refuse a folder that holds what this command did not write.

    Raises
    ------
    InputError
        Names what is there.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; give a folder for the source")
    there = sorted(path.name for path in out.iterdir()) if out.exists() else []
    is_ours = (out / EMBEDDED).exists() or (out / PARTIAL / RECIPE).exists()
    if there not in ([], [PARTIAL]) and not is_ours:
        raise InputError(f"{out} holds {shorten(there[0])!r} and nothing of this command; give a new folder")


class _Measured:
    """Measurements so far, on the disk: a picture a row."""

    def __init__(self, folder: Path, n: int, width: int) -> None:
        self._done = folder / DONE
        self.rows_done = int(self._done.read_text()) if self._done.exists() else 0
        mode = "r+" if self.rows_done else "w+"
        self.values = open_memmap(folder / MEASURED, mode=mode, dtype=np.float32, shape=(n, width))
        self.kinds = open_memmap(folder / KINDS, mode=mode, dtype=np.uint8, shape=(n,))
        self.places = open_memmap(folder / PLACES, mode=mode, dtype=np.float64, shape=(n, 2))

    def finish(self, rows: int) -> None:
        """Rows up to this one are on the disk."""
        for array in (self.values, self.kinds, self.places):
            array.flush()
        unfinished = self._done.with_suffix(".tmp")
        unfinished.write_text(str(rows))
        unfinished.replace(self._done)


def _digest(pictures: Pictures) -> str:
    """Names, sizes and times of all files, and of the catalogue."""
    digest = hashlib.sha256()
    for path in pictures.files():
        status = path.stat()
        digest.update(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _measure(
    pictures: Pictures, frame: PictureFrame, encoder: Encoder, work: _Measured, threads: int, quiet: bool
) -> None:
    block = max(8, min(MAX_BLOCK, _at_once(frame)))

    def measure(part: slice) -> None:
        read = [_read(frame, pictures, row) for row in range(part.start, part.stop)]
        good = [i for i, picture in enumerate(read) if picture is not None]
        work.kinds[part] = [Odd.BROKEN if picture is None else picture.odd for picture in read]
        work.places[part] = [(np.nan, np.nan) if p is None else (p.ra_deg, p.dec_deg) for p in read]
        if good:
            stack = np.stack([read[i].bands for i in good])
            work.values[part.start + np.array(good)] = encoder.measure(stack)

    done = work.rows_done
    with tqdm(total=len(pictures), initial=done, unit=" pictures", desc="embed", disable=quiet, leave=False) as bar:
        for part in run_chunks(measure, len(pictures), block, threads, start=done):
            work.finish(part.stop)
            bar.update(part.stop - part.start)


def _at_once(frame: PictureFrame) -> int:
    """Pictures that fill a block."""
    return int(BLOCK_BYTES // (frame.pixels**2 * len(frame.band_scale) * 4))


def _read(frame: PictureFrame, pictures: Pictures, row: int) -> Any:
    try:
        return frame.read(pictures, row)
    except SourceError:
        return None


def _write(
    pictures: Pictures, out: Path, encoder: Encoder, frame: PictureFrame, work: _Measured, recipe: EmbedRecipe
) -> Embedded:
    """Embed what was measured, and move everything into place; the recipe goes first and comes last."""
    partial = out / PARTIAL
    kinds = np.asarray(work.kinds)
    good = np.flatnonzero((kinds & Odd.BROKEN) == 0)
    if not good.size:
        raise SourceError(f"none of the {len(kinds):,} pictures in {pictures.folder} can be read")
    sample = good[:: max(1, len(good) // FIT_ROWS)]
    make = encoder.fit(np.asarray(work.values[sample]))
    dimension = make(np.asarray(work.values[sample[:1]])).shape[1]
    kept = np.arange(len(kinds)) if pictures.keeps_every_row else good
    rows = open_memmap(partial / EMBEDDINGS, mode="w+", dtype=np.float32, shape=(len(kept), dimension))
    for start in range(0, len(kept), CHUNK_ROWS):
        part = kept[start : start + CHUNK_ROWS]
        rows[start : start + CHUNK_ROWS] = make(np.asarray(work.values[part]))
        rows[start : start + CHUNK_ROWS][(kinds[part] & Odd.BROKEN) != 0] = np.nan
    rows.flush()
    notes = write_odd(partial / ODD, pictures, kinds)
    (out / EMBEDDED).unlink(missing_ok=True)
    if isinstance(pictures, PictureSet):
        told, has_positions = _write_catalog(pictures, out, frame, work, good)
        notes += link_pictures(pictures.folder, out / IMAGES)
    else:
        told, has_positions = SourceDescription(), True
    if isinstance(pictures, ChunkSet):
        notes += link_chunks(pictures, out)
    for name in (EMBEDDINGS, ODD):
        (partial / name).replace(out / name)
    blind_to = _invariance(pictures, good, frame, lambda some: make(encoder.measure(some)))
    write_description(out, msgspec.structs.replace(told, invariance=blind_to))
    (out / EMBEDDED).write_bytes(msgspec.json.encode(recipe))
    shutil.rmtree(partial)
    return Embedded(len(kept), dimension, tuple(notes), has_positions)


def _write_catalog(
    pictures: PictureSet, out: Path, frame: PictureFrame, work: _Measured, good: NDArray[np.int64]
) -> tuple[SourceDescription, bool]:
    """Write the table of pictures that are files; returns what it means, and whether all have positions."""
    measured = np.asarray(work.values[:, -N_MEASURES:])[good]
    artefacts = artefact_columns.artefact_columns(measured, frame.pixels**2)
    places = np.asarray(work.places)[good]
    columns, told = catalog_columns(pictures, good, places, artefacts)
    pq.write_table(pa.table(columns), out / PARTIAL / CATALOG)
    (out / PARTIAL / CATALOG).replace(out / CATALOG)
    if told.sky_background is not None and pictures.table is not None:
        shutil.copyfile(pictures.table.parent / told.sky_background.file, out / told.sky_background.file)
    return told, pictures.catalog is not None or bool(np.isfinite(places).all())


def _invariance(
    pictures: Pictures,
    good: NDArray[np.int64],
    frame: PictureFrame,
    embed_pictures: Callable[[ImageFloats], ImageFloats],
) -> dict[str, float]:
    """Similarity of some pictures to themselves altered; of those alone that have no blank part."""
    read = [_read(frame, pictures, row) for row in good[: max(2, min(PICTURES, _at_once(frame)))]]
    whole = [one.bands for one in read if one is not None and np.isfinite(one.bands).all()]
    return invariance(embed_pictures, np.stack(whole)) if whole else {}


def tell_embedded(result: Embedded, out: Path) -> None:
    """Tell a person what was made, and what is next."""
    for note in result.notes:
        print(f"note: {note}", file=sys.stderr)
    print(f"{result.n_rows:,} embeddings of {result.dimension} numbers in {out}")
    if not result.has_positions:
        print("not every picture says where it is: a catalogue with positions is needed to build (--catalog)")
