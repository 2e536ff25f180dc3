"""Train, val and test sets that share nothing: what is nearly the same galaxy lies on one side."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

SPLITS = ("train", "val", "test")
SAMPLE = 20_000
"""Rows that tell the axis of the widest spread."""

WIDE = 1 << 16
"""Rows that a block is compared with at once: 256 MB of float32."""

ROUNDING = 1e-3


def duplicate_groups(
    ra_deg: NDArray[np.float64],
    dec_deg: NDArray[np.float64],
    embeddings: NDArray[np.float32],
    *,
    within_arcsec: float,
    similarity: float,
) -> NDArray[np.int64]:
    """Groups of galaxies that are chained by lying near each other on the sky or by being nearly equal.

    Parameters
    ----------
    ra_deg, dec_deg : ndarray of shape (n,)
    embeddings : ndarray of shape (n, d), float32
        Unit rows.
    within_arcsec : float
        Galaxies no farther apart belong together.
    similarity : float
        Galaxies whose cosine is no less belong together.

    Returns
    -------
    ndarray of shape (n,), int64
        The group of each, numbered from 0.
    """
    ra, dec = np.radians(ra_deg), np.radians(dec_deg)
    on_sky = np.column_stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])
    # Chords on unit spheres: of an angle on the sky, and of a cosine between embeddings.
    near = cKDTree(on_sky).query_pairs(2 * np.sin(np.radians(within_arcsec / 3600) / 2), output_type="ndarray")
    pairs = np.concatenate([near, _alike(embeddings, similarity)])
    n = len(ra_deg)
    graph = coo_matrix((np.ones(len(pairs), dtype=np.int8), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def _alike(embeddings: NDArray[np.float32], similarity: float, chunk: int = 1024) -> NDArray[np.int64]:
    """Pairs whose cosine is no less than a bound, exactly.

    Rows that are so alike are no farther apart along any axis than they are in all. So they are put in order along the
    axis on which they spread most, and each block is compared with those that lie within reach of it there.
    """
    found = [np.empty((0, 2), dtype=np.int64)]
    if len(embeddings) == 0:
        return found[0]
    some = embeddings[:: max(1, len(embeddings) // SAMPLE)]
    axis = np.linalg.eigh(np.atleast_2d(np.cov(some, rowvar=False, bias=True)))[1][:, -1].astype(np.float32)
    along = embeddings @ axis
    order = np.argsort(along)
    along = along[order]
    longest = float(np.einsum("ij,ij->i", embeddings, embeddings).max())  # float16 makes unit rows a little longer
    reach = np.sqrt(max(0.0, 2 * longest - 2 * similarity)) + ROUNDING
    ends = np.searchsorted(along, along + reach, side="right")
    for start in range(0, len(order), chunk):
        block = order[start : start + chunk]
        end = int(ends[start + block.size - 1])
        for begin in range(start, end, WIDE):
            others = order[begin : min(begin + WIDE, end)]
            first, second = np.nonzero(embeddings[block] @ embeddings[others].T >= similarity)
            is_new = start + first < begin + second  # each pair once, and no row with itself
            found.append(np.column_stack([block[first[is_new]], others[second[is_new]]]))
    return np.concatenate(found)


def split(
    names: list[str], labels: list[str], groups: NDArray[np.int64], *, val: float, test: float, seed: int
) -> list[str]:
    """The side of each galaxy: whole groups, each label in about the wanted shares.

    The order in which groups are dealt comes from the names in them, so that galaxies stay on their side as far as
    possible when others are labelled later.

    Parameters
    ----------
    names : list of str
        Ids.
    val, test : float
        Shares of these two; the rest is for training.
    """
    wanted = {"train": 1 - val - test, "val": val, "test": test}
    members: dict[int, list[int]] = {}
    for i, group in enumerate(groups.tolist()):
        members.setdefault(group, []).append(i)

    def order(group: list[int]) -> bytes:
        return hashlib.sha256(f"{seed} {min(names[i] for i in group)}".encode()).digest()

    dealt: dict[str, dict[str, int]] = {label: dict.fromkeys(SPLITS, 0) for label in set(labels)}
    sides = [""] * len(names)
    for group in sorted(members.values(), key=order):
        counts = dealt[max(sorted({labels[i] for i in group}), key=lambda one: sum(labels[i] == one for i in group))]
        total = sum(counts.values()) + len(group)
        side = max(SPLITS, key=lambda one: wanted[one] * total - counts[one])
        for i in group:
            sides[i] = side
            dealt[labels[i]][side] += 1
    return sides
