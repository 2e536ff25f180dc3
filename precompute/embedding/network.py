"""Residual networks (He et al. 2016, CVPR) in JAX; parameters are a flat dictionary of arrays, as in safetensors.

Normalised by groups of channels (Wu & He 2018, ECCV) and not by batches: a galaxy's embedding must not depend on which
others are beside it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

Weights = dict[str, Any]

CHANNELS_A_GROUP = 8
EPSILON = 1e-5


class Architecture(NamedTuple):
    """A residual network: the width of its stem, widths and numbers of blocks of its stages, kind of block.

    `bottleneck` blocks are of three convolutions, the last four times as wide; plain ones of two.
    """

    stem: int
    widths: tuple[int, ...]
    blocks: tuple[int, ...]
    bottleneck: bool = False
    stem_edge: int = 3

    @property
    def dimension(self) -> int:
        """Numbers of an embedding."""
        return self.widths[-1] * (4 if self.bottleneck else 1)


ARCHITECTURES = {
    "small": Architecture(16, (16, 32, 64, 128), (1, 1, 1, 1)),
    "resnet18": Architecture(64, (64, 128, 256, 512), (2, 2, 2, 2), stem_edge=7),
    "resnet50": Architecture(64, (64, 128, 256, 512), (3, 4, 6, 3), bottleneck=True, stem_edge=7),
}


def draw_network(architecture: Architecture, seed: int) -> dict[str, NDArray[np.float32]]:
    """Weights of an untrained network (He et al. 2015, ICCV)."""
    random = np.random.default_rng(seed)
    drawn: dict[str, NDArray[np.float32]] = {}

    def convolution(name: str, edge: int, given: int, made: int, gain: float = 1.0) -> None:
        scale = np.sqrt(2 / (edge * edge * given))
        drawn[f"{name}.kernel"] = random.normal(0, scale, (edge, edge, given, made)).astype(np.float32)
        # The last of a block begins at nothing, so that each block begins as the identity (Goyal et al. 2017).
        drawn[f"{name}.gain"] = np.full(made, gain, np.float32)
        drawn[f"{name}.bias"] = np.zeros(made, np.float32)

    convolution("stem", architecture.stem_edge, 3, architecture.stem)
    given = architecture.stem
    for stage, (width, count) in enumerate(zip(architecture.widths, architecture.blocks, strict=True)):
        for block in range(count):
            name, made = f"stage{stage}.block{block}", width * (4 if architecture.bottleneck else 1)
            if architecture.bottleneck:
                convolution(f"{name}.reduce", 1, given, width)
                convolution(f"{name}.middle", 3, width, width)
                convolution(f"{name}.last", 1, width, made, gain=0.0)
            else:
                convolution(f"{name}.middle", 3, given, width)
                convolution(f"{name}.last", 3, width, made, gain=0.0)
            if given != made or (stage and not block):
                convolution(f"{name}.beside", 1, given, made)
            given = made
    return drawn


def embed_pictures(parameters: Weights, architecture: Architecture, pictures: Any) -> Any:
    """Embeddings (n, dimension) of pictures (n, h, h, 3) with levels from 0 to 1: means over the last stage."""
    flow = jax.nn.relu(_normalised(parameters, "stem", 2 * pictures - 1, stride=2))
    if architecture.stem_edge > 3:
        flow = jax.lax.reduce_window(flow, -jnp.inf, jax.lax.max, (1, 3, 3, 1), (1, 2, 2, 1), "SAME")
    for stage, count in enumerate(architecture.blocks):
        for block in range(count):
            name, stride = f"stage{stage}.block{block}", 2 if stage and not block else 1
            inner = flow
            if architecture.bottleneck:
                inner = jax.nn.relu(_normalised(parameters, f"{name}.reduce", inner))
            inner = jax.nn.relu(_normalised(parameters, f"{name}.middle", inner, stride=stride))
            inner = _normalised(parameters, f"{name}.last", inner)
            if f"{name}.beside.kernel" in parameters:
                flow = _normalised(parameters, f"{name}.beside", flow, stride=stride)
            flow = jax.nn.relu(flow + inner)
    return flow.mean(axis=(1, 2))


def _normalised(parameters: Weights, name: str, flow: Any, *, stride: int = 1) -> Any:
    """A convolution, and its channels normalised by groups."""
    made = jax.lax.conv_general_dilated(
        flow, parameters[f"{name}.kernel"], (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    n, height, width, _ = made.shape
    grouped = made.reshape(n, height, width, -1, CHANNELS_A_GROUP)
    mean = grouped.mean(axis=(1, 2, 4), keepdims=True)
    variance = grouped.var(axis=(1, 2, 4), keepdims=True)
    normal = ((grouped - mean) * jax.lax.rsqrt(variance + EPSILON)).reshape(made.shape)
    return normal * parameters[f"{name}.gain"] + parameters[f"{name}.bias"]
