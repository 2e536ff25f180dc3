"""The pictures of a folder, each a galaxy: named by their files, or by the rows of a catalogue."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..descriptor.sky_level import ImageFloats
from ..errors import SourceError
from ..source_description import SourceDescription, read_description
from ..sources.catalog_files import open_catalog
from ..sources.images import FolderImages, list_pictures
from ..sources.layouts.base import folder_images
from ..sources.merge_description import override
from ..sources.pictures import ENDINGS, Odd, PicturePixels, is_fits, picture_stem, read_picture, read_rgb
from ..sources.tables.file_column import CatalogFile
from .chunk_set import find_chunk_set
from .encoder import MAX_PIXELS, MIN_PIXELS

SAMPLE = 200
"""Pictures that are looked at beforehand: their size, their bands, how bright each band is."""
ALIKE = 2.0
"""Bands whose brightness differs by less are taken as they are."""
BILINEAR = Image.Resampling.BILINEAR
NOTHING_TOLD = SourceDescription()


class Pictures(Protocol):
    """Pictures in the order of their rows, each a galaxy.

    Attributes
    ----------
    folder : Path
    keeps_every_row : bool
        Whether one that cannot be read keeps its row, since others count by it.
    """

    @property
    def folder(self) -> Path:
        """See above."""

    @property
    def keeps_every_row(self) -> bool:
        """See above."""

    def __len__(self) -> int:
        """Number of pictures."""

    def files(self) -> list[Path]:
        """All files whose change is a reason to begin anew."""

    def name(self, row: int) -> str:
        """Name of one for people, within the folder."""

    def read(self, row: int, *, as_seen: bool) -> PicturePixels:
        """One picture, as its file has it or as an eye sees it (see `Encoder.as_seen`).

        Raises
        ------
        SourceError
            If it is broken.
        """


@dataclass(frozen=True, eq=False)
class PictureSet:
    """Files of a folder; see `Pictures`.

    Attributes
    ----------
    folder : Path
    paths : list of Path
    table : Path or None
        The catalogue's file.
    catalog : CatalogFile or None
        What tells of the galaxies besides.
    rows : ndarray of shape (n,), int64
        Row of each in the catalogue; counted from 0 where there is none.
    description : SourceDescription
        What is told of the catalogue.
    image_column : str
        Column of the catalogue that names pictures; empty where none does.
    without : list of int
        Rows of the catalogue that have no picture.
    """

    folder: Path
    paths: list[Path]
    table: Path | None = None
    catalog: CatalogFile | None = None
    rows: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    description: SourceDescription = NOTHING_TOLD
    image_column: str = ""
    without: list[int] = field(default_factory=list)
    keeps_every_row: bool = False

    def __len__(self) -> int:
        return len(self.paths)

    def files(self) -> list[Path]:
        """See `Pictures.files`."""
        return [*self.paths, *([self.table] if self.table else [])]

    def name(self, row: int) -> str:
        """See `Pictures.name`."""
        return str(self.paths[row].relative_to(self.folder))

    def read(self, row: int, *, as_seen: bool) -> PicturePixels:
        """See `Pictures.read`."""
        path = self.paths[row]
        picture = read_picture(path)
        if not as_seen or not (is_fits(path) or picture.odd & (Odd.ALPHA | Odd.SIXTEEN_BIT)):
            return picture  # of 8 bits, as it is seen
        return replace(picture, bands=read_rgb(path).astype(np.float32))


def find_pictures(folder: Path) -> Pictures:
    """Every picture of a folder and its subfolders: those in HDF5 chunks, or else files of their own.

    Raises
    ------
    SourceError
        If there is none.
    """
    if not folder.is_dir():
        raise SourceError(f"{folder} is not a folder of images")
    if (chunks := find_chunk_set(folder)) is not None:
        return chunks
    return picture_files(folder)


def picture_files(folder: Path) -> PictureSet:
    """Every picture of a folder and its subfolders that is a file of its own.

    Raises
    ------
    SourceError
        If there is none.
    """
    paths = list_pictures(folder)
    if not paths:
        raise SourceError(f"{folder} holds no picture ({', '.join(ENDINGS)}), nor images in HDF5 chunks")
    return PictureSet(folder, paths, rows=np.arange(len(paths)))


def pictures_of_catalog(folder: Path, table: Path, id_columns: tuple[str, ...]) -> PictureSet:
    """The pictures of a catalogue's galaxies, found by a column of names, by row, or by id.

    Raises
    ------
    SourceError
        If none of the pictures belongs to a row; tells some names of each side.
    """
    if not table.is_file():
        raise SourceError(f"{table} is not a file: give the catalogue itself")
    told = override(read_description(table.parent), None, None, None, id_columns)
    catalog = open_catalog(table, told.table)
    images, column = folder_images(table.parent, folder, catalog, told)
    assert isinstance(images, FolderImages)
    paths = {row: path for row in range(catalog.n_rows) if (path := images.path(row)) is not None}
    if not paths:
        raise SourceError("; ".join(images.unmatched(catalog.n_rows)) or f"{folder} holds no picture of {table}")
    without = sorted(set(range(catalog.n_rows)) - paths.keys())
    return PictureSet(folder, list(paths.values()), table, catalog, np.array(list(paths)), told, column, without)


def names_of(pictures: PictureSet) -> list[str]:
    """Each file's name without ending; with its folders where two would be called the same."""
    stems = [picture_stem(path) for path in pictures.paths]
    if len(set(stems)) == len(stems):
        return stems
    return [str(path.relative_to(pictures.folder).with_name(picture_stem(path))) for path in pictures.paths]


@dataclass(frozen=True, eq=False)
class PictureFrame:
    """Frame that brings each picture to one form.

    Attributes
    ----------
    pixels : int
        Edge of what the encoder sees.
    crop : int
        Central pixels of the file that it sees; 0 for all.
    edge : int
        The commonest edge of a file, after the crop: what is of another is counted.
    band_scale : ndarray of shape (bands,), float32
        By which each band is multiplied, so that they are about as bright as one another.
    as_seen : bool
        Whether pictures are 8-bit RGB, or what the files hold.
    """

    pixels: int
    crop: int
    edge: int
    band_scale: ImageFloats
    as_seen: bool

    @cached_property
    def is_scaled(self) -> bool:
        """Whether any band is multiplied by another number than 1."""
        return bool((self.band_scale != 1).any())

    def read(self, pictures: Pictures, row: int) -> PicturePixels:
        """One picture of a set, of shape (pixels, pixels, bands).

        Raises
        ------
        SourceError
            If it is broken, or has another number of bands.
        """
        picture = pictures.read(row, as_seen=self.as_seen)
        if picture.bands.shape[2] != len(self.band_scale):
            bands, most = picture.bands.shape[2], len(self.band_scale)
            raise SourceError(f"{pictures.name(row)} has {bands} bands, most have {most}")
        odd = picture.odd
        bands, was_square = _square(picture.bands, self.crop)
        if not was_square:
            odd |= Odd.NOT_SQUARE
        if len(bands) != self.edge:
            odd |= Odd.OTHER_SIZE
        if len(bands) != self.pixels:
            bands = resize(bands, self.pixels)
        if self.is_scaled:
            bands = bands * self.band_scale
        return PicturePixels(bands, odd, picture.ra_deg, picture.dec_deg)


def choose_frame(pictures: Pictures, *, pixels: int, crop: int, as_seen: bool) -> PictureFrame:
    """The frame of a set of pictures, by a look at some of them.

    Parameters
    ----------
    pictures : Pictures
    pixels : int
        Edge that is asked for; 0 for that of the files.
    crop : int
        Central pixels that are used; 0 for all.
    as_seen : bool
        See `Encoder.as_seen`.

    Raises
    ------
    SourceError
        If none of them can be read.
    """
    edges, heights, error = Counter[int](), [], None
    for row in range(0, len(pictures), max(1, len(pictures) // SAMPLE)):
        try:
            bands, _ = _square(pictures.read(row, as_seen=as_seen).bands, crop)
        except SourceError as e:
            error = e
            continue
        edges[len(bands)] += 1
        heights.append(np.nanpercentile(bands, 99, axis=(0, 1)) - np.nanmedian(bands, axis=(0, 1)))
    if not heights:
        raise SourceError(f"none of {len(pictures):,} pictures can be read; the last that was tried: {error}")
    edge = edges.most_common(1)[0][0]
    n_bands = Counter(map(len, heights)).most_common(1)[0][0]
    scale = _band_scale(np.array([height for height in heights if len(height) == n_bands]), n_bands, as_seen)
    return PictureFrame(pixels or min(max(edge, MIN_PIXELS), MAX_PIXELS), crop, edge, scale, as_seen)


def _square(bands: ImageFloats, crop: int) -> tuple[ImageFloats, bool]:
    """The central square, of at most `crop` pixels where that is asked for; and whether it was one."""
    height, width = bands.shape[:2]
    edge = min(height, width, crop or height)
    top, left = (height - edge) // 2, (width - edge) // 2
    return bands[top : top + edge, left : left + edge], height == width


def resize(bands: ImageFloats, pixels: int) -> ImageFloats:
    """A picture of another number of pixels; where a pixel has no data, what it reaches has none."""
    planes = [
        np.asarray(Image.fromarray(np.ascontiguousarray(bands[..., band])).resize((pixels, pixels), BILINEAR))
        for band in range(bands.shape[2])
    ]
    return np.stack(planes, axis=2)


def _band_scale(heights: NDArray[np.floating[Any]], n_bands: int, as_seen: bool) -> ImageFloats:
    """Scale that brings the bright parts of all bands to one level; 1 where they are alike, as in 8-bit pictures."""
    middle = np.nanmedian(heights, axis=0)
    if as_seen or not (np.isfinite(middle) & (middle > 0)).all() or middle.max() < ALIKE * middle.min():
        return np.ones(n_bands, np.float32)
    scale: ImageFloats = (middle.max() / middle).astype(np.float32)
    return scale
