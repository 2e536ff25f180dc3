"""A cluster's name follows its galaxies into other builds, and says where they went if it cannot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from atlas import Atlas
from atlas.cluster_names import SAME
from atlas.errors import InputError
from atlas.expressions.check import complete
from atlas.labels.entry import MOST_SAMPLED, Entry, new_id
from atlas.labels.store import Labels
from atlas.queries.selection import Expression, asks_labels
from atlas.storage import layout
from benchmarks.bare_atlas import bare_atlas

N = 600
RNG = np.random.default_rng(7)
RA, DEC = RNG.uniform(10, 11, N), RNG.uniform(-1, 0, N)


@pytest.fixture
def labels(tmp_path: Path) -> Labels:
    return Labels(tmp_path / "labels.sqlite")


def built(folder: Path, galaxies: NDArray[np.int64], fine: NDArray[np.int64], labels: Labels) -> Atlas:
    """A build of some galaxies in some order, clustered so; those of all but the first make one coarse cluster."""
    count = int(fine.max()) + 1
    columns = {
        "ra": RA[galaxies], "dec": DEC[galaxies], "objid": galaxies.astype(np.int32), "cluster": fine.astype(np.int16),
        "cluster_medium": (count + fine).astype(np.int16), "cluster_coarse": (2 * count + (fine > 0)).astype(np.int16),
    }  # fmt: skip
    bare = bare_atlas(folder, columns, id_columns=("objid",))
    described = layout.space_path(folder, layout.DEFAULT_SPACE) / layout.CLUSTERS
    described.mkdir(parents=True)
    labels_of = np.arange(count)
    tree = np.array([labels_of, count + labels_of, 2 * count + (labels_of > 0)])
    every = tree.max() + 1
    np.save(described / "size.npy", sum(np.bincount(scale[fine], minlength=every) for scale in tree))
    np.save(described / "medoid.npy", np.zeros(every, dtype=np.int64))
    np.save(described / "centroids.npy", np.ones((every, 1), dtype=np.float32))
    np.save(described / "map_xy.npy", np.zeros((every, 2), dtype=np.float32))
    np.save(described / "tree.npy", tree.astype(np.int16))
    return Atlas(folder, bare.manifest, labels=labels)


def thirds(galaxies: NDArray[np.int64]) -> NDArray[np.int64]:
    return galaxies % 3


def test_a_name_follows_its_galaxies(tmp_path: Path, labels: Labels) -> None:
    every = np.arange(N)
    atlas = built(tmp_path / "a", every, thirds(every), labels)
    labels.add([atlas.cluster_names.entry(1, "rings", who="Ada")])
    assert {label: one.name for label, one in atlas.cluster_names.now().of.items()} == {1: "rings"}
    assert atlas.cluster_names.now().of[1].overlap == 1
    # In another order, under other numbers, with a fifth of the galaxies gone and a fifth of the cluster elsewhere.
    order = RNG.permutation(every)[: N * 4 // 5]
    fine = (thirds(order) + 1) % 3
    fine[(fine == 2) & (order % 5 == 0)] = 0
    later = built(tmp_path / "b", order, fine, labels)
    named = later.cluster_names.now()
    assert {label: one.name for label, one in named.of.items()} == {2: "rings"} and not named.lost
    members, before = order[fine == 2], every[thirds(every) == 1]
    kept = np.isin(before, order)
    truth = np.isin(members, before).sum() / np.union1d(before[kept], members).size
    assert named.of[2].overlap == pytest.approx(truth, abs=0.1) and truth > SAME


def test_a_name_whose_cluster_fell_apart_says_where_it_went(tmp_path: Path, labels: Labels) -> None:
    every = np.arange(N)
    atlas = built(tmp_path / "a", every, thirds(every), labels)
    entry = atlas.cluster_names.entry(1, "rings", who="Ada")
    labels.add([entry])
    split = np.where(every % 3 == 1, 3 + every // 3 % 3, thirds(every))
    later = built(tmp_path / "b", every, np.unique(split, return_inverse=True)[1], labels)
    (lost,) = later.cluster_names.now().lost
    assert not later.cluster_names.now().of and lost.name == "rings"
    assert [label for label, _ in lost.parts] and sum(share for _, share in lost.parts) == pytest.approx(1)
    labels.add([later.cluster_names.forgetting(lost.identity, who="Vera")])
    assert later.cluster_names.now() == ({}, ())
    labels.add([Entry(id=new_id(), kind="undo", who="Vera")])
    assert later.cluster_names.now().lost
    with pytest.raises(InputError, match="taken away"):
        later.cluster_names.forgetting("0" * 24, who="Vera")


def test_the_newest_name_stands_until_it_is_taken_back(tmp_path: Path, labels: Labels) -> None:
    every = np.arange(N)
    atlas = built(tmp_path / "a", every, thirds(every), labels)
    names = atlas.cluster_names
    labels.add([names.entry(0, "discs", who="Ada")])
    labels.add([names.entry(0, "<b>E/S0</b>", who="Vera")])
    labels.add([names.entry(7, "the rest", who="Vera")])
    assert [names.now().name(label) for label in range(8)] == ["<b>E/S0</b>", *[""] * 5, "<b>E/S0</b>", "the rest"]
    assert names.now().of[0].who == "Vera" and len(labels.cluster_names()) == 2
    labels.add([names.entry(0, "", who="Ada")])
    assert names.now().name(0) == ""
    for who in ("Ada", "Vera", "Vera"):
        labels.add([Entry(id=new_id(), kind="undo", who=who)])
    assert names.now().name(0) == "discs" and names.now().name(7) == ""
    assert len(names.entry(7, "the rest", who="Ada").cluster.members) == MOST_SAMPLED  # type: ignore[union-attr]
    for name in ("two\nlines", "turned \u202e round"):
        with pytest.raises(InputError, match="cannot be a name"):
            labels.add([names.entry(0, name, who="Ada")])
    with pytest.raises(InputError, match="no cluster 9"):
        names.entry(9, "none", who="Ada")


def test_conditions_call_clusters_by_their_names(tmp_path: Path, labels: Labels) -> None:
    every = np.arange(N)
    atlas = built(tmp_path / "a", every, thirds(every), labels)

    def rows(text: str, revision: int = 0) -> list[int]:
        return atlas.mask(Expression(text, revision)).rows.tolist()

    labels.add([atlas.cluster_names.entry(1, "rings", who="Ada")])
    first = labels.add([atlas.cluster_names.entry(2, "the rest", who="Vera")]).revision
    assert rows('cluster_name == "rings"') == np.flatnonzero(every % 3 == 1).tolist()
    assert rows('cluster_name != "rings"') == np.flatnonzero(every % 3 == 2).tolist()
    assert rows('contains(cluster_name, "ING") & objid < 9') == [1, 4, 7]
    assert rows("missing(cluster_name)") == np.flatnonzero(every % 3 == 0).tolist()
    labels.add([atlas.cluster_names.entry(1, "", who="Ada"), atlas.cluster_names.entry(0, "rings", who="Ada")])
    assert rows('cluster_name == "rings"') == np.flatnonzero(every % 3 == 0).tolist()
    assert rows('cluster_name == "rings"', first) == np.flatnonzero(every % 3 == 1).tolist()
    labels.add([Entry(id=new_id(), kind="undo", who="Ada")])
    assert rows('cluster_name == "rings"') == [] and rows('cluster_name == "rings"', first)
    assert asks_labels(Expression('cluster_name == "rings"'))
    assert complete('cluster_name == "t', 17, atlas.condition_columns).words == ('"the rest"',)
