"""Images of galaxies, packed into few large files: a row's image is one read at a known place.

thumbnails/shard-000.bin …   encoded images (WebP), one after another; no image crosses a shard
           offsets.npy       uint64 (n,): place in the shards laid end to end, each `SHARD_BYTES` long
           lengths.npy       uint32 (n,): bytes of the image, 0 where the row has none
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from atlas.errors import FormatError
from atlas.storage.arrays import open_array

SHARD_BYTES = 1 << 30
OFFSETS = "offsets.npy"
LENGTHS = "lengths.npy"
MIME_TYPE = "image/webp"
QUALITY = 92


class ThumbnailStore:
    """Reads packed images; safe to share between threads."""

    def __init__(self, folder: Path, n_rows: int) -> None:
        self._folder = folder
        self._offsets = open_array(folder / OFFSETS, shape=(n_rows,), dtype="uint64")
        self._lengths = open_array(folder / LENGTHS, shape=(n_rows,), dtype="uint32")

    def has(self, row: int) -> bool:
        """Whether a row has an image."""
        return bool(self._lengths[row])

    def which(self, rows: NDArray[Any]) -> NDArray[np.bool_]:
        """Mask of those of some rows that have an image."""
        return np.asarray(self._lengths[rows] > 0)

    def read(self, row: int) -> bytes | None:
        """The encoded image of a row (`MIME_TYPE`), or None where there is none.

        Raises
        ------
        FormatError
            If the shard is shorter than the offsets say.
        """
        length = int(self._lengths[row])
        if length == 0:
            return None
        shard, offset = divmod(int(self._offsets[row]), SHARD_BYTES)
        path = shard_path(self._folder, shard)
        with path.open("rb") as f:
            data = os.pread(f.fileno(), length, offset)
        if len(data) != length:
            raise FormatError(f"{path} is truncated: {length} bytes expected at {offset}, {len(data)} read")
        return data


class ThumbnailWriter:
    """Packs images in order of row; use as a context manager."""

    def __init__(self, folder: Path, n_rows: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._offsets: NDArray[np.uint64] = np.zeros(n_rows, dtype=np.uint64)
        self._lengths: NDArray[np.uint32] = np.zeros(n_rows, dtype=np.uint32)
        self._shard = 0
        self._used = 0
        self._file = shard_path(folder, 0).open("wb")

    def add(self, row: int, data: bytes) -> None:
        """Append the image of one row, as `encode_thumbnail` returns it."""
        if self._used + len(data) > SHARD_BYTES:
            self._file.close()
            self._shard += 1
            self._used = 0
            self._file = shard_path(self._folder, self._shard).open("wb")
        self._file.write(data)
        self._offsets[row] = self._shard * SHARD_BYTES + self._used
        self._lengths[row] = len(data)
        self._used += len(data)

    @property
    def present(self) -> int:
        """Images written so far."""
        return int(np.count_nonzero(self._lengths))

    def __enter__(self) -> ThumbnailWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if error is None:
            np.save(self._folder / OFFSETS, self._offsets, allow_pickle=False)
            np.save(self._folder / LENGTHS, self._lengths, allow_pickle=False)


def encode_thumbnail(image: NDArray[np.uint8], pixels: int) -> bytes:
    """An image as it is stored; most of its 3 ms are spent without the GIL.

    Parameters
    ----------
    image : ndarray of shape (height, width, 3), uint8
    pixels : int
        Edge to which it is scaled, if it has another size.
    """
    picture = Image.fromarray(image)
    if picture.size != (pixels, pixels):
        picture = picture.resize((pixels, pixels), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=QUALITY, method=4)
    return buffer.getvalue()


def shard_path(folder: Path, number: int) -> Path:
    """File of one shard."""
    return folder / f"shard-{number:03d}.bin"
