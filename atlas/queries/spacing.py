"""Spacing of an answer: near twins on the sky are left out, and what adds nothing new comes later.

Steps on a ranked list, after the search: a galaxy that lies within some arcseconds of a better one is most often the
same one, or its other half; and the best hundred of a large survey may all look the same.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from atlas.search.exact import EmbeddingArray, unit_rows
from atlas.storage.scattered_rows import read_rows

VARIED_FROM = 5_000
"""Candidates that a varied list is taken from: of as many as it shows it would only be another order."""

MOST_VARIED = 300
"""Places that are filled for variety; the others follow in their order."""


class Spacing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Spacing of an answer.

    Attributes
    ----------
    apart_arcsec : float
        Galaxies within so many arcseconds of one that is ranked better, or of an example, are left out.
    variety : float
        Weight of being unlike what came before against being like the examples; 0 is the plain order.
    """

    apart_arcsec: Annotated[float, msgspec.Meta(ge=0, le=3_600)] = 0.0
    variety: Annotated[float, msgspec.Meta(ge=0, le=0.95)] = 0.0


def apart(
    ra_deg: NDArray[Any], dec_deg: NDArray[Any], radius_arcsec: float, most: int, *, before: int = 0
) -> NDArray[np.int64]:
    """Places in a list of those that lie further than a radius from all that are kept before them.

    Parameters
    ----------
    ra_deg, dec_deg : ndarrays of shape (m,)
        In the order of the list.
    radius_arcsec : float
    most : int
        How many are wanted; the search ends there.
    before : int
        So many at the beginning are no part of the list, but count as kept.

    Returns
    -------
    ndarray of shape (≤ most,), int64
        Ascending, counted from the beginning of the list without those before it.
    """
    ra, dec = np.radians(ra_deg, dtype=np.float64), np.radians(dec_deg, dtype=np.float64)
    places = np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1)
    # Chords, not cosines: those of a few arcseconds differ from 1 in the last digits alone.
    nearest = (2 * np.sin(np.radians(radius_arcsec / 3600) / 2)) ** 2
    held = np.empty((before + most, 3))
    held[:before] = places[:before]
    kept: list[int] = []
    for at in range(before, len(places)):
        if len(kept) == most:
            break
        n = before + len(kept)
        if not n or ((held[:n] - places[at]) ** 2).sum(axis=1).min() > nearest:
            held[n] = places[at]
            kept.append(at - before)
    return np.array(kept, dtype=np.int64)


def varied(
    embeddings: EmbeddingArray, rows: NDArray[Any], scores: NDArray[np.floating[Any]], variety: float, k: int
) -> NDArray[np.int64]:
    """Places of the k galaxies that are like the examples and unlike each other, by maximal marginal relevance.

    Each next one has the largest (1 − variety) · score − variety · similarity to the nearest before it
    (Carbonell & Goldstein 1998, SIGIR).

    Parameters
    ----------
    embeddings : ndarray of shape (n, d)
    rows : ndarray of shape (m,), integer
        Candidates, best first.
    scores : ndarray of shape (m,)
        Theirs, the larger the better.

    Returns
    -------
    ndarray of shape (min(k, m),), int64
    """
    unit = unit_rows(read_rows(embeddings, np.asarray(rows, dtype=np.int64)))
    k = min(k, len(unit))
    gain = (1 - variety) * np.asarray(scores, dtype=np.float32)
    nearest = np.full(len(unit), -1.0, dtype=np.float32)
    left = np.ones(len(unit), dtype=np.bool_)
    chosen = np.empty(min(k, MOST_VARIED), dtype=np.int64)
    for place in range(chosen.size):
        # The first of equals: ties keep their order.
        best = int(np.argmax(np.where(left, gain - variety * nearest, -np.inf))) if place else 0
        chosen[place], left[best] = best, False
        np.maximum(nearest, unit @ unit[best], out=nearest)
    return np.concatenate([chosen, np.flatnonzero(left)[: k - chosen.size]])
