"""The stages of a build, in the order in which they run."""

from __future__ import annotations

from . import anomalies, artefacts, clusters, embeddings, knn, measure, place, planes, read, subsample, thumbnails, umap
from .index import stage as index
from .stage import BuildStage

STAGES: tuple[BuildStage, ...] = (
    read.STAGE,
    embeddings.STAGE,
    index.STAGE,
    knn.STAGE,
    subsample.STAGE,
    umap.STAGE,
    place.STAGE,
    clusters.STAGE,
    anomalies.STAGE,
    planes.STAGE,
    artefacts.STAGE,
    thumbnails.STAGE,
    measure.STAGE,
)
