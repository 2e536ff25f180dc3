"""Names that people give to clusters, carried from build to build as far as members agree.

A name is kept with a hundred of the cluster's galaxies. In another build those are looked up, and the name goes to the
cluster that shares most with the one that was named, by Jaccard overlap: of the galaxies that are in either, those in
both. Sizes count as shares of all galaxies, since surveys grow. At one half and below the cluster has dissolved (Hennig
2007, Comput. Stat. Data Anal. 52, 258): then it is told where its galaxies went.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from atlas.catalog.cluster_tree import FINE
from atlas.errors import InputError
from atlas.labelled import LabelledRows
from atlas.labels.entry import MOST_SAMPLED, ClusterName, Entry, NamedCluster, new_id
from atlas.space import OpenSpace

if TYPE_CHECKING:
    from atlas.labels.store import Labels

SAME = 0.5
"""Overlap above which a cluster is the one that was named: no two of a scale have it."""
WORTH_TELLING = 0.1
MOST_PARTS = 4


class NameHere(NamedTuple):
    """Name of a cluster of this build.

    Attributes
    ----------
    name, who, at : str
        An empty name was taken away.
    identity : str
        As of `NamedCluster`.
    overlap : float
        With the cluster that was named.
    """

    name: str
    who: str
    at: str
    identity: str
    overlap: float


class LostName(NamedTuple):
    """A name whose cluster is none of this build.

    Attributes
    ----------
    parts : tuple of (int, float)
        Clusters that hold its galaxies, and which share of those that are still there; the largest first.
    """

    name: str
    who: str
    at: str
    identity: str
    parts: tuple[tuple[int, float], ...]


class NamesHere(NamedTuple):
    """Names of the clusters of a space, by label, and those that went to none, the newest first."""

    of: Mapping[int, NameHere] = {}
    lost: tuple[LostName, ...] = ()

    def name(self, label: int) -> str:
        """Name of a cluster; empty where it has none."""
        return self.of[label].name if label in self.of else ""


NO_NAMES = NamesHere()


class _Whereabouts(NamedTuple):
    """Overlap of a named cluster with each that holds some of its galaxies, and their shares at its scale."""

    overlaps: dict[int, float]
    parts: tuple[tuple[int, float], ...]


class ClusterNames:
    """The names of the clusters of one space of a build. Safe to share between threads.

    What it costs follows the number of names, not of galaxies.

    Parameters
    ----------
    labels : Labels
        Where names are kept.
    labelled : LabelledRows
        Finds galaxies in this build.
    space : OpenSpace
    """

    def __init__(self, labels: Labels, labelled: LabelledRows, space: OpenSpace) -> None:
        self._labels = labels
        self._labelled = labelled
        self._space = space
        self._lock = threading.Lock()
        self._read = 0
        self._names = NamesHere()
        self._found: dict[int, _Whereabouts] = {}

    def now(self) -> NamesHere:
        """The names that stand now.

        Raises
        ------
        KeepingError
            If the database does not answer.
        """
        return self.at(self._labels.naming())

    def at(self, revision: int) -> NamesHere:
        """As `now`, read anew only if names were changed: `revision` is that of `Labels.naming`."""
        with self._lock:
            if revision != self._read:
                self._names = self._placed([one for one in self._labels.cluster_names() if self._is_here(one)])
                self._read = revision
            return self._names

    def words(self) -> list[str]:
        """Names that stand now, in alphabetical order."""
        return sorted({one.name for one in self.now().of.values()} - {""})

    def called(self, wanted: Callable[[str], bool], revision: int = 0) -> list[int]:
        """Clusters of any scale whose name is wanted, as of a revision of the labels; 0 stands for now."""
        if 0 < revision < self._labels.naming():
            with self._lock:
                names = self._placed([one for one in self._labels.cluster_names(revision) if self._is_here(one)])
        else:
            names = self.now()
        return [label for label, one in names.of.items() if one.name and wanted(one.name)]

    def entry(self, label: int, name: str, *, who: str, id: str = "") -> Entry:
        """Act that names a cluster of this build, or takes its name away where the name is empty.

        Raises
        ------
        InputError
            If there is no such cluster.
        """
        cluster = self._space.cluster(label)
        named = self.now().of.get(label)
        id = id or new_id()
        kept = NamedCluster(
            identity=id if named is None else named.identity,
            space=self._space.name,
            scale=cluster.scale,
            share=cluster.size / self._space.n_rows,
            members=self._labelled.as_members(self._some_members(label, cluster.scale)),
        )
        return Entry(id=id, kind="name", who=who, label=name, cluster=kept)

    def forgetting(self, identity: str, *, who: str, id: str = "") -> Entry:
        """Act that takes a name away by its identity, whether its cluster is in this build or not.

        Raises
        ------
        InputError
            If no cluster was named so.
        """
        kept = next((one for one in self._labels.cluster_names() if one.cluster.identity == identity), None)
        if kept is None:
            raise InputError("this name was taken away meanwhile")
        return Entry(id=id or new_id(), kind="name", who=who, label="", cluster=kept.cluster)

    def _is_here(self, one: ClusterName) -> bool:
        return one.cluster.space == self._space.name

    def _placed(self, standing: list[ClusterName]) -> NamesHere:
        """Each name on the cluster that shares most with its own, if one does at all; the nearest gets it, then the
        newest."""
        self._found = {one.seq: self._found.get(one.seq) or self._whereabouts(one.cluster) for one in standing}
        of: dict[int, NameHere] = {}
        for one in standing:
            overlaps = self._found[one.seq].overlaps
            best = max(overlaps.values(), default=0.0)
            for label in (label for label, overlap in overlaps.items() if overlap == best > SAME):
                if label not in of or of[label].overlap <= best:
                    of[label] = NameHere(one.name, one.who, one.at, one.cluster.identity, best)
        placed = {here.identity for here in of.values()}
        lost = tuple(
            LostName(one.name, one.who, one.at, one.cluster.identity, self._found[one.seq].parts)
            for one in reversed(standing)
            if one.name and one.cluster.identity not in placed
        )
        return NamesHere(of, lost)

    def _whereabouts(self, cluster: NamedCluster) -> _Whereabouts:
        rows = self._labelled.rows_of_members(cluster.members)
        rows = rows[rows >= 0]
        if not rows.size or FINE not in self._space.columns:
            return _Whereabouts({}, ())
        tree = self._space.cluster_tree
        labels = tree.in_every_scale(np.asarray(self._space.columns.array(FINE)[rows], dtype=np.int64))
        overlaps, parts = {}, {}
        for scale, of_rows in labels.items():
            for label, count in zip(*np.unique(of_rows[of_rows >= 0], return_counts=True), strict=True):
                size = tree.cluster(int(label)).size / self._space.n_rows
                common = min(size, cluster.share * count / rows.size)
                overlaps[int(label)] = round(float(common / (cluster.share + size - common)), 3)
                if scale == (cluster.scale if cluster.scale in labels else FINE) and count >= WORTH_TELLING * rows.size:
                    parts[int(label)] = float(count / rows.size)
        return _Whereabouts(overlaps, tuple(sorted(parts.items(), key=lambda part: -part[1])[:MOST_PARTS]))

    def _some_members(self, label: int, scale: str) -> NDArray[np.int64]:
        """Rows of some members, drawn at random: from the sample that clusters are described by, as far as it goes."""
        rows, scales = self._space.sampled_clusters
        members = rows[scales[scale] == label] if scale in scales else rows[:0]
        if scale not in scales or (members.size < MOST_SAMPLED and rows.size < self._space.n_rows):
            members = np.flatnonzero(np.asarray(self._space.columns.array(scale)) == label)
        if members.size > MOST_SAMPLED:
            members = np.sort(np.random.default_rng(0).choice(members, MOST_SAMPLED, replace=False))
        return members
