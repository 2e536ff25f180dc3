"""Two galaxies side by side in the details."""

from __future__ import annotations

import numpy as np

from atlas import Atlas
from atlas.search.exact import exact_scores
from dashboard.events.galaxies import Compare
from dashboard.events.registry import reduce
from dashboard.service.galaxies import galaxy
from dashboard.state.page_state import State, is_step, parts
from dashboard.views.compare import kept_row
from dashboard.views.details import panel


def test_a_galaxy_is_kept_beside_the_next(demo: Atlas) -> None:
    first, second = galaxy(demo, 30), galaxy(demo, 12)
    alone = State(focus=first)
    kept = reduce(alone, Compare(take=True))
    assert kept.beside == first and not is_step(alone, kept), "it asks no other question"
    assert kept_row(demo, kept) is None and "kept: choose another" in str(panel(demo, kept))
    both = State(focus=second, beside=first)
    assert parts(both)["gallery"] == parts(State(focus=second))["gallery"]
    shown = str(panel(demo, both))
    embeddings = demo.space().embeddings
    alike = exact_scores(embeddings, np.array([30]), np.asarray(embeddings[12], dtype=np.float32))[0]
    assert f"similarity {alike:.3f}" in shown
    assert all(f"/cutout/{demo.build_id}/{row}.webp?large=1" in shown for row in (12, 30))
    assert "gf-differences" in shown and "gf-pair" in shown
    assert reduce(both, Compare(take=False)).beside is None
