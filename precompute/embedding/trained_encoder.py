"""Networks that `galaxy-finder train` made: weights as safetensors, and a JSON beside them that says what they are.

    encoder.safetensors
    encoder.json        {"network": "small", "pixels": 64, "steps": 2000, …}

Needs JAX and safetensors, an extra of the package (`pip install 'galaxy-finder[train]'`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from atlas.errors import InputError, shorten

from ..descriptor.artefacts import measure_artefacts
from ..descriptor.sky_level import ImageFloats, fill_blank
from .encoder import MAX_PIXELS, MIN_PIXELS

ENDING = ".safetensors"
BATCH = 64
NEEDED = "pip install 'galaxy-finder[train]'"


class TrainedDescription(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Description of a trained network.

    Attributes
    ----------
    network : str
        Name of its architecture.
    pixels : int
        Edge of the pictures that it was trained on.
    crop : int
        Central pixels of each file that it saw; 0 for all.
    pictures, steps, batch, seed : int
        How it was trained.
    loss : str
    retrieval : float
        Share of held-out pictures, drawn anew, that find their original first.
    """

    network: str
    pixels: Annotated[int, Meta(ge=MIN_PIXELS, le=MAX_PIXELS)]
    crop: int = 0
    pictures: int = 0
    steps: int = 0
    batch: int = 0
    seed: int = 0
    loss: str = ""
    retrieval: float = 0.0


class TrainedEncoder:
    """A trained network; see `precompute.embedding.encoder.Encoder`.

    Raises
    ------
    InputError
        If JAX is missing, or the files are no network of this program.
    """

    as_seen = True

    def __init__(self, path: Path) -> None:
        try:
            import jax
            from safetensors import SafetensorError
            from safetensors.numpy import load

            from .network import ARCHITECTURES, draw_network, embed_pictures
        except ImportError as e:
            raise InputError(f"a trained network needs JAX: {NEEDED}") from e
        told = path.with_suffix(".json")
        for file in (path, told):
            if not file.is_file():
                raise InputError(f"{file} does not exist: `train` writes weights and description beside each other")
        try:
            self._told = msgspec.json.decode(told.read_bytes(), type=TrainedDescription)
        except msgspec.DecodeError as e:
            raise InputError(f"{told}: {shorten(e, 200)}") from e
        if self._told.network not in ARCHITECTURES:
            raise InputError(f"{told}: network is {shorten(self._told.network)!r}, not {', '.join(ARCHITECTURES)}")
        architecture = ARCHITECTURES[self._told.network]
        raw = path.read_bytes()
        try:
            weights = load(raw)
        except SafetensorError as e:
            raise InputError(f"{path} holds no weights: {shorten(e, 200)}") from e
        wanted = {name: array.shape for name, array in draw_network(architecture, 0).items()}
        if {name: array.shape for name, array in weights.items()} != wanted:
            raise InputError(f"{path} does not hold the weights of {self._told.network}, as {told.name} says")
        if not all(np.isfinite(array).all() for array in weights.values()):
            raise InputError(f"{path} holds weights that are not finite")
        self.pixels, self.width, self.name = self._told.pixels, architecture.dimension, path.name
        self.identity = f"trained {hashlib.sha256(raw).hexdigest()} {msgspec.json.encode(self._told).decode()}"
        self._run: Callable[[Any], Any] = jax.jit(lambda pictures: embed_pictures(weights, architecture, pictures))

    def measure(self, pictures: ImageFloats) -> ImageFloats:
        """See `Encoder.measure`."""
        levels = np.nan_to_num(pictures, nan=0.0) / np.float32(255)
        made = []
        for start in range(0, len(levels), BATCH):
            some = levels[start : start + BATCH]
            # One shape, so that it is compiled once.
            full = np.concatenate([some, np.zeros((BATCH - len(some), *some.shape[1:]), np.float32)])
            made.append(np.asarray(self._run(full))[: len(some)])
        return np.concatenate([np.concatenate(made), measure_artefacts(*fill_blank(pictures))], axis=1)

    def fit(self, sample: ImageFloats) -> Callable[[ImageFloats], ImageFloats]:
        """See `Encoder.fit`: less the mean of all, which says nothing, and each number on one scale."""
        centre = sample[:, : self.width].mean(axis=0)
        spread = sample[:, : self.width].std(axis=0)
        # What hardly differs among these may among others: it must not decide then.
        spread = np.maximum(spread, 0.1 * spread.mean() + np.float32(1e-6))
        return lambda measured: np.ascontiguousarray((measured[:, : self.width] - centre) / spread)
