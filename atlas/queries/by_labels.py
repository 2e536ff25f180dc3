"""An order taught by labels: like what people called interesting, unlike the rest that they labelled, and odd.

Every row is scored first, by one product, so that ten million take less than a second and nothing is left out:

    score(row) = near(cosine(row, q) / scatter) + oddness · surprise(row)

q is the probe of `atlas.queries.feedback` over all labelled galaxies, scatter the standard deviation of its cosines
over all rows, so that both terms are of one size. What is not like q by more than one such deviation is hardly held
against a galaxy: a class has members that are like none labelled yet, and those are odd still. Surprise is −log₁₀ of
the share of galaxies that are odder, mean over the default detector and oddness of form.

The thousand first are ordered again by what takes a product for each label: regression with a Gaussian kernel on the
sphere, of 1 for what is wanted and 0 for the rest, beside oddness. Few labels are of several kinds, which one direction
does not tell. `benchmarks.feedback` measures both beside what is published.

    like         the score, highest first
    uncertain    nearest first to the middle between what is wanted and what is not: where a label teaches most
    unlike       away from the middle of all that is labelled, and odd: what nobody has looked at yet

The last two know likeness as it is, and no second order. Without a wanted label there is nothing to be like: the order
is that of the oddest, as is one without any label.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from atlas.build import OpenBuild
from atlas.catalog.anomalies import DEFAULT, FORM
from atlas.errors import InputError
from atlas.mask import Mask
from atlas.queries.feedback import embedding_of_examples
from atlas.queries.ranking import ByLabels
from atlas.search.exact import Adjustment, exact_scores, gather, top_k_exact
from atlas.space import OpenSpace
from atlas.storage.scattered_rows import read_rows

VERSION = 2
"""Number of the order, which receipts name: it goes up whenever the same labels would be answered otherwise."""

SCATTER_ROWS = 4_096
"""Rows that tell how far cosines scatter, to one per cent."""

MOST_SURPRISE = 4.0
"""Surprise of the oddest ten-thousandth and of all beyond: an image that is odder still is no more interesting."""

FAR, HARDLY = 1.0, 0.05
"""Likeness, in units of its scatter, below which less of it hardly counts, and how much it does then."""

REFINED = 1_000
"""Rows that are ordered again: what a person looks at before they rank anew, several times over."""

WIDTH = 0.7
"""Of the kernel, in cosine distance over the scatter of the probe's cosines."""

NOISE = 1.0
BESIDE_KERNEL = 1 / 8
"""Weight of oddness beside the kernel, over that beside likeness."""

MOST_IN_KERNEL = 1_000
"""Labels that the kernel takes, the newest; half of them wanted, if there are so many."""

Surprise = Callable[[NDArray[np.int64]], NDArray[np.float32]]


class Taught(NamedTuple):
    """Rows of galaxies that got a wanted label, and of those that got others, in the order in which they did."""

    wanted: NDArray[np.int64]
    others: NDArray[np.int64]

    @property
    def rows(self) -> NDArray[np.int64]:
        """All that were labelled."""
        return np.concatenate([self.wanted, self.others])


class Kernel(NamedTuple):
    """Regression with a Gaussian kernel, for some rows.

    Attributes
    ----------
    examples : ndarray of shape (m, d), float64
        Unit rows.
    weights : ndarray of shape (m,), float64
    width : float
    surprise : callable or None
        What is added.
    """

    examples: NDArray[np.float64]
    weights: NDArray[np.float64]
    width: float
    surprise: Surprise | None

    @classmethod
    def fit(cls, space: OpenSpace, taught: Taught, scatter: float, surprise: Surprise | None) -> Kernel:
        """Learn from labelled rows."""
        wanted = taught.wanted[-max(MOST_IN_KERNEL // 2, MOST_IN_KERNEL - taught.others.size) :]
        others = taught.others[max(0, taught.others.size + wanted.size - MOST_IN_KERNEL) :]
        examples = _unit_rows(space, np.concatenate([wanted, others]))
        width = WIDTH * scatter
        products = _likeness(examples, examples, width) + NOISE * np.eye(len(examples))
        is_wanted = (np.arange(len(examples)) < wanted.size).astype(np.float64)
        weights = np.asarray(np.linalg.solve(products, is_wanted), dtype=np.float64)
        return cls(examples, weights, width, surprise)

    def score(self, space: OpenSpace, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Scores of some rows."""
        found = (_likeness(_unit_rows(space, rows), self.examples, self.width) @ self.weights).astype(np.float32)
        return found if self.surprise is None else found + self.surprise(rows)


class LabelScorer(NamedTuple):
    """A score for any rows.

    Attributes
    ----------
    query : ndarray of shape (d,), float32
    adjustment : Adjustment
        From cosines to scores.
    kernel : Kernel or None
        What orders the first anew.
    """

    query: NDArray[np.float32]
    adjustment: Adjustment
    kernel: Kernel | None = None

    def refine(
        self, space: OpenSpace, rows: NDArray[np.int64], scores: NDArray[np.float32]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Rows that are in order, and their scores, with the first in the order of the kernel; these keep scores above
        those of the rest."""
        if self.kernel is None or not rows.size:
            return rows, scores
        first = np.sort(rows[:REFINED])
        anew = self.kernel.score(space, first)
        order = np.lexsort((first, -anew))
        anew = anew[order] - anew.min() + scores[first.size - 1]
        return np.concatenate([first[order], rows[REFINED:]]), np.concatenate([anew, scores[REFINED:]])

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
    if ranking.mode == "like":
        beside = _surprise(atlas, space, BESIDE_KERNEL * ranking.oddness)
        return LabelScorer(query, _near(scatter, surprise), Kernel.fit(space, taught, scatter, beside))
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
    return top_taught(atlas, ranking, space, k, mask, taught_by(atlas, ranking), with_labelled=with_labelled)


def top_taught(
    atlas: OpenBuild,
    ranking: ByLabels,
    space: OpenSpace,
    k: int,
    mask: Mask | None,
    taught: Taught,
    *,
    with_labelled: bool = False,
    refined: bool = True,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """As `top_by_labels`, of labels at hand; not `refined`, it is the order of one product a row."""
    scorer = label_scorer(atlas, space, ranking, taught)
    if not refined:
        scorer = scorer._replace(kernel=None)
    rows, scores = top_k_exact(
        space.embeddings,
        scorer.query,
        k if scorer.kernel is None else max(k, REFINED),
        mask=None if mask is None else mask.dense,
        skip=() if with_labelled else taught.rows.tolist(),
        adjustment=scorer.adjustment,
    )
    rows, scores = scorer.refine(space, rows, scores)
    return rows[:k], scores[:k]


def in_order_of_labels(atlas: OpenBuild, ranking: ByLabels, rows: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Some rows in the order of a ranking, the labelled ones among them left out."""
    space, taught = atlas.space(), taught_by(atlas, ranking)
    rows = rows[~np.isin(rows, taught.rows)]
    scorer = label_scorer(atlas, space, ranking, taught)
    scores = scorer.score(space, rows.astype(np.int64))
    order = np.lexsort((rows, -scores))
    return scorer.refine(space, rows[order].astype(np.int64), scores[order])[0].astype(np.uint32)


def _unit_rows(space: OpenSpace, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    found = gather(space.embeddings, rows)
    length = np.linalg.norm(found, axis=1, keepdims=True)
    return found / np.where(length > 0, length, 1)


def _likeness(a: NDArray[np.float64], b: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    return np.asarray(np.exp((a @ b.T - 1) / width))


def _surprise(atlas: OpenBuild, space: OpenSpace, oddness: float) -> Surprise | None:
    columns = atlas.columns(space.name)
    percentiles = [columns.array(name) for name in (DEFAULT, FORM) if name in columns]
    if not oddness or not percentiles:
        return None

    def of(rows: NDArray[np.int64]) -> NDArray[np.float32]:
        # One logarithm of the product: of ten million rows a second one takes a tenth of a second.
        above = np.ones(rows.size, dtype=np.float32)
        for percentile in percentiles:
            share = 1 - np.nan_to_num(percentile[rows]) / np.float32(100)
            above *= np.maximum(share, np.float32(10.0**-MOST_SURPRISE))
        scaled: NDArray[np.float32] = np.float32(-oddness / len(percentiles)) * np.log10(above)
        return scaled

    return of


def _near(scatter: float, surprise: Surprise | None) -> Adjustment:
    def apply(rows: NDArray[np.int64], cosines: NDArray[np.float32]) -> NDArray[np.float32]:
        beyond = cosines / np.float32(scatter) - np.float32(FAR)
        scores: NDArray[np.float32] = np.maximum(beyond, np.float32(HARDLY) * beyond)
        return scores if surprise is None else scores + surprise(rows)

    return Adjustment(apply, 1 / scatter)


def _adjustment(scatter: float, surprise: Surprise | None, middle: float | None) -> Adjustment:
    def apply(rows: NDArray[np.int64], cosines: NDArray[np.float32]) -> NDArray[np.float32]:
        scores = cosines / np.float32(scatter)
        if surprise is not None:
            scores = scores + surprise(rows)
        return scores if middle is None else -np.abs(scores - np.float32(middle))

    return Adjustment(apply, 1 / scatter)
