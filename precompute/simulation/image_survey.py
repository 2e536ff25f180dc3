"""`simulate --images`: a survey of rendered galaxies in the layout of ssl-legacysurvey, with known truth.

    images_npix96_000000000_000010000.h5 …      `images` (n, 3, 96, 96) in g, r, z nanomaggies, a dataset a column
    representations_000000000_000010000.npy …   (n, 32), the demo's descriptor of those images
    source.json

Rows are sorted by decreasing z flux. Up to `MAX_RENDERED` every galaxy is rendered and described. Beyond that,
embeddings come from a mixture fitted to rendered galaxies (`simulated_mixture`), in float16, and the files hold no
images: `render_rows` draws any of them when it is asked for. **Such rows are for measuring speed and size; what is
said of quality must come from rendered galaxies.**

The same seed gives the same rows, whatever the number of threads, the length of chunks, or how often the work was
interrupted. Files are made in `<folder>/.partial`; a finished chunk there is not made again.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from atlas.errors import InputError, shorten
from atlas.storage.publish import require_disk

from ..descriptor import artefact_columns
from ..descriptor import features as descriptor
from ..descriptor.features import FEATURES, GALAXY, Descriptor, describe
from ..parallel import run_chunks, thread_count
from ..source_description import SourceDescription, begin_partial, write_description
from .catalog_galaxies import BLOCK_ROWS, draw_places
from .embedding_mixture import NATURAL, Mixture, fitting_numbers
from .footprint import Footprint
from .image_survey_columns import TRUTH, draw_columns
from .image_survey_files import (
    COMPLETE,
    MAX_RENDERED,
    NAME,
    NewHdf5,
    Recipe,
    check_folder,
    publish_files,
    save,
)
from .rendering.camera import DEFAULT_PIXELS, MAX_PIXELS, MIN_PIXELS, render
from .rendering.parameters import PIXEL_ARCSEC, draw_parameters
from .rendering.random_streams import CODE_DIGEST

IMAGES = "images"
MIN_ROWS = 200
MAX_ROWS = 2**31 - 1
MIN_DIMENSION = 8
MAX_DIMENSION = 4096  # of rows of the mixture; the descriptor's own limit is lower
RENDERED_CHUNK_ROWS = 10_000
DRAWN_CHUNK_ROWS = 1_000_000
# Galaxies that a thread renders and describes, or draws, at a time. Blocks are counted from the first row, and chunks
# hold whole ones, so that sums run in the same order however the rows are cut into chunks.
BLOCK = 50
DRAWN_BLOCK = 10_000
DESCRIBED = 20_000  # rows whose features set the scales of the embedding, about
COLUMN_BYTES = 240

# Bands as the descriptor takes them, reddest first, and scaled so that they are about as bright as one another.
BAND_SCALE = np.array([2.2, 3.4, 6.0], np.float32)

_ARTEFACTS = artefact_columns.describe_columns(
    "", f"in nanomaggies, the bands g, r, z multiplied by {', '.join(f'{s:.1f}' for s in BAND_SCALE[::-1])}"
)

PLACES = np.dtype(
    [
        ("ra", np.float64),
        ("dec", np.float64),
        ("ebv", np.float32),
        ("brickid", np.int32),
        ("objid", np.int32),
        ("release", np.int16),
    ]
)


def simulate_images(
    n: int,
    folder: Path,
    *,
    first_row: int = 0,
    seed: int = 1,
    pixels: int = DEFAULT_PIXELS,
    dimension: int = 32,
    chunk_rows: int = 0,
    threads: int = 0,
    quiet: bool = False,
) -> None:
    """Write a survey of rendered galaxies; see the module for what is in it.

    Parameters
    ----------
    n : int
        Rows, at least 200; above 100,000 without images, and with embeddings drawn from a mixture.
    folder : Path
        Made if missing. An earlier survey of rendered galaxies there is replaced; anything else there is an error.
    first_row : int
        Galaxies of the survey that are passed over: what it grows by, sorted for itself. Not 0 only beyond 100,000
        galaxies in all, since the embedding of fewer is fitted to every one of them.
    seed : int
        Seeds everything; not negative.
    pixels : int
        Edge of an image of 0.262″ a pixel; the reference has 152.
    dimension : int
        Numbers in an embedding, 8 to 78; without images up to 4,096.
    chunk_rows : int
        Rows of a file, a multiple of 50 (of 10,000 where no images are written); 0 takes 10,000 (1,000,000).
    threads : int
        Workers; 0 takes every core.
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
    is_rendered = first_row + n <= MAX_RENDERED
    if is_rendered and first_row:
        raise InputError(
            f"first row is {first_row:,} of {first_row + n:,}; allowed is 0 where a survey has no more than "
            f"{MAX_RENDERED:,} galaxies, whose embedding is fitted to all of them"
        )
    chunk_rows = chunk_rows or (RENDERED_CHUNK_ROWS if is_rendered else DRAWN_CHUNK_ROWS)
    block = BLOCK if is_rendered else DRAWN_BLOCK
    _check_range("seed", seed, 0, 2**62)
    _check_range("edge of an image in pixels", pixels, MIN_PIXELS, MAX_PIXELS)
    _check_range("dimension", dimension, MIN_DIMENSION, descriptor.MAX_DIMENSION if is_rendered else MAX_DIMENSION)
    if chunk_rows < 0 or chunk_rows % block:
        raise InputError(f"rows of a chunk are {chunk_rows}; allowed are multiples of {block:,}")
    recipe = Recipe(
        n=n,
        first_row=first_row,
        seed=seed,
        pixels=pixels,
        dimension=dimension,
        chunk_rows=chunk_rows,
        code=f"{CODE_DIGEST}-{descriptor.VERSION}",
    )
    check_folder(folder)
    row_bytes = COLUMN_BYTES + PLACES.itemsize + 12
    row_bytes += 12 * pixels**2 + 4 * (dimension + len(FEATURES)) if is_rendered else 2 * dimension
    require_disk(folder.absolute(), n * row_bytes, f"the simulated survey of {n:,} galaxies")

    partial = begin_partial(folder, recipe)
    if not (partial / COMPLETE).exists():
        work = _Work(recipe, partial, thread_count(threads), quiet)
        work.draw_order()
        if is_rendered:
            work.render()
            work.embed()
        else:
            work.draw(work.fit())
        write_description(partial, _description(recipe))
        (partial / COMPLETE).touch()
    publish_files(folder, recipe)


def render_rows(folder: Path, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Images of any rows of a survey, drawn now, whether its files hold them or not.

    Parameters
    ----------
    folder : Path
        Written by `simulate_images`.
    rows : ndarray of shape (m,), int64

    Returns
    -------
    ndarray of shape (m, 3, pixels, pixels), float32
        In g, r, z nanomaggies; equal, bit by bit, to what a rendered survey stores.

    Raises
    ------
    InputError
        If the folder holds no such survey, or a row does not exist.
    """
    files = sorted(folder.glob("images_npix*.h5"))
    if not files:
        raise InputError(f"{folder} holds no simulated survey of rendered galaxies")
    starts = np.array([int(path.stem.split("_")[-2]) for path in files])
    n = int(files[-1].stem.split("_")[-1])
    beyond = rows[(rows < 0) | (rows >= n)]
    if beyond.size:
        raise InputError(f"row {beyond[0]} does not exist; rows are 0 to {n - 1:,}")
    numbers = np.empty(len(rows), np.int64)
    which = np.searchsorted(starts, rows, side="right") - 1
    for k in np.unique(which):
        with h5py.File(files[k], "r") as f:
            seed, pixels = int(f.attrs["seed"]), int(f.attrs["pixels"])
            wanted, back = np.unique(rows[which == k] - starts[k], return_inverse=True)
            numbers[which == k] = f["inds"][wanted][back]  # rows that are asked for, and no others, are read
    return render(seed, draw_parameters(seed, numbers), pixels)


def describe_survey(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Features of images (n, 3, h, h) in g, r, z nanomaggies, by the demo's descriptor; (n, len(FEATURES)).

    The descriptor subtracts each image's own sky and takes contrast from the galaxy itself, so all that is left to do
    is to bring the bands to one scale.
    """
    return describe(np.ascontiguousarray(images[:, ::-1].transpose(0, 2, 3, 1)) * BAND_SCALE)


class _Work:
    """The steps of one run; each leaves alone what an earlier run of the same recipe has finished."""

    def __init__(self, recipe: Recipe, folder: Path, threads: int, quiet: bool) -> None:
        self.recipe = recipe
        self.folder = folder
        self.threads = threads
        self.quiet = quiet

    def draw_order(self) -> None:
        """Places of all galaxies in order of their numbers, and that order sorted by decreasing z flux."""
        if (self.folder / "order.npy").exists():
            return
        n, first, seed = self.recipe.n, self.recipe.first_row, self.recipe.seed
        footprint = Footprint.draw(np.random.default_rng(np.random.SeedSequence(seed)))
        places = np.lib.format.open_memmap(self.folder / "places.npy", mode="w+", dtype=PLACES, shape=(n,))
        mag_z = np.empty(n)

        def work(of_block: slice) -> None:
            block = of_block.start // BLOCK_ROWS
            rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(block,)))
            start, stop = max(of_block.start, first), of_block.stop
            part = slice(start - first, stop - first)
            for name, values in draw_places(footprint, rng, block).items():
                places[name][part] = values[start - of_block.start : stop - of_block.start]
            mag_z[part] = draw_parameters(seed, np.arange(start, stop))["mag_z"]

        with self._bar(n, "places") as bar:
            whole = first // BLOCK_ROWS * BLOCK_ROWS  # a block's places are drawn together
            for of_block in run_chunks(work, first + n, BLOCK_ROWS, self.threads, start=whole):
                bar.update(of_block.stop - max(of_block.start, first))
        places.flush()
        save(self.folder / "order.npy", np.argsort(mag_z, kind="stable").astype(np.uint32))

    def render(self) -> None:
        """Chunks of images and columns, and of features, each put in place when it is whole."""
        order = self._load("order.npy").astype(np.int64)
        with self._bar(self.recipe.n, "render") as bar:
            for rows in self.recipe.chunks():
                target = self.folder / self.recipe.images_file(rows)
                if not target.exists():
                    features = np.empty((rows.stop - rows.start, len(FEATURES)), np.float32)
                    with NewHdf5(target, self.recipe) as f:
                        self._render_chunk(f, order[rows], features, bar)
                        # First, so that a chunk of images is never without them.
                        save(self.folder / _features_file(rows), features)
                else:
                    bar.update(rows.stop - rows.start)

    def _render_chunk(
        self, f: h5py.File, numbers: NDArray[np.int64], features: NDArray[np.float32], bar: tqdm[Any]
    ) -> None:
        seed, pixels = self.recipe.seed, self.recipe.pixels
        parameters = draw_parameters(seed, numbers)
        images = f.create_dataset(IMAGES, (len(numbers), 3, pixels, pixels), np.float32)
        lock = threading.Lock()

        def work(part: slice) -> None:
            drawn = render(seed, parameters[part], pixels)
            features[part] = describe_survey(drawn)
            with lock:
                images[part] = drawn

        _write_columns(f, draw_columns(seed, parameters, self._load("places.npy")[numbers]))
        for part in run_chunks(work, len(numbers), BLOCK, self.threads):
            bar.update(part.stop - part.start)
        _write_columns(f, artefact_columns.artefact_columns(features[:, len(GALAXY) :], pixels**2))

    def embed(self) -> None:
        """Chunks of embeddings, from the features of all of them."""
        features = np.concatenate([self._load(_features_file(rows)) for rows in self.recipe.chunks()])
        fitted = _fit(features[:: max(1, len(features) // DESCRIBED)], self.recipe.dimension)
        embeddings = np.empty((len(features), self.recipe.dimension), np.float32)

        def work(part: slice) -> None:
            embeddings[part] = fitted.embed(features[part])

        for _ in run_chunks(work, len(features), BLOCK, self.threads):
            pass
        for rows in self.recipe.chunks():
            save(self.folder / self.recipe.embeddings_file(rows), embeddings[rows])

    def fit(self) -> Mixture:
        """The mixture of every class, from galaxies that are rendered for it."""
        seed, pixels = self.recipe.seed, self.recipe.pixels
        parameters = draw_parameters(seed, fitting_numbers(seed))
        path = self.folder / "fit.npy"
        if not path.exists():
            features = np.empty((len(parameters), len(FEATURES)), np.float32)

            def work(part: slice) -> None:
                features[part] = describe_survey(render(seed, parameters[part], pixels))

            with self._bar(len(parameters), "fit") as bar:
                for part in run_chunks(work, len(parameters), BLOCK, self.threads):
                    bar.update(part.stop - part.start)
            save(path, features)
        features = self._load("fit.npy")
        natural = features[parameters["number"] < NATURAL]
        dimension = self.recipe.dimension
        embeddings = _fit(natural, min(dimension, descriptor.MAX_DIMENSION)).embed(features)
        return Mixture.fit(parameters, embeddings, dimension=dimension)

    def draw(self, mixture: Mixture) -> None:
        """Chunks of columns and of embeddings drawn from the mixture."""
        order = self._load("order.npy")
        with self._bar(self.recipe.n, "draw") as bar:
            for rows in self.recipe.chunks():
                target = self.folder / self.recipe.images_file(rows)
                if target.exists():
                    bar.update(rows.stop - rows.start)
                else:
                    numbers = order[rows].astype(np.int64) + self.recipe.first_row
                    self._draw_chunk(target, rows, numbers, mixture, bar)

    def _draw_chunk(
        self, target: Path, rows: slice, numbers: NDArray[np.int64], mixture: Mixture, bar: tqdm[Any]
    ) -> None:
        seed, first, places = self.recipe.seed, self.recipe.first_row, self._load("places.npy")
        embeddings = np.empty((len(numbers), self.recipe.dimension), np.float16)
        blocks: dict[int, dict[str, NDArray[Any]]] = {}

        def work(part: slice) -> None:
            parameters = draw_parameters(seed, numbers[part])
            embeddings[part] = mixture.sample(seed, parameters)
            blocks[part.start] = draw_columns(seed, parameters, places[numbers[part] - first])

        for part in run_chunks(work, len(numbers), DRAWN_BLOCK, self.threads):
            bar.update(part.stop - part.start)
        parts = [blocks[start] for start in sorted(blocks)]
        save(self.folder / self.recipe.embeddings_file(rows), embeddings)
        with NewHdf5(target, self.recipe) as f:
            _write_columns(f, {name: np.concatenate([part[name] for part in parts]) for name in parts[0]})

    def _load(self, name: str) -> NDArray[Any]:
        array: NDArray[Any] = np.load(self.folder / name, mmap_mode="r", allow_pickle=False)
        return array

    def _bar(self, total: int, what: str) -> tqdm[Any]:
        return tqdm(total=total, unit=" rows", desc=f"{what:<8}", unit_scale=True, disable=self.quiet, file=sys.stderr)


def _write_columns(f: h5py.File, columns: dict[str, NDArray[Any]]) -> None:
    for name, values in columns.items():
        f.create_dataset(name, data=values)


def _features_file(rows: slice) -> str:
    return f"features_{rows.start:09d}.npy"


def _fit(features: NDArray[np.float32], dimension: int) -> Descriptor:
    # The order of sums must not depend on how many cores there are.
    with threadpool_limits(limits=1, user_api="blas"):
        return Descriptor.fit(features, dimension=dimension)


def _description(recipe: Recipe) -> SourceDescription:
    rows = (
        "Every image was rendered and every embedding measured on it."
        if recipe.is_rendered
        else "Embeddings were drawn from a mixture fitted to rendered galaxies: they serve to measure speed and size; "
        "they say nothing about the quality of a search."
    )
    return SourceDescription(
        name=NAME,
        title="Simulated survey with images",
        survey="Simulation",
        release=f"seed {recipe.seed}, {recipe.pixels} pixels, {recipe.dimension} numbers an embedding",
        licence="CC0-1.0",
        acknowledgement="Rendered by Galaxy Finder; the layout is that of ssl-legacysurvey (Stein et al. 2021)",
        notes=("Simulated: no galaxy here is real.", rows),
        ra="ra",
        dec="dec",
        id_columns=("release", "brickid", "objid"),
        key_columns=("mag_r", "z_phot_median", "z_spec"),
        image_scale_arcsec=PIXEL_ARCSEC,
        columns={**TRUTH, **(_ARTEFACTS if recipe.is_rendered else {})},
        ground_truth=tuple(TRUTH),
    )


def _check_range(what: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise InputError(f"{what} is {shorten(value)}; allowed are {low:,} to {high:,}")
