"""An order taught by labels: like what people called interesting, unlike the rest that they labelled, and odd.

    score(row) = cosine(row, q) / scatter + oddness · surprise(row)

q is the probe of `atlas.queries.feedback` over all labelled galaxies, scatter the standard deviation of its cosines
over all rows, so that both terms are of one size, and surprise −log₁₀ of the share of galaxies that are odder. One
product a row: every row of ten million is scored exactly in less than a second, so nothing is left to candidates.
`benchmarks.feedback` measures it beside what is published, and beside Gaussian processes and kernels, which need a
product for each label.

    like         the score, highest first
    uncertain    nearest first to the middle between what is wanted and what is not: where a label teaches most
    unlike       away from the middle of all that is labelled, and odd: what nobody has looked at yet

Without a wanted label there is nothing to be like: the order is that of the oddest, as is one without any label.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from atlas.build import OpenBuild
from atlas.catalog.anomalies import DEFAULT
from atlas.errors import InputError
from atlas.mask import Mask
from atlas.queries.feedback import embedding_of_examples
from atlas.queries.ranking import ByLabels
from atlas.search.exact import Adjustment, exact_scores, top_k_exact
from atlas.space import OpenSpace
from atlas.storage.scattered_rows import read_rows

SCATTER_ROWS = 4_096
"""Rows that tell how far cosines scatter, to one per cent."""

MOST_SURPRISE = 4.0
"""Surprise of the oddest ten-thousandth and of all beyond: an image that is odder still is no more interesting."""


class Taught(NamedTuple):
    """Rows of galaxies that got a wanted label, and of those that got others, in the order in which they did."""

    wanted: NDArray[np.int64]
    others: NDArray[np.int64]

    @property
    def rows(self) -> NDArray[np.int64]:
        """All that were labelled."""
        return np.concatenate([self.wanted, self.others])


class LabelScorer(NamedTuple):
    """A score for any rows.

    Attributes
    ----------
    query : ndarray of shape (d,), float32
    adjustment : Adjustment
        From cosines to scores.
    """

    query: NDArray[np.float32]
    adjustment: Adjustment

    def score(self, space: OpenSpace, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Scores of some rows."""
        scores: NDArray[np.float32] = self.adjustment.apply(rows, exact_scores(space.embeddings, rows, self.query))
        return scores


def taught_by(atlas: OpenBuild, ranking: ByLabels) -> Taught:
    """Rows that the labels of a ranking stand for; of a galaxy with several labels, a wanted one counts.

    Raises
    ------
    InputError
        If the labels have not come to the revision that is asked for: it is of other labels.
    """
    newest = atlas.labelled.now().revision
    if ranking.revision > newest:
        raise InputError(f"revision {ranking.revision} of the labels is asked for, and these end at {newest}")
    standing = atlas.labelled.at(ranking.revision)
    wanted = set(standing.galaxies(ranking.wanted))
    rows = [
        atlas.labelled.rows_of([galaxy for galaxy in standing.of if (galaxy in wanted) is side])
        for side in (True, False)
    ]
    return Taught(*(some[some >= 0] for some in rows))


def label_scorer(atlas: OpenBuild, space: OpenSpace, ranking: ByLabels, taught: Taught) -> LabelScorer:
    """The scorer of a ranking.

    Raises
    ------
    InputError
        If no galaxy has a label that is wanted, or none has another where both are needed.
    """
    wanted, others = (read_rows(space.embeddings, some) for some in taught)
    if ranking.mode != "unlike" and not taught.wanted.size:
        raise InputError(f"no galaxy of this atlas is labelled {' or '.join(ranking.wanted)}: label some first")
    if not taught.rows.size:
        raise InputError("no galaxy of this atlas has a label: label some first")
    if ranking.mode == "unlike":
        query = -embedding_of_examples(np.concatenate([wanted, others]), others[:0])
    else:
        query = embedding_of_examples(wanted, others)
    some = np.random.default_rng(0).choice(space.n_rows, min(SCATTER_ROWS, space.n_rows), replace=False)
    scatter = float(exact_scores(space.embeddings, some, query).std()) or 1.0
    surprise = _surprise(atlas, space, ranking.oddness)
    middle = None
    if ranking.mode == "uncertain":
        if not taught.others.size:
            raise InputError("every labelled galaxy is wanted: label some that are not, to see where the two part")
        plain = LabelScorer(query, _adjustment(scatter, surprise, None))
        middle = sum(float(plain.score(space, side).mean()) for side in taught) / 2
    return LabelScorer(query, _adjustment(scatter, surprise, middle))


def top_by_labels(
    atlas: OpenBuild, ranking: ByLabels, space: OpenSpace, k: int, mask: Mask | None, *, with_labelled: bool
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The k rows of highest score, exactly; the labelled ones are looked at already and left out.

    Parameters
    ----------
    mask : Mask or None
        Rows that may appear; None stands for all.

    Returns
    -------
    rows : ndarray of shape (≤ k,), int64
    scores : ndarray of shape (≤ k,), float32
    """
    taught = taught_by(atlas, ranking)
    scorer = label_scorer(atlas, space, ranking, taught)
    return top_k_exact(
        space.embeddings,
        scorer.query,
        k,
        mask=None if mask is None else mask.dense,
        skip=() if with_labelled else taught.rows.tolist(),
        adjustment=scorer.adjustment,
    )


def in_order_of_labels(atlas: OpenBuild, ranking: ByLabels, rows: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Some rows in the order of a ranking, the labelled ones among them left out."""
    space, taught = atlas.space(), taught_by(atlas, ranking)
    rows = rows[~np.isin(rows, taught.rows)]
    scores = label_scorer(atlas, space, ranking, taught).score(space, rows.astype(np.int64))
    return rows[np.lexsort((rows, -scores))]


def _surprise(
    atlas: OpenBuild, space: OpenSpace, oddness: float
) -> Callable[[NDArray[np.int64]], NDArray[np.float32]] | None:
    columns = atlas.columns(space.name)
    if not oddness or DEFAULT not in columns:
        return None
    percentile = columns.array(DEFAULT)

    def of(rows: NDArray[np.int64]) -> NDArray[np.float32]:
        above = np.maximum(1 - np.nan_to_num(percentile[rows]) / np.float32(100), np.float32(10.0**-MOST_SURPRISE))
        scaled: NDArray[np.float32] = np.float32(-oddness) * np.log10(above)
        return scaled

    return of


def _adjustment(
    scatter: float, surprise: Callable[[NDArray[np.int64]], NDArray[np.float32]] | None, middle: float | None
) -> Adjustment:
    def apply(rows: NDArray[np.int64], cosines: NDArray[np.float32]) -> NDArray[np.float32]:
        scores = cosines / np.float32(scatter)
        if surprise is not None:
            scores = scores + surprise(rows)
        return scores if middle is None else -np.abs(scores - np.float32(middle))

    return Adjustment(apply, 1 / scatter)
