"""`galaxy-finder train`: from a folder of pictures to an encoder that `embed --model` takes.

    pictures ── read, crop, scale ──► pictures.npy ── drawn anew twice ── network ── VICReg ──► encoder.safetensors
                                                                                               encoder.json, encoder.csv

Everything is seeded by the number of the step. What is interrupted goes on at the last `KEEP_EVERY` steps. A part of
the pictures is held out: how many of them, drawn anew, find their original first among all tells whether anything is
learned.
"""

from __future__ import annotations

import csv
import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
import optax
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from tqdm.auto import tqdm

from atlas.errors import InputError
from atlas.storage.arrays import open_array
from atlas.storage.publish import require_disk

from ..embedding.network import ARCHITECTURES, draw_network, embed_pictures
from ..embedding.picture_set import Pictures, choose_frame
from ..embedding.trained_encoder import ENDING, TrainedDescription
from ..errors import SourceError
from ..parallel import run_chunks, thread_count
from . import vicreg
from .augmentations import draw_anew

KEEP_EVERY = 100
HELD_OUT, MOST_HELD_OUT = 0.05, 512
FEWEST = 64
READ_ROWS = 256
LEARNING_RATE, DECAY, WARM_UP = 1e-3, 1e-4, 0.05
PICTURES, STATE, RECIPE, CURVE = "pictures.npy", "state.safetensors", "recipe.json", "curve.csv"

Bytes = NDArray[np.uint8]


class TrainRecipe(msgspec.Struct, frozen=True, kw_only=True):
    """Recipe of a training; what another recipe left half done is thrown away.

    Attributes
    ----------
    network : str
        One of `ARCHITECTURES`.
    pixels, crop : int
        Edge of what the network sees, and central pixels of each picture that are used (0 for all).
    epochs, batch, seed : int
    pictures : str
        Digest of the files.
    """

    network: str
    pixels: int
    crop: int
    epochs: int
    batch: int
    seed: int
    pictures: str = ""


@dataclass(frozen=True)
class Trained:
    """Record of a training: steps, and the share of held-out pictures that find themselves, before and after."""

    steps: int
    untrained: float
    retrieval: float


def train(pictures: Pictures, out: Path, recipe: TrainRecipe, *, threads: int = 0, quiet: bool = False) -> Trained:
    """Train an encoder and write it.

    Parameters
    ----------
    pictures : Pictures
    out : Path
        File to write, of the ending `.safetensors`.
    recipe : TrainRecipe
    threads : int
        Workers that read; 0 for every core.
    quiet : bool
        No progress.

    Raises
    ------
    InputError
        If `out` or a parameter is none that is allowed.
    SourceError
        If there are too few pictures that can be read.
    """
    _check(out, recipe)
    recipe = msgspec.structs.replace(recipe, pictures=_digest(pictures))
    partial = _begin(out, recipe)
    stack = _read_pictures(pictures, partial, recipe, threads, quiet)
    held = min(MOST_HELD_OUT, max(FEWEST // 4, int(len(stack) * HELD_OUT)))
    order = np.random.default_rng(recipe.seed).permutation(len(stack))
    check, learn = np.sort(order[:held]), order[held:]
    if len(learn) < recipe.batch:
        raise SourceError(
            f"{len(stack):,} pictures can be read and {held:,} of them are held out: a batch of {recipe.batch:,} "
            "is too large (--batch)"
        )
    run = _Run(recipe, partial, learn)
    untrained = run.retrieval(stack[check]) if run.step == 0 else run.first_retrieval()
    if run.step == 0:
        run.note(0, np.nan, untrained)
    with tqdm(total=run.steps, initial=run.step, unit=" steps", desc="train", disable=quiet, leave=False) as bar:
        while run.step < run.steps:
            lost = run.go(stack)
            bar.update()
            if run.step % KEEP_EVERY == 0 or run.step == run.steps:
                found = run.retrieval(stack[check])
                run.note(run.step, lost, found)
                run.keep()
                bar.set_postfix(loss=f"{lost:.2f}", retrieval=f"{found:.2f}")
    found = run.retrieval(stack[check])
    told = TrainedDescription(
        network=recipe.network, pixels=recipe.pixels, crop=recipe.crop, pictures=len(learn), steps=run.steps,
        batch=recipe.batch, seed=recipe.seed, loss="VICReg", retrieval=round(found, 4),
    )  # fmt: skip
    run.publish(out, told)
    return Trained(run.steps, untrained, found)


def _check(out: Path, recipe: TrainRecipe) -> None:
    if out.suffix != ENDING:
        raise InputError(f"{out} is to hold weights: give a name that ends in {ENDING}")
    if recipe.network not in ARCHITECTURES:
        raise InputError(f"--network is {recipe.network!r}; there are {', '.join(ARCHITECTURES)}")
    if not 1 <= recipe.epochs <= 10_000 or not 8 <= recipe.batch <= 8_192:
        raise InputError("--epochs is 1 to 10,000 and --batch 8 to 8,192")


def _digest(pictures: Pictures) -> str:
    digest = hashlib.sha256()
    for path in pictures.files():
        status = path.stat()
        digest.update(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _begin(out: Path, recipe: TrainRecipe) -> Path:
    """The folder of unfinished work beside the file, emptied where another recipe left it."""
    partial = out.with_name(f".{out.stem}.partial")
    told = msgspec.json.encode(recipe)
    if partial.exists() and not ((partial / RECIPE).exists() and (partial / RECIPE).read_bytes() == told):
        shutil.rmtree(partial)
    partial.mkdir(parents=True, exist_ok=True)
    (partial / RECIPE).write_bytes(told)
    return partial


def _read_pictures(pictures: Pictures, partial: Path, recipe: TrainRecipe, threads: int, quiet: bool) -> Any:
    """Every picture that can be read, (n, pixels, pixels, 3), uint8, mapped: any number fits the memory."""
    path = partial / PICTURES
    if path.exists():
        return open_array(path)
    frame = choose_frame(pictures, pixels=recipe.pixels, crop=recipe.crop, as_seen=True)
    n, edge = len(pictures), recipe.pixels
    require_disk(partial.absolute(), 2 * n * edge * edge * 3, "pictures to train on")
    scratch = partial / f".{PICTURES}.tmp"
    every = open_memmap(scratch, mode="w+", dtype=np.uint8, shape=(n, edge, edge, 3))
    good = np.zeros(n, bool)

    def read(part: slice) -> None:
        for row in range(part.start, part.stop):
            try:
                bands = frame.read(pictures, row).bands
            except SourceError:
                continue
            every[row] = np.clip(np.rint(np.nan_to_num(bands)), 0, 255)
            good[row] = True

    with tqdm(total=n, unit=" pictures", desc="read", disable=quiet, leave=False) as bar:
        for part in run_chunks(read, n, READ_ROWS, thread_count(threads)):
            bar.update(part.stop - part.start)
    if good.sum() < FEWEST:
        raise SourceError(f"{int(good.sum()):,} pictures in {pictures.folder} can be read; {FEWEST} are needed")
    every.flush()
    if not good.all():
        kept, some = np.flatnonzero(good), partial / f".{PICTURES}.some.tmp"
        whole = open_memmap(some, mode="w+", dtype=np.uint8, shape=(len(kept), edge, edge, 3))
        for start in range(0, len(kept), READ_ROWS):
            whole[start : start + READ_ROWS] = every[kept[start : start + READ_ROWS]]
        whole.flush()
        some.replace(scratch)
    scratch.replace(path)
    return open_array(path)


class _Run:
    """The state of a training: parameters, the optimiser's moments, the step."""

    def __init__(self, recipe: TrainRecipe, partial: Path, learn: NDArray[np.int64]) -> None:
        architecture = ARCHITECTURES[recipe.network]
        self._recipe, self._partial, self._learn = recipe, partial, learn
        self._per_epoch = len(learn) // recipe.batch
        self.steps = recipe.epochs * self._per_epoch
        schedule = optax.warmup_cosine_decay_schedule(
            0.0, LEARNING_RATE, max(1, int(WARM_UP * self.steps)), max(2, self.steps)
        )
        optimiser = optax.adamw(schedule, weight_decay=DECAY)
        self._parameters: Any = draw_network(architecture, recipe.seed) | vicreg.draw_head(
            architecture.dimension, recipe.seed
        )
        self._moments = optimiser.init(self._parameters)
        self.step = 0
        self._resume()
        self._embed: Callable[..., Any] = jax.jit(lambda p, x: embed_pictures(p, architecture, x))
        self._draw: Callable[..., Any] = jax.jit(draw_anew)

        def lost(parameters: Any, first: Any, second: Any) -> Any:
            made = embed_pictures(parameters, architecture, jnp.concatenate([first, second]))
            projected = vicreg.project_onto_loss(parameters, made)
            return vicreg.loss(projected[: len(first)], projected[len(first) :])

        def advance(parameters: Any, moments: Any, key: Any, pictures: Any) -> Any:
            levels = pictures.astype(jnp.float32) / 255
            one, other = jax.random.split(key)
            value, slope = jax.value_and_grad(lost)(parameters, draw_anew(one, levels), draw_anew(other, levels))
            change, moments = optimiser.update(slope, moments, parameters)
            return optax.apply_updates(parameters, change), moments, value

        self._advance: Callable[..., Any] = jax.jit(advance)

    def go(self, stack: Bytes) -> float:
        """One step; returns its loss."""
        recipe = self._recipe
        epoch, place = divmod(self.step, self._per_epoch)
        order = np.random.default_rng([recipe.seed, epoch]).permutation(self._learn)
        rows = np.sort(order[place * recipe.batch : (place + 1) * recipe.batch])
        key = jax.random.fold_in(jax.random.key(recipe.seed), self.step)
        self._parameters, self._moments, value = self._advance(self._parameters, self._moments, key, stack[rows])
        self.step += 1
        lost = float(value)
        if not np.isfinite(lost):
            raise InputError(
                f"the loss is {lost} at step {self.step:,}: the training has gone astray; try another --seed"
            )
        return lost

    def retrieval(self, pictures: Bytes) -> float:
        """Share of pictures that, drawn anew, are more similar to their original than to every other."""
        levels = np.asarray(pictures, np.float32) / 255
        drawn = self._draw(jax.random.key(self._recipe.seed + 1), levels)
        originals, anew = (np.asarray(self._embed(self._parameters, x)) for x in (levels, drawn))
        centre, spread = originals.mean(axis=0), originals.std(axis=0) + 1e-6
        unit = [(x - centre) / spread for x in (originals, anew)]
        unit = [x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9) for x in unit]
        return float((np.argmax(unit[1] @ unit[0].T, axis=1) == np.arange(len(pictures))).mean())

    def note(self, step: int, lost: float, retrieval: float) -> None:
        """Add a line to the curve."""
        path = self._partial / CURVE
        is_new = not path.exists()
        with path.open("a", newline="") as f:
            writer = csv.writer(f)
            if is_new:
                writer.writerow(("step", "loss", "retrieval"))
            writer.writerow((step, f"{lost:.4f}", f"{retrieval:.4f}"))

    def first_retrieval(self) -> float:
        """Retrieval of the untrained network, from the curve."""
        with (self._partial / CURVE).open(newline="") as f:
            return float(next(csv.DictReader(f))["retrieval"])

    def keep(self) -> None:
        """Write the state, at once or not at all."""
        leaves = jax.tree.leaves((self._parameters, self._moments))
        scratch = self._partial / f".{STATE}.tmp"
        save_file({f"{i:05d}": np.atleast_1d(np.asarray(leaf)) for i, leaf in enumerate(leaves)}, scratch,
                  {"step": str(self.step)})  # fmt: skip
        scratch.replace(self._partial / STATE)

    def _resume(self) -> None:
        path = self._partial / STATE
        if not path.exists():
            (self._partial / CURVE).unlink(missing_ok=True)
            return
        leaves, shape = jax.tree.flatten((self._parameters, self._moments))
        kept = load_file(path)
        found = [kept[f"{i:05d}"].reshape(np.shape(leaf)) for i, leaf in enumerate(leaves)]
        self._parameters, self._moments = jax.tree.unflatten(shape, [jnp.asarray(leaf) for leaf in found])
        self.step = _step_of(path)
        # Lines of steps that are done once more would stand twice.
        curve = self._partial / CURVE
        with curve.open(newline="") as f:
            lines = [line for line in csv.reader(f) if line[0] == "step" or int(line[0]) <= self.step]
        scratch = curve.with_suffix(".tmp")
        with scratch.open("w", newline="") as f:
            csv.writer(f).writerows(lines)
        scratch.replace(curve)

    def publish(self, out: Path, told: TrainedDescription) -> None:
        """Write curve, description and weights into their places, the weights last; then nothing is left to go on."""
        weights = {n: np.asarray(a) for n, a in self._parameters.items() if not n.startswith(vicreg.HEAD)}
        save_file(weights, self._partial / "weights")
        shutil.copyfile(self._partial / CURVE, out.with_suffix(".csv"))
        out.with_suffix(".json").write_bytes(msgspec.json.format(msgspec.json.encode(told)) + b"\n")
        (self._partial / "weights").replace(out)
        (self._partial / RECIPE).unlink()
        shutil.rmtree(self._partial)


def _step_of(path: Path) -> int:
    with safe_open(path, framework="numpy") as f:
        return int(f.metadata()["step"])
