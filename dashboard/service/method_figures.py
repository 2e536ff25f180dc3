"""Galaxies of the open atlas that explain what similarity, clusters and anomalies are, for a newcomer."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from atlas import Atlas
from atlas.catalog.reasons import reasons
from atlas.planes.sampling import row_hash
from atlas.search.exact import exact_scores
from atlas.space import OpenSpace

SAMPLE = 2_000
"""Galaxies drawn at random that a page reads the embeddings of, whatever the atlas holds."""

SHOWN = 5
BINS = 40
CLUSTERS = ANOMALIES = 6
TRIES = 64


class ExampleNeighbor(msgspec.Struct, frozen=True):
    """A galaxy and its cosine similarity to the example."""

    row: int
    similarity: float


class SimilarityFigure(msgspec.Struct, frozen=True):
    """An example and galaxies at all distances from it.

    Attributes
    ----------
    row : int
        The example.
    most : tuple of ExampleNeighbor
        Its nearest among all galaxies, as the build found them.
    middling, least : tuple of ExampleNeighbor
        From the middle and the end of a random sample of `n_sampled`.
    counts : tuple of int
        How many of the sample have a similarity in each of `BINS` equal steps of `low` to 1.
    low : float
        A multiple of 0.1 below all of them.
    """

    row: int
    most: tuple[ExampleNeighbor, ...]
    middling: tuple[ExampleNeighbor, ...]
    least: tuple[ExampleNeighbor, ...]
    counts: tuple[int, ...]
    low: float
    n_sampled: int


class OddGalaxy(msgspec.Struct, frozen=True):
    """A galaxy that is odd, and how it stands out in the catalogue; empty where it does not."""

    row: int
    why: str


def similarity_figure(atlas: Atlas, number: int) -> SimilarityFigure:
    """An example and what is more and less like it; `number` says which of many possible examples."""
    space = atlas.space()
    at = _example(atlas, space, number)
    row = at if space.known_rows is None else int(space.known_rows[at])
    query = np.asarray(space.embeddings[row], dtype=np.float32)
    nearest = space.neighbors[at][:SHOWN].astype(np.int64)
    sample = _sample(atlas.n_rows)
    sample = sample[sample != row]
    scores = exact_scores(space.embeddings, sample, query)
    order = np.argsort(-scores, kind="stable")
    middle = max(0, order.size // 2 - SHOWN // 2)
    low = float(np.floor(10 * min(0.9, scores.min(initial=0.9))) / 10)
    counts, _ = np.histogram(scores, bins=BINS, range=(low, 1.0))
    return SimilarityFigure(
        row=row,
        most=_pairs(nearest, exact_scores(space.embeddings, nearest, query)),
        middling=_pairs(sample[order[middle : middle + SHOWN]], scores[order[middle : middle + SHOWN]]),
        least=_pairs(sample[order[-SHOWN:]], scores[order[-SHOWN:]]),
        counts=tuple(counts.tolist()),
        low=low,
        n_sampled=int(sample.size),
    )


def odd_galaxies(atlas: Atlas) -> tuple[OddGalaxy, ...]:
    """The first of the layer of outliers, each with the word that tells most of it."""
    space = atlas.space()
    rows = space.outliers[:ANOMALIES]
    found = reasons(space.columns, space.telling_columns, rows)
    return tuple(OddGalaxy(int(row), "" if why is None else why.text) for row, why in zip(rows, found, strict=True))


def _example(atlas: Atlas, space: OpenSpace, number: int) -> int:
    """Place of an example among the rows whose neighbours are known: in the first tenth, as surveys begin with bright
    galaxies, which show most, and with an image."""
    known = space.neighbors.shape[0]
    first = max(1, known // 10)
    tried = np.random.default_rng([int(atlas.build_id, 16), number]).integers(0, first, TRIES)
    if atlas.thumbnails is None:
        return int(tried[0])
    rows = tried if space.known_rows is None else space.known_rows[tried]
    seen = np.flatnonzero(atlas.thumbnails.which(rows))
    return int(tried[seen[0]] if seen.size else tried[0])


def _sample(n_rows: int) -> NDArray[np.int64]:
    """Rows drawn at random, the same each time."""
    if n_rows <= SAMPLE:
        return np.arange(n_rows)
    drawn: NDArray[np.int64] = np.unique(row_hash(np.arange(SAMPLE, dtype=np.uint32), 0).astype(np.uint64) % n_rows)
    return drawn.astype(np.int64)


def _pairs(rows: NDArray[np.int64], scores: NDArray[np.float32]) -> tuple[ExampleNeighbor, ...]:
    return tuple(ExampleNeighbor(row, score) for row, score in zip(rows.tolist(), scores.tolist(), strict=True))
