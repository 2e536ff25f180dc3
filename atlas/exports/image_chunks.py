"""Images of galaxies in HDF5 chunks, as ssl-legacysurvey keeps them: which chunk and row a galaxy is, and its image.

    images_npix152_000000000_001000000.h5 …
        images      (n, bands, height, width)
        ra, dec     (n,) degrees, ICRS
        objid …     (n,) the id columns of the atlas, where the chunks have them

A galaxy is found by its id in chunks that have all its id columns, else by its position. Which row that is tells an
index (`atlas.exports.image_chunk_index`), made when first asked for. Of the images one is read at a time.
"""

from __future__ import annotations

import hashlib
import math
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import msgspec
import numpy as np
from astropy.coordinates import angular_separation
from numpy.typing import NDArray

from atlas.errors import FormatError, InputError
from atlas.exports import image_chunk_index as index
from atlas.storage.derived_files import open_or_make

ENDINGS = (".h5", ".hdf5")
MAX_DEPTH = 3
IMAGES, RA, DEC = "images", "ra", "dec"
SCALE = "pixel_scale"
"""Attribute of a file or of its images: arcseconds a pixel."""

WITHIN_ARCSEC = 1.0
"""How near the position of a row has to be where no id tells."""
SAME_ARCSEC = 30.0
"""Where an id tells, a row that is farther away is another galaxy."""
MAX_VALUES = 4096 * 4096
MAX_BANDS = 16
MAX_BLOCK_BYTES = 256 << 20
"""HDF5 unpacks a whole block of a dataset to read one of its rows."""
MOST_TOLD = 3
KEEP, MAX_BYTES = 2, 4_000_000_000

_BROKEN = (OSError, KeyError, ValueError, TypeError, RuntimeError)


class ImagedGalaxy(msgspec.Struct, frozen=True):
    """Galaxy that is looked for: its name, the text of each of its id columns, its position in degrees."""

    name: str
    ids: dict[str, str]
    ra_deg: float
    dec_deg: float


class Chunk(msgspec.Struct, frozen=True):
    """File of images: its size and time when it was looked at, its rows, and what a galaxy is found by."""

    path: Path
    size: int
    changed_ns: int
    n_rows: int
    has_ids: bool
    has_position: bool


class StoredImage(msgspec.Struct, frozen=True):
    """Image as its chunk holds it.

    Attributes
    ----------
    planes : ndarray of shape (bands, height, width), float32
    file : str
        Name of the chunk.
    row : int
        In that chunk.
    position : tuple of float or None
        The chunk's own, degrees, which the image was cut out around.
    scale_arcsec : float or None
        Arcseconds a pixel where the chunk says so.
    by_id : bool
        Whether the galaxy was found by its id, else by its position.
    """

    planes: NDArray[np.float32]
    file: str
    row: int
    position: tuple[float, float] | None
    scale_arcsec: float | None
    by_id: bool


class ImageChunks:
    """Chunks of a folder and up to three folders below it, or a single file; listed once, opened for each question.

    Parameters
    ----------
    place : Path
    scratch : Path
        Where the index is kept; may be emptied at any time.
    id_columns : tuple of str
        Of the atlas.
    """

    def __init__(self, place: Path, scratch: Path, id_columns: tuple[str, ...]) -> None:
        self._scratch = scratch
        self._id_columns = id_columns
        self._unfit: list[str] = []
        self.chunks = tuple(self._listed(place))
        told = repr([(str(c.path), c.size, c.changed_ns, c.n_rows) for c in self.chunks]) + repr(id_columns)
        self._key = hashlib.blake2b(told.encode(), digest_size=8).hexdigest()
        self._index: index.ChunkIndex | None = None
        self._lock = threading.Lock()

    def has(self, galaxy: ImagedGalaxy) -> bool | None:
        """Whether there is an image of a galaxy; None while there is no index that tells."""
        if not self.chunks:
            return bool(self._unfit)
        if self._index is None:
            return None
        try:
            return self._find(galaxy) is not None
        except InputError:
            return True  # what is wrong is told to who asks for it

    def read(self, galaxy: ImagedGalaxy) -> StoredImage | None:
        """The image of a galaxy; None where no chunk has it.

        Raises
        ------
        InputError
            If a chunk is damaged there, has changed, holds another galaxy under the id or a larger image than
            4096² values; if none has it and some could not be read.
        """
        if self._index is None and self.chunks:
            with self._lock:
                self._index = self._index or self._opened()
        found = self._find(galaxy)
        if found is None:
            left_out = [*self._unfit, *(() if self._index is None else self._index.unfit)]
            if left_out:
                told = "; ".join(left_out[:MOST_TOLD]) + (" …" if len(left_out) > MOST_TOLD else "")
                raise InputError(f"no chunk that can be read has an image of galaxy {galaxy.name}; {told}")
            return None
        chunk, row = found
        with _opened(chunk, galaxy) as file:
            return _image(file, chunk, row, galaxy)

    def _find(self, galaxy: ImagedGalaxy) -> tuple[Chunk, int] | None:
        """The chunk and row of a galaxy: those of its id, nearest first, else the nearest row."""
        best: tuple[float, Chunk, int] | None = None
        for number, rows in () if self._index is None else self._index.candidates(galaxy, WITHIN_ARCSEC):
            chunk = self.chunks[number]
            with _opened(chunk, galaxy) as file:
                for away, row in _confirmed(file, chunk, rows, galaxy, self._id_columns):
                    if best is None or away < best[0]:
                        best = away, chunk, row
        if best is None:
            return None
        away, chunk, row = best
        if away > SAME_ARCSEC:
            raise InputError(
                f"{chunk.path.name} holds another galaxy under the id {galaxy.name}: it lies {away / 3600:.3g}° away"
            )
        return chunk, row

    def _opened(self) -> index.ChunkIndex:
        """The index, made where it is missing."""
        name = f"image-chunks-{self._key}"
        return open_or_make(
            self._scratch,
            "images",
            name,
            index.open_chunk_index,
            lambda folder: index.write_chunk_index(folder, self.chunks, self._id_columns),
            kind="image-chunks-*",
            keep=KEEP,
            max_bytes=MAX_BYTES,
        )

    def _listed(self, place: Path) -> Iterator[Chunk]:
        for path in [place] if place.is_file() else sorted(_files_below(place)):
            try:
                found = _looked_at(path, self._id_columns)
            except _BROKEN:
                self._unfit.append(f"{path.name} cannot be read")
            except FormatError as error:
                self._unfit.append(f"{path.name} {error}")
            else:
                if found is not None:
                    yield found


def _files_below(folder: Path) -> Iterator[Path]:
    # A walk looks at each folder once: one of a million cut-outs takes a second.
    for place, folders, names in os.walk(folder, followlinks=True):
        here = Path(place)
        is_deepest = len(here.relative_to(folder).parts) >= MAX_DEPTH
        folders[:] = [] if is_deepest else [name for name in folders if not name.startswith(".")]
        found = (here / name for name in names if name.lower().endswith(ENDINGS) and not name.startswith("."))
        yield from (path for path in found if path.is_file())


def _looked_at(path: Path, id_columns: Sequence[str]) -> Chunk | None:
    """A file of images; None where it holds none.

    Raises
    ------
    FormatError
        If its datasets are of other shapes.
    """
    about = path.stat()
    with h5py.File(path, "r") as file:
        images = file.get(IMAGES)
        if not isinstance(images, h5py.Dataset):
            return None
        if images.ndim != 4 or images.dtype.kind not in "fiu":
            raise FormatError("holds no images of shape (n, bands, height, width)")
        own = {name: file.get(name) for name in (RA, DEC, *id_columns)}
        there = {name: one for name, one in own.items() if isinstance(one, h5py.Dataset) and one.ndim == 1}
        for name, one in there.items():
            if len(one) != len(images):
                raise FormatError(f"holds {len(images):,} images and {len(one):,} values of {name}")
        has_ids = all(name in there and index.can_be_id(there[name]) for name in id_columns)
        has_position = all(name in there and there[name].dtype.kind in "fiu" for name in (RA, DEC))
        if not (has_ids or has_position):
            raise FormatError(f"says neither {' and '.join(id_columns)} nor ra and dec of its images")
        return Chunk(path, about.st_size, about.st_mtime_ns, len(images), has_ids, has_position)


@contextmanager
def _opened(chunk: Chunk, galaxy: ImagedGalaxy) -> Iterator[h5py.File]:
    """A chunk that is open, and as it was when it was listed; what cannot be read of it is said."""
    try:
        about = chunk.path.stat()
        if (about.st_size, about.st_mtime_ns) != (chunk.size, chunk.changed_ns):
            raise InputError(f"{chunk.path.name} has changed since this server looked at it: it is to start anew")
        file = h5py.File(chunk.path, "r")
    except FileNotFoundError:
        raise InputError(f"{chunk.path.name} is no longer where this server had it") from None
    except OSError as error:
        raise InputError(f"{chunk.path.name} cannot be read: it is damaged") from error
    with file:
        try:
            yield file
        except _BROKEN as error:
            raise InputError(f"{chunk.path.name} is damaged where galaxy {galaxy.name} should be") from error


def _confirmed(
    file: h5py.File, chunk: Chunk, rows: NDArray[np.int64], galaxy: ImagedGalaxy, id_columns: Sequence[str]
) -> Iterator[tuple[float, int]]:
    """Rows that are the galaxy, each with its distance in arcseconds; none but 0 where the chunk says no position."""
    kept = [
        row
        for row in map(int, rows)
        if not chunk.has_ids or all(index.id_text(file[name][row]) == galaxy.ids[name] for name in id_columns)
    ]
    if not chunk.has_position:
        yield from ((0.0, row) for row in kept)
    elif kept:
        # Whatever the index named is in rising order, as HDF5 wants it.
        there = np.radians([file[RA][kept], file[DEC][kept]]).astype(np.float64)
        away = angular_separation(math.radians(galaxy.ra_deg), math.radians(galaxy.dec_deg), *there)
        for row, arcsec in zip(kept, np.degrees(away) * 3600, strict=True):
            if chunk.has_ids or arcsec <= WITHIN_ARCSEC:
                yield float(arcsec), row


def _image(file: h5py.File, chunk: Chunk, row: int, galaxy: ImagedGalaxy) -> StoredImage:
    images = file[IMAGES]
    if images.shape[1] > MAX_BANDS or math.prod(images.shape[1:]) > MAX_VALUES:
        raise InputError(
            f"the image of galaxy {galaxy.name} is too large: allowed are {MAX_BANDS} bands and {MAX_VALUES:,} values"
        )
    if images.chunks and math.prod(images.chunks) * images.dtype.itemsize > MAX_BLOCK_BYTES:
        raise InputError(
            f"{chunk.path.name} is packed in blocks that are too large to read one image: allowed are "
            f"{MAX_BLOCK_BYTES >> 20} MiB"
        )
    position = (float(file[RA][row]), float(file[DEC][row])) if chunk.has_position else None
    return StoredImage(
        planes=np.asarray(images[row], np.float32),
        file=chunk.path.name,
        row=row,
        position=position,
        scale_arcsec=_scale(images.attrs.get(SCALE, file.attrs.get(SCALE))),
        by_id=chunk.has_ids,
    )


def _scale(told: Any) -> float | None:
    try:
        scale = float(np.asarray(told).item())
    except (TypeError, ValueError):
        return None
    return scale if 0 < scale < 3600 else None
