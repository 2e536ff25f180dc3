"""What tells some galaxies from the others, against differences that were planted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from atlas.catalog.columns import QUANTILES, Columns
from atlas.catalog.contrasts import contrasts
from atlas.storage.manifest import Column

N = 8_000


@pytest.fixture
def survey(tmp_path: Path) -> Columns:
    """The first quarter is redder by one and a half sigma, and half of it is DEV; nothing else differs."""
    random = np.random.default_rng(4)
    here = np.arange(N) < N // 4
    arrays = {
        "g_minus_r": (random.normal(0.6, 0.1, N) + 0.15 * here).astype(np.float32),
        "radius": random.gamma(2, size=N).astype(np.float32),
        "kind": np.where(here & (np.arange(N) % 2 == 0), 0, 1 + np.arange(N) % 2).astype(np.uint8),
        "known_of_few": np.where(np.arange(N) % 1_000 == 0, 1.0, np.nan).astype(np.float32),
    }
    described = []
    for name, values in arrays.items():
        np.save(tmp_path / f"{name}.npy", values)
        words = ("DEV", "EXP", "REX") if name == "kind" else ()
        quantiles = () if words else tuple(float(q) for q in np.nanquantile(values, QUANTILES))
        described.append(Column(
            name=name, file=f"{name}.npy", dtype=values.dtype.name, kind="category" if words else "number",
            ucd="phot.color" if name == "g_minus_r" else "", quantiles=quantiles, vocabulary=words,
        ))  # fmt: skip
    return Columns(tmp_path, tuple(described), N)


def test_the_columns_that_differ_are_told_with_their_effect_and_no_others(survey: Columns) -> None:
    rows = np.arange(N)
    found = contrasts(survey, list(survey), rows[: N // 4], rows[N // 4 :])
    assert [(c.column.name, c.text) for c in found] == [("kind", "more often DEV"), ("g_minus_r", "redder")]
    by_words, by_number = found
    assert by_words.effect == pytest.approx(2 * np.arcsin(np.sqrt(0.5)))
    assert by_number.effect == pytest.approx(1.5, abs=0.15)
    assert "is 0.749 here in the median, 0.603 elsewhere" in by_number.why
    for contrast in found:
        assert sum(contrast.inside) == pytest.approx(1) and sum(contrast.outside) == pytest.approx(1)


def test_the_other_side_is_told_the_other_way(survey: Columns) -> None:
    rows = np.arange(N)
    found = contrasts(survey, list(survey), rows[N // 4 :], rows[: N // 4])
    assert [c.text for c in found] == ["less often DEV", "bluer"]


def test_few_galaxies_say_nothing(survey: Columns) -> None:
    assert contrasts(survey, list(survey), np.arange(10), np.arange(N // 4, N)) == []
