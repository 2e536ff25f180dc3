"""Stage `umap`: positions of the anchors on the map (McInnes, Healy & Melville 2018, arXiv 1802.03426).

Always seeded, hence single-threaded: the same input and seed give the same bytes, and at 50,000 anchors a minute is
lost at most. UMAP is handed the exact nearest neighbours of the anchors, which also spares it half a minute of
compilation. It starts from principal components: unlike the spectral start that cannot fail on a disconnected graph.
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from atlas.search.exact import top_k_exact_many
from atlas.storage import layout

from .costs import Cost, Sizes, product_seconds
from .stage import BuildStage, StageContext

HALF_WIDTH = 10.0
"""Half the width of the map that holds 98 % of the anchors, along its longer axis."""

FREE_RADIUS = 15.0
STRAY_MARGIN = 5.0
"""Beyond the first radius distances are compressed, so that none exceeds the sum of both."""

ANCHORS_XY = "anchors_xy.npy"


def pca_layout(embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    """The first two principal components, (n, 2): the map of an atlas too small for UMAP."""
    centred = embeddings - embeddings.mean(axis=0)
    left, singular, _ = np.linalg.svd(centred, full_matrices=False)
    positions = np.zeros((len(embeddings), 2), dtype=np.float32)
    width = min(2, singular.size)
    positions[:, :width] = left[:, :width] * singular[:width]
    return positions


def umap_layout(
    embeddings: NDArray[np.float32],
    *,
    n_neighbors: int,
    min_dist: float,
    n_epochs: int,
    seed: int,
    neighbors: tuple[NDArray[np.int32], NDArray[np.float32]],
) -> NDArray[np.float32]:
    """UMAP's positions.

    Parameters
    ----------
    embeddings : ndarray of shape (m, d), float32
    n_neighbors, min_dist, n_epochs
        UMAP's own; 0 epochs leave the choice to it.
    seed : int
    neighbors : tuple of ndarrays of shape (m, n_neighbors)
        Rows and cosine distances of the nearest anchors of each, itself included.

    Returns
    -------
    ndarray of shape (m, 2), float32
    """
    with warnings.catch_warnings():
        # Both are true and neither is needed: other rows are placed by `precompute.stages.place`.
        warnings.filterwarnings("ignore", message="Tensorflow not installed", category=ImportWarning)
        warnings.filterwarnings("ignore", message=r".*transforming new data with transform will be unavailable")
        import umap

        reducer = umap.UMAP(
            n_neighbors=n_neighbors,
            min_dist=min_dist,
            n_epochs=n_epochs or None,
            metric="cosine",
            init="pca",
            random_state=seed,
            n_jobs=1,
            precomputed_knn=neighbors,
        )
        positions: NDArray[np.float32] = np.asarray(reducer.fit_transform(embeddings), dtype=np.float32)
    return positions


def normalise_map(positions: NDArray[np.float32]) -> NDArray[np.float32]:
    """Centred, in units that do not depend on UMAP's mood, strays within sight.

    The median goes to (0, 0), and one factor for both axes makes ±10 hold 98 % of the anchors. A point far outside, at
    radius r > 15, moves to 15 + 5 u / (u + 5) with u = r − 15: still the farther out the farther it was, but under 20,
    so that a few strays cannot shrink the rest of the map to a dot.

    Parameters
    ----------
    positions : ndarray of shape (m, 2), float32

    Returns
    -------
    ndarray of shape (m, 2), float32
    """
    centred = positions.astype(np.float64) - np.median(positions, axis=0)
    low, high = np.percentile(centred, (1, 99), axis=0)
    extent = float(np.maximum(-low, high).max())
    scaled = centred * (HALF_WIDTH / extent if extent > 0 else 1.0)
    radius = np.hypot(scaled[:, 0], scaled[:, 1])
    beyond = np.maximum(radius - FREE_RADIUS, 0)
    inside = np.minimum(radius, FREE_RADIUS) + STRAY_MARGIN * beyond / (beyond + STRAY_MARGIN)
    shrink = np.divide(inside, radius, out=np.ones_like(radius), where=radius > 0)
    return (scaled * shrink[:, None]).astype(np.float32)


class Umap(BuildStage):
    """Lays out the anchors."""

    name = "umap"
    version = 1
    needs = ("embeddings", "subsample")
    parameters = ("n_neighbors", "min_dist", "n_epochs", "seed", "space")
    outputs = ("{space}/map/anchors_xy.npy",)
    smaller = "a smaller subsample (--subsample)"

    def cost(self, s: Sizes) -> Cost:
        """See `BuildStage.cost`."""
        return Cost(
            alone=5 + 6e-4 * s.anchors * (s.config.n_epochs or 200) / 200,
            shared=product_seconds(s, s.anchors, s.anchors) * 2,
            memory=s.anchors * (s.d * 12 + 2_000),
            disk=s.anchors * 8,
        )

    def run(self, ctx: StageContext) -> None:
        """Write `map/anchors_xy.npy`: float32 (m, 2), in the order of `map/subsample.npy`."""
        config = ctx.config
        rows = ctx.load(ctx.space / layout.MAP / "subsample.npy")
        embeddings = np.asarray(ctx.load(ctx.space / layout.EMBEDDINGS)[rows], dtype=np.float32)
        # Storage in float16 leaves lengths of 1 ± 0.0005: more than near-duplicates differ by.
        embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
        if len(rows) <= config.n_neighbors + 1:
            positions = pca_layout(embeddings)
        else:
            with ctx.progress(2, "steps") as bar:
                nearest, similarity = top_k_exact_many(embeddings, embeddings, config.n_neighbors)
                bar.update()
                positions = umap_layout(
                    embeddings,
                    n_neighbors=config.n_neighbors,
                    min_dist=config.min_dist,
                    n_epochs=config.n_epochs,
                    seed=config.seed,
                    neighbors=(nearest.astype(np.int32), np.maximum(1 - similarity, 0)),
                )
                bar.update()
        ctx.save(ctx.space / layout.MAP / ANCHORS_XY, normalise_map(positions))


STAGE = Umap()
