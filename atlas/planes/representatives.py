"""Galaxies that stand for their surroundings: which images to put on a plane, so that none hides another.

A plane is cut into cells that lie fixed on it, a power of two wide; as one zooms, they divide or join by four. In each
cell one galaxy is chosen among the first of a sample: its medoid, the one whose embedding is most like the mean of
theirs. So it is a typical one, where the one nearest to the middle of the cell would be any. Of two that lie too near
to each other the first of the sample stays. As neither depends on the view, the same galaxies stay while it moves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

MEMBERS = 40  # of each cell: their mean is known to a sixth of the cell's own spread
CELLS_PER_CHOICE = 3  # cells that are asked for each galaxy wanted, as some lie too near to others
CELL_DISTANCES = 1.5

_Indices = NDArray[np.intp]
_Choose = Callable[[_Indices, NDArray[np.intp], int], _Indices]


def representatives(
    embeddings: NDArray[Any],
    rows: NDArray[np.uint32],
    x: NDArray[Any],
    y: NDArray[Any],
    distance: tuple[float, float],
    limit: int,
    *,
    usable: NDArray[np.bool_] | None = None,
    taken: Sequence[tuple[float, float]] = (),
) -> list[int]:
    """Medoids that keep their distance, those of the fullest cells first.

    Reads about a hundred embeddings for each one wanted, at most.

    Parameters
    ----------
    embeddings : ndarray of shape (n, d)
        Unit rows of the atlas; may be memory-mapped.
    rows, x, y : ndarray of shape (m,)
        A sample in its random order (`atlas.planes.sampling`), with its coordinates in the plane.
    distance, limit, usable, taken
        See `spread`.

    Returns
    -------
    list of int
        Positions in `rows`.
    """

    def choose(members: _Indices, groups: NDArray[np.intp], n_groups: int) -> _Indices:
        return members[medoids(embeddings, rows[members], groups, n_groups)]

    return spread(x, y, distance, limit, choose, usable=usable, taken=taken)


def medoids(
    embeddings: NDArray[Any], rows: NDArray[np.uint32], groups: NDArray[np.intp], n_groups: int
) -> NDArray[np.intp]:
    """The member of each group whose embedding is most like the mean of the group's.

    Parameters
    ----------
    embeddings : ndarray of shape (n, d)
        Unit rows; may be memory-mapped.
    rows : ndarray of shape (m,)
        Members of all groups.
    groups : ndarray of shape (m,)
        The group of each, 0 … n_groups − 1.
    n_groups : int
        How many groups there are; each has a member.

    Returns
    -------
    ndarray of shape (n_groups,), intp
        Positions in `rows`; the first among equals.
    """
    order = np.argsort(rows)  # read forwards
    members = np.empty((rows.size, embeddings.shape[1]), dtype=np.float32)
    members[order] = embeddings[rows[order]]
    by_group = np.argsort(groups, kind="stable")
    starts = np.searchsorted(groups[by_group], np.arange(n_groups))
    # The length of the mean does not matter: the sum has its direction.
    sums = np.add.reduceat(members[by_group], starts, axis=0) if rows.size else np.empty((0, embeddings.shape[1]))
    likeness = np.einsum("ij,ij->i", members, sums[groups])
    return np.lexsort((-likeness, groups))[starts] if rows.size else starts


def spread(
    x: NDArray[Any],
    y: NDArray[Any],
    distance: tuple[float, float],
    limit: int,
    choose: _Choose | None = None,
    *,
    usable: NDArray[np.bool_] | None = None,
    taken: Sequence[tuple[float, float]] = (),
) -> list[int]:
    """Points that stand for their surroundings and keep their distance, those of the fullest cells first.

    Parameters
    ----------
    x, y : ndarray of shape (m,)
        Coordinates in a plane, in a random order.
    distance : (float, float)
        Two of them lie at least so far apart along x, or so far along y.
    limit : int
        How many at most.
    choose : callable, optional
        From positions of members, the group of each and the number of groups to one member of each group. By default
        the one nearest to the middle of its group.
    usable : ndarray of shape (m,), bool, optional
        The only ones that may be chosen, those that have an image for instance.
    taken : sequence of (x, y)
        Places that they keep their distance from too.

    Returns
    -------
    list of int
        Positions in `x` and `y`.
    """
    cells, counts = _cells(x, y, distance)
    # Cell by cell as counted, full ones first; `place` is where each cell stands in that order.
    place = np.empty(counts.size, dtype=np.intp)
    place[np.argsort(-counts, kind="stable")] = np.arange(counts.size)
    candidates = np.flatnonzero(place[cells] < CELLS_PER_CHOICE * limit)
    if usable is not None:
        candidates = candidates[usable[candidates]]
    candidates = candidates[np.argsort(place[cells[candidates]], kind="stable")]
    _, starts, groups = np.unique(place[cells[candidates]], return_index=True, return_inverse=True)
    first = np.arange(candidates.size) - starts[groups] < MEMBERS
    candidates, groups = candidates[first], groups[first]
    chosen = (choose or _nearest_to_middle(x, y, distance))(candidates, groups, starts.size)

    kept: list[int] = []
    places = [*taken]
    for position in np.sort(chosen):
        at = float(x[position]), float(y[position])
        if all(abs(at[0] - px) >= distance[0] or abs(at[1] - py) >= distance[1] for px, py in places):
            kept.append(int(position))
            places.append(at)
    return sorted(kept, key=lambda position: int(place[cells[position]]))[:limit]


def _cells(x: NDArray[Any], y: NDArray[Any], distance: tuple[float, float]) -> tuple[_Indices, NDArray[np.intp]]:
    """Cell of each point, and how many points each cell has; cells by column and row."""
    column, row = (
        np.floor(values / 2.0 ** np.ceil(np.log2(CELL_DISTANCES * apart))).astype(np.int64)
        for values, apart in zip((x, y), distance, strict=True)
    )
    if not column.size:
        return column, column
    row -= row.min()
    number = (column - column.min()) * (int(row.max()) + 1) + row
    _, cells, counts = np.unique(number, return_inverse=True, return_counts=True)
    return cells, counts


def _nearest_to_middle(x: NDArray[Any], y: NDArray[Any], distance: tuple[float, float]) -> _Choose:
    def choose(members: _Indices, groups: NDArray[np.intp], n_groups: int) -> _Indices:
        away = np.zeros(members.size)
        for values, apart in zip((x, y), distance, strict=True):
            mean = np.bincount(groups, values[members], n_groups) / np.bincount(groups, minlength=n_groups)
            away += ((values[members] - mean[groups]) / apart) ** 2
        order = np.lexsort((away, groups))
        return members[order[np.searchsorted(groups[order], np.arange(n_groups))]]

    return choose
