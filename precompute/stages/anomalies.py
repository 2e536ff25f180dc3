"""Stage `anomalies`: how odd every galaxy is, by several detectors, and the rows of the map's outlier layer.

`atlas.catalog.anomalies` says what each column means, `precompute.stages.anomaly_model` how galaxies of like brightness
are compared. Scores are kept as percentiles; the table that makes them serves rows that are appended later, too.

An isolation forest (Liu, Ting & Zhou 2008, ICDM) and the local outlier factor (Breunig et al. 2000, SIGMOD) were
measured as well: on rendered galaxies they find rare classes hardly more often than chance does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

import msgspec
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from atlas.catalog.anomalies import DEFAULT, PERCENTILES, SCORED, percentiles, quantiles_of
from atlas.catalog.key_columns import magnitude_column
from atlas.search.exact import EmbeddingArray
from atlas.storage import layout
from atlas.storage.manifest import Column, Manifest

from ..config import BuildConfig
from .anomaly_model import AnomalyModel, ScoreFloats
from .costs import Cost, Sizes, product_seconds
from .row_passes import fill_rows
from .stage import BuildStage, SpaceColumn, StageContext

FIT_ROWS = 100_000
CHUNK_ROWS = 16_384

_FOR = " for its brightness"
_TOLD = {
    "anomaly": f"odd{_FOR}, in form or in any detail",
    "anomaly_form": f"odd{_FOR} in the components that vary most",
    "anomaly_detail": f"odd{_FOR} in all components, artefacts among them",
    "anomaly_neighbors": f"far from the ten nearest galaxies{_FOR}",
    "anomaly_cluster": "far from the middle of its cluster, or of the nearest",
}
OUTLIER_SHARE = 200
MIN_OUTLIERS = 20
MAX_OUTLIERS = 5_000

RAW = ("anomaly_form", "anomaly_detail", "anomaly_neighbors", "anomaly_cluster")
"""Scores that the pass over the rows writes, before they are percentiles."""

MIXED = ("anomaly_form", "anomaly_detail")
"""Percentiles of which the default takes the larger. Their mean would ask for both, which few rare galaxies have."""


class AnomalyInputs(msgspec.Struct, frozen=True):
    """Inputs of the galaxies' scores, for all rows.

    Attributes
    ----------
    embeddings : ndarray of shape (n, d), float16 or float32
    distance : ndarray of shape (n,), float32
        To the ten nearest.
    cluster : ndarray of shape (n,), int16
    magnitude : ndarray of shape (n,) or None
    """

    embeddings: EmbeddingArray
    distance: ScoreFloats
    cluster: NDArray[np.int16]
    magnitude: NDArray[np.floating] | None

    def __getitem__(self, part: slice | NDArray[np.int64]) -> AnomalyInputs:
        magnitude = None if self.magnitude is None else np.asarray(self.magnitude[part], dtype=np.float32)
        return AnomalyInputs(
            self.embeddings[part], np.asarray(self.distance[part]), np.asarray(self.cluster[part]), magnitude
        )


def fit_model(rows: AnomalyInputs, n_rows: int, config: BuildConfig) -> AnomalyModel:
    """The model fitted to a seeded sample of the first `n_rows` rows: the same whenever it is asked for."""
    sample = np.sort(np.random.default_rng(config.seed).choice(n_rows, min(n_rows, FIT_ROWS), replace=False))
    some = rows[sample]
    embeddings = np.asarray(some.embeddings, dtype=np.float32)
    # The products are small: threads of BLAS gain nothing, and on a busy machine wait for each other.
    with threadpool_limits(limits=1, user_api="blas"):
        return AnomalyModel(embeddings, some.magnitude, some.distance, components=config.anomaly_components)


def score_rows(model: AnomalyModel, centroids: ScoreFloats, rows: AnomalyInputs) -> dict[str, ScoreFloats]:
    """Scores of some rows by the names of `RAW`, each (m,); higher is odder, NaN where there are no clusters."""
    found = model.score(rows.embeddings, rows.magnitude, rows.distance)
    by_cluster = distance_to_cluster(rows.embeddings, rows.cluster, centroids)
    return dict(zip(RAW, (*found, by_cluster), strict=True))


def _score_chunk(
    model: AnomalyModel, centroids: ScoreFloats, rows: AnomalyInputs, part: slice
) -> tuple[ScoreFloats, ...]:
    return tuple(score_rows(model, centroids, rows[part]).values())


def distance_to_cluster(embeddings: EmbeddingArray, cluster: NDArray[np.int16], centroids: ScoreFloats) -> ScoreFloats:
    """Cosine distance to the centroid of the own cluster, or of the nearest for rows outside all; (m,), float32.

    NaN where there are no clusters.
    """
    if not len(centroids):
        return np.full(len(cluster), np.nan, dtype=np.float32)
    similarity = np.asarray(embeddings, dtype=np.float32) @ centroids.T
    own = np.take_along_axis(similarity, np.maximum(cluster, 0)[:, None].astype(np.int64), axis=1)[:, 0]
    distance: ScoreFloats = np.maximum(1 - np.where(cluster >= 0, own, similarity.max(axis=1)), 0)
    return distance


def as_percentiles(scores: Mapping[str, ScoreFloats], quantiles: Mapping[str, ScoreFloats]) -> dict[str, ScoreFloats]:
    """The columns of `PERCENTILES`, from scores by the names of `RAW` and the quantiles of each column."""
    found = {name: percentiles(scores[name], quantiles[name]) for name in RAW}
    found[DEFAULT] = percentiles(odder(found), quantiles[DEFAULT])
    return found


def odder(found: Mapping[str, ScoreFloats]) -> ScoreFloats:
    """Score that the default ranks by: the larger of the percentiles in `MIXED`."""
    larger: ScoreFloats = np.maximum(*(found[name] for name in MIXED))
    return larger


def quantiles_of_all(scores: Mapping[str, ScoreFloats], distance: ScoreFloats) -> dict[str, ScoreFloats]:
    """Quantiles of each column of `SCORED`, from scores of all rows by the names of `RAW`."""
    quantiles = {name: quantiles_of(scores[name]) for name in RAW}
    quantiles["anomaly_knn"] = quantiles_of(distance)
    quantiles[DEFAULT] = quantiles_of(odder({name: percentiles(scores[name], quantiles[name]) for name in MIXED}))
    return quantiles


def quantile_table(quantiles: Mapping[str, ScoreFloats]) -> ScoreFloats:
    """Quantiles as they are kept: a row a column, in the order of `SCORED`."""
    return np.stack([quantiles[name] for name in SCORED])


def magnitude_name(columns: Iterable[Column]) -> str:
    """The column that brightness is told by; empty where a catalogue has none."""
    found = magnitude_column(columns)
    return "" if found is None else found.name


def fitted_magnitude(manifest: Manifest, space: str) -> str:
    """The column that the scores of a space tell brightness by, whatever columns have come to the atlas since."""
    name = STAGE.name if space == manifest.spaces[0].name else f"{space}/{STAGE.name}"
    told = [r.measured["magnitude"] for r in manifest.stages if r.name == name and "magnitude" in r.measured]
    return str(told[0]) if told else magnitude_name(manifest.columns)


def outlier_rows(score: ScoreFloats) -> NDArray[np.uint32]:
    """The oddest 0.5 % of rows (20 to 5,000), oddest first, ties by row."""
    n = score.size
    count = min(n, MAX_OUTLIERS, max(MIN_OUTLIERS, n // OUTLIER_SHARE))
    order = np.argsort(-score, kind="stable")[:count]
    return order.astype(np.uint32)


class Anomalies(BuildStage):
    """Scores every row."""

    name = "anomalies"
    version = 4
    needs = ("read", "embeddings", "knn", "clusters")
    parameters = ("anomaly_components", "seed", "space")
    outputs = (
        *(f"{{space}}/columns/{name}.npy" for name in PERCENTILES),
        f"{{space}}/{layout.ANOMALIES}",
        f"{{space}}/{layout.OUTLIERS}",
    )
    columns = tuple(
        SpaceColumn(name, "stat.value", f"Percentile: {told}", unit="%", low="more ordinary", high="odder")
        for name, told in _TOLD.items()
    )

    def cost(self, s: Sizes) -> Cost:
        """See `BuildStage.cost`."""
        return Cost(
            alone=2 + s.n * 2e-6,
            shared=s.n * 2e-6 + product_seconds(s, s.n, 2 * s.d),
            memory=s.n * 48 + 100_000 * s.d * 12,
            disk=s.n * 20,
        )

    def files_read(self, need: str, ctx: StageContext) -> tuple[str, ...] | None:
        """See `BuildStage.files_read`."""
        if need != "read":
            return None
        return (f"{layout.COLUMNS}/{magnitude_name(ctx.catalog_columns())}.npy",)

    def run(self, ctx: StageContext) -> None:
        """Write the columns of `PERCENTILES` (float32), their quantiles, and `map/outliers.npy` (uint32)."""
        columns = ctx.space / layout.COLUMNS
        magnitude = magnitude_name(ctx.catalog_columns())
        rows = AnomalyInputs(
            ctx.load(ctx.space / layout.EMBEDDINGS),
            ctx.load(columns / "anomaly_knn.npy"),
            ctx.load(columns / "cluster.npy"),
            ctx.load(ctx.build / layout.COLUMNS / f"{magnitude}.npy") if magnitude else None,
        )
        n = len(rows.embeddings)
        model = fit_model(rows, n, ctx.config)
        centroids = np.array(ctx.load(ctx.space / layout.CLUSTERS / "centroids.npy"))
        path = ctx.space / layout.ANOMALIES / "raw.npy"
        raw = ctx.open_or_create(path, (len(RAW), n), np.float32)
        fill_rows(ctx, partial(_score_chunk, model, centroids, rows), n, CHUNK_ROWS, tuple(raw))
        scores = dict(zip(RAW, raw, strict=True))
        quantiles = quantiles_of_all(scores, rows.distance)
        for name, column in as_percentiles(scores, quantiles).items():
            ctx.save(columns / f"{name}.npy", column)
            if name == DEFAULT:
                ctx.save(ctx.space / layout.OUTLIERS, outlier_rows(column))
        ctx.save(ctx.space / layout.ANOMALY_QUANTILES, quantile_table(quantiles))
        ctx.measured = {
            "magnitude": magnitude,
            "groups": model.groups,
            "leading_components": model.leading,
            "components": model.kept,
        }
        ctx.forget()
        path.unlink()


STAGE = Anomalies()
