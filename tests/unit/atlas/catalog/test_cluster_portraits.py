"""What a card tells of a cluster, counted by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from atlas.catalog.cluster_portraits import MEMBERS, Portrait, portraits
from atlas.catalog.cluster_tree import ClusterInfo
from atlas.catalog.columns import QUANTILES, Columns
from atlas.storage.manifest import Column
from dashboard.views.clusters import ordered


@pytest.fixture
def found(tmp_path: Path) -> tuple[Portrait, ...]:
    """Three clusters of 100, 50 and 5 of 200 rows: of the second a fifth is odd, of the first one image is spoilt."""
    labels = np.repeat([0, 1, 2, -1], [100, 50, 5, 45]).astype(np.int16)
    arrays = {
        "cluster": labels,
        "anomaly": np.where(np.arange(200) % 5 == 0, 99.5, 20.0) * (labels == 1),
        "artefact": (np.arange(200) == 7) * 0.9,
    }
    described = []
    for name, values in arrays.items():
        stored = values if name == "cluster" else values.astype(np.float32)
        np.save(tmp_path / f"{name}.npy", stored)
        quantiles = tuple(float(q) for q in np.quantile(stored, QUANTILES))
        described.append(
            Column(name=name, file=f"{name}.npy", dtype=stored.dtype.name, kind="number", quantiles=quantiles)
        )
    middles = np.array([[1, 0], [0, 1], [0.6, 0.8]], dtype=np.float32)
    return portraits(Columns(tmp_path, tuple(described), 200), np.arange(200), labels.astype(np.int64), middles)


def test_members_are_of_their_cluster_and_shares_are_those_of_all_its_galaxies(found: tuple[Portrait, ...]) -> None:
    edges = (0, 100, 150, 155)
    for label, portrait in enumerate(found):
        assert len(set(portrait.members)) == min(MEMBERS, edges[label + 1] - edges[label])
        assert all(edges[label] <= row < edges[label + 1] for row in portrait.members)
    assert [p.odd for p in found] == [0, 0.2, 0]
    assert [p.spoilt for p in found] == [0.01, 0, 0]
    np.testing.assert_allclose([p.distinctness for p in found], [0.4, 0.2, 0.2], atol=1e-6)


def test_cards_are_sorted_by_what_was_chosen(found: tuple[Portrait, ...]) -> None:
    clusters = tuple(
        ClusterInfo(label, size, 0, 0.0, 0.0, np.zeros(2, np.float32)) for label, size in enumerate((100, 50, 5))
    )
    for by, expected in (("size", [0, 1, 2]), ("oddness", [1, 0, 2]), ("distinctness", [0, 1, 2])):
        assert [c.label for c in ordered(clusters, found, by)] == expected, by  # type: ignore[arg-type]
