"""One embedding that stands for galaxies that are wanted and others that are not.

Alone, the wanted are stood for by their mean w (unit length). Unwanted examples are most often the first wrong results,
hence nearly as similar to w as the right ones are: to take their mean away at full weight takes away what both share,
and little is left of the search. Instead w moves as little as it must for the wanted to keep their similarity and for
the unwanted to lose some: with examples e_i,

    q = argmin ‖q − w‖² + Σ (e_i · q − y_i)²,   y_i = e_i · w            wanted
                                                y_i = (1 − LOSS) e_i · w  unwanted, where similar at all

a ridge regression pulled towards the mean of the wanted, in the manner of SeeSaw (Moll et al. 2022, arXiv 2208.06497).
It stays one embedding, so every way to search for one serves. `benchmarks.examples` measures it beside others.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from atlas.errors import InputError

LOSS = 0.3
"""The share of its similarity that an unwanted example is asked to lose; being one term of many, it loses less."""

_SHORTEST = 1e-6

_N = TypeVar("_N", int, str)


def weighted_examples(
    wanted: Iterable[_N], unwanted: Iterable[_N], *, alone: bool = True
) -> tuple[tuple[_N, ...], tuple[_N, ...]]:
    """Examples sorted, each as often as it counts.

    Where all are wanted, or all are not, and `alone` says that nothing else is an example, only the proportion matters:
    none is named more often than it takes.
    """
    good, bad = sorted(wanted), sorted(unwanted)
    often = Counter(good or bad)
    if alone and not (good and bad) and (common := math.gcd(*often.values())) > 1:
        good, bad = good[::common], bad[::common]
    return tuple(good), tuple(bad)


def embedding_of_examples(
    wanted: NDArray[np.floating[Any]], unwanted: NDArray[np.floating[Any]]
) -> NDArray[np.float32]:
    """The unit embedding whose inner products order galaxies by their likeness to the wanted and not the unwanted.

    Parameters
    ----------
    wanted : ndarray of shape (m, d)
        Unit embeddings, each as often as it counts. Where there is none, the order is away from the unwanted.
    unwanted : ndarray of shape (u, d)
        Theirs.

    Returns
    -------
    ndarray of shape (d,), float32
        The embedding itself where it is the only example.

    Raises
    ------
    InputError
        If there is no example, or their mean is nought.
    """
    if len(wanted) + len(unwanted) == 0:
        raise InputError("similarity needs at least one example galaxy")
    if len(wanted) == 1 and not len(unwanted):
        return np.asarray(wanted[0], dtype=np.float32)
    good, bad = (np.asarray(examples, dtype=np.float64) for examples in (wanted, unwanted))
    if not len(good):
        return (-_unit(bad.mean(axis=0))).astype(np.float32)
    mean = _unit(good.mean(axis=0))
    if not len(bad):
        return mean.astype(np.float32)
    examples = np.concatenate([good, bad])
    change = np.concatenate([np.zeros(len(good)), -LOSS * np.maximum(bad @ mean, 0)])
    # The dual form: as many equations as there are examples, mostly fewer than numbers of an embedding.
    weights = np.linalg.solve(examples @ examples.T + np.eye(len(examples)), change)
    return _unit(mean + weights @ examples).astype(np.float32)


def _unit(embedding: NDArray[np.float64]) -> NDArray[np.float64]:
    norm = float(np.linalg.norm(embedding))
    if not norm > _SHORTEST:
        raise InputError("the examples cancel each other out: nothing is left to search for")
    return embedding / norm
