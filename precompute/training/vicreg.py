"""The loss VICReg (Bardes, Ponce & LeCun 2022, ICLR, arXiv 2105.04906).

Two drawings of a galaxy get one embedding, while each number of embeddings varies and no two say the same. It needs
neither a queue nor large batches, as MoCo does.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

INVARIANCE, VARIANCE, COVARIANCE = 25.0, 25.0, 1.0
"""Weights of the paper."""
PROJECTED = 256
EPSILON = 1e-4

HEAD = "head"
"""Before the names of the projector's parameters; they serve training alone."""


def draw_head(dimension: int, seed: int) -> dict[str, NDArray[np.float32]]:
    """Parameters of an untrained projector: two layers onto `PROJECTED` numbers."""
    random = np.random.default_rng([seed, 1])
    shapes = {f"{HEAD}.0": (dimension, PROJECTED), f"{HEAD}.1": (PROJECTED, PROJECTED)}
    drawn = {name: random.normal(0, np.sqrt(2 / shape[0]), shape).astype(np.float32) for name, shape in shapes.items()}
    return drawn | {f"{HEAD}.bias": np.zeros(PROJECTED, np.float32)}


def project_onto_loss(parameters: dict[str, Any], embeddings: Any) -> Any:
    """Embeddings (n, d) as the loss sees them, (n, PROJECTED)."""
    hidden = embeddings @ parameters[f"{HEAD}.0"] + parameters[f"{HEAD}.bias"]
    return jax.nn.relu(hidden) @ parameters[f"{HEAD}.1"]


def loss(first: Any, second: Any) -> Any:
    """Loss of projections (n, d) of two drawings of the same pictures."""
    invariance = ((first - second) ** 2).mean()
    variance, covariance = 0.0, 0.0
    for made in (first, second):
        centred = made - made.mean(axis=0)
        variance += jax.nn.relu(1 - jnp.sqrt(centred.var(axis=0) + EPSILON)).mean() / 2
        products = centred.T @ centred / (len(made) - 1)
        squares = (products**2).sum() - (jnp.diagonal(products) ** 2).sum()
        covariance += squares / made.shape[1]
    return INVARIANCE * invariance + VARIANCE * variance + COVARIANCE * covariance
