"""Stage `anomalies`: how unusual every galaxy is by a second score, and the rows of the map's outlier layer.

anomaly_knn      mean cosine distance to the ten nearest: far from everything (`precompute.stages.knn` writes it)
anomaly_forest   isolation forest (Liu, Ting & Zhou 2008, ICDM) on principal components, as Stein et al. 2021
                 (arXiv 2110.13151) used: easily separated from the rest

They agree little (rank correlation 0.15 on simulated galaxies), so both are kept.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.search.exact import Embeddings
from atlas.storage import layout

from ..config import BuildConfig
from .row_passes import fill_rows
from .stage import StageContext

FIT_ROWS = 100_000
CHUNK_ROWS = 16_384

OUTLIER_SHARE = 200
MIN_OUTLIERS = 20
MAX_OUTLIERS = 5_000


class Forest:
    """An isolation forest on the first principal components.

    Parameters
    ----------
    sample : ndarray of shape (m, d), float32
        Rows that both are fitted to.
    components, trees : int
    seed : int
    """

    def __init__(self, sample: NDArray[np.float32], *, components: int, trees: int, seed: int) -> None:
        from sklearn.decomposition import PCA
        from sklearn.ensemble import IsolationForest

        self._pca: Any = PCA(min(components, *sample.shape), svd_solver="covariance_eigh")
        reduced = self._pca.fit_transform(sample)
        self._forest: Any = IsolationForest(n_estimators=trees, random_state=seed).fit(reduced)

    def score(self, embeddings: Embeddings) -> NDArray[np.float32]:
        """Anomaly of each row in [0, 1]; higher is more anomalous."""
        reduced = self._pca.transform(np.asarray(embeddings, dtype=np.float32))
        scores: NDArray[np.float32] = (-self._forest.score_samples(reduced)).astype(np.float32)
        return scores


def fit_forest(embeddings: Embeddings, n_rows: int, config: BuildConfig) -> Forest:
    """The forest fitted to a seeded sample of the first `n_rows` rows: the same whenever it is asked for."""
    sample = np.sort(np.random.default_rng(config.seed).choice(n_rows, min(n_rows, FIT_ROWS), replace=False))
    return Forest(
        np.asarray(embeddings[sample], dtype=np.float32),
        components=config.forest_components,
        trees=config.forest_trees,
        seed=config.seed,
    )


def outlier_rows(distance: NDArray[np.float32]) -> NDArray[np.uint32]:
    """The farthest 0.5 % of rows (20 to 5,000), farthest first, ties by row."""
    n = distance.size
    count = min(n, MAX_OUTLIERS, max(MIN_OUTLIERS, n // OUTLIER_SHARE))
    order = np.argsort(-distance, kind="stable")[:count]
    return order.astype(np.uint32)


class Anomalies:
    """Scores every row."""

    name = "anomalies"
    version = 3
    needs = ("embeddings", "knn")
    parameters = ("forest_components", "forest_trees", "seed", "space")
    outputs = ("{space}/columns/anomaly_forest.npy", "{space}/map/outliers.npy")
    reads_source = False

    def run(self, ctx: StageContext) -> None:
        """Write the column `anomaly_forest` (float32) and `map/outliers.npy` (uint32)."""
        embeddings = ctx.load(ctx.space / layout.EMBEDDINGS)
        n = embeddings.shape[0]
        forest = fit_forest(embeddings, n, ctx.config)
        by_forest = ctx.open_or_create(ctx.space / layout.COLUMNS / "anomaly_forest.npy", (n,), np.float32)

        def work(part: slice) -> None:
            by_forest[part] = forest.score(embeddings[part])

        fill_rows(ctx, work, n, CHUNK_ROWS, (by_forest,))
        by_knn = ctx.load(ctx.space / layout.COLUMNS / "anomaly_knn.npy")
        ctx.save(ctx.space / layout.OUTLIERS, outlier_rows(by_knn))
        ctx.forget()


STAGE = Anomalies()
