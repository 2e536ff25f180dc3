"""Symmetries of observing: changes of a picture after which it shows the same galaxy.

    rotation, reflection, size, shift ── seeing ── extinction and stretch by band ── noise

As in Stein et al. 2021 (arXiv 2110.13151), but for crops: the middle of a picture is the galaxy.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

SIZE = 0.15  # natural logarithm: one sigma of the factor
SHIFT = 0.02  # of the edge, one sigma
SEEING = 1.2  # pixels: the widest Gaussian
REDDENING = 0.10  # natural logarithm: one sigma of the blue band against the red
BRIGHTNESS = 0.15  # natural logarithm: one sigma of all bands
NOISE = 0.04  # of the full scale: the most


def draw_anew(key: Any, pictures: Any) -> Any:
    """Pictures (n, h, h, 3) with levels from 0 to 1, each drawn anew by chance; of the same shape."""
    keys = jax.random.split(key, len(pictures))
    return jax.vmap(_draw_one)(keys, pictures)


def _draw_one(key: Any, picture: Any) -> Any:
    turn, mirror, size, shift, seeing, dust, level, grain = jax.random.split(key, 8)
    edge = picture.shape[0]
    angle = jax.random.uniform(turn, maxval=2 * jnp.pi)
    flip = jnp.where(jax.random.bernoulli(mirror), 1.0, -1.0)
    scale = jnp.exp(-SIZE * jax.random.normal(size))
    moved = SHIFT * edge * jax.random.normal(shift, (2,))
    half = (edge - 1) / 2
    y, x = jnp.meshgrid(jnp.arange(edge) - half, jnp.arange(edge) - half, indexing="ij")
    cos, sin = scale * jnp.cos(angle), scale * jnp.sin(angle)
    where = jnp.stack([sin * x * flip + cos * y + half + moved[0], cos * x * flip - sin * y + half + moved[1]])
    drawn = _blurred(_sampled(picture, where), SEEING * jax.random.uniform(seeing))
    # Dust takes the blue band first: bands from red to blue.
    reddening = REDDENING * jax.random.normal(dust) * jnp.array([0.5, 0.0, -0.5])
    drawn = drawn * jnp.exp(reddening + BRIGHTNESS * jax.random.normal(level))
    strength, noise = jax.random.split(grain)
    drawn = drawn + NOISE * jax.random.uniform(strength) * jax.random.normal(noise, drawn.shape)
    return jnp.clip(drawn, 0, 1)


def _sampled(picture: Any, where: Any) -> Any:
    """Bilinear samples at places (2, h, h); beyond the border the picture is mirrored, as sky goes on as sky."""
    return jnp.stack(
        [jax.scipy.ndimage.map_coordinates(picture[..., band], where, order=1, mode="mirror") for band in range(3)],
        axis=-1,
    )


def _blurred(picture: Any, sigma: Any) -> Any:
    """A picture under a Gaussian of seven pixels."""
    offsets = jnp.arange(-3, 4)
    kernel = jnp.exp(-(offsets**2) / (2 * jnp.maximum(sigma, 1e-2) ** 2))
    kernel = kernel / kernel.sum()
    padded = jnp.pad(picture, ((3, 3), (3, 3), (0, 0)), mode="edge")
    edge = picture.shape[0]
    rows = sum(kernel[k] * padded[k : k + edge] for k in range(7))
    return sum(kernel[k] * rows[:, k : k + edge] for k in range(7))
