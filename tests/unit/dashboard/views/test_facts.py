"""Facts of galaxies in words: redshifts with their interval, and values as they are copied."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from atlas.catalog.columns import Columns
from atlas.queries.clumping import Difference
from atlas.storage.manifest import Column
from dashboard.views.facts import fact, facts, first_columns, meaning_of, value_texts
from dashboard.views.reality import said


def catalogue(folder: Path, **values: list[float]) -> Any:
    """What facts ask of an atlas, for a few columns."""
    described = []
    for name, numbers in values.items():
        np.save(folder / f"{name}.npy", np.array(numbers, dtype=np.float32))
        described.append(Column(name=name, file=f"{name}.npy", dtype="float32", kind="number"))
    columns = Columns(folder, tuple(described), 3)
    manifest = SimpleNamespace(columns=tuple(described), key_columns=(), id_columns=())
    return SimpleNamespace(manifest=manifest, columns=lambda _: columns, default_space="v1")


def test_a_redshift_is_told_with_its_interval_where_it_has_one(tmp_path: Path) -> None:
    atlas = catalogue(
        tmp_path, z_phot_mean=[0.4213, 0.5, np.nan], z_phot_l68=[0.3812, np.nan, 0.1], z_phot_u68=[0.4671, 0.6, 0.2]
    )
    column = atlas.columns("v1").describe("z_phot_mean")
    assert value_texts(atlas, column, [0, 1, 2]) == ["0.42 (0.38–0.47)", "0.5", "–"]
    assert "68 % interval, z_phot_l68 to z_phot_u68" in meaning_of(atlas, column)


def test_a_long_name_of_a_column_breaks_between_its_words() -> None:
    (term, _) = fact("half_light_radius", "1.5", "")
    shown = term.children[0].children
    assert "".join(part if isinstance(part, str) else "|" for part in shown) == "half_|light_|radius"


def test_pinned_columns_come_first_and_a_copy_has_every_digit(tmp_path: Path) -> None:
    atlas = catalogue(tmp_path, z_phot=[0.4213371, 1, 2], snr=[12.345678, 1, 2], zphoterr=[1, 1, 1])
    first = first_columns(atlas, "snr", ("zphoterr", "gone"))
    assert [c.name for c in first] == ["zphoterr", "snr"]
    told = str(facts(atlas, 0, first, first))
    assert str(np.float32(12.345678)) in told and "No longer keep snr on top" in told


@pytest.mark.parametrize(
    ("effect", "words"),
    [
        (0.066, "slightly higher than for random galaxies, by 0.066"),
        (-0.5, "is lower than for random galaxies, by 0.5"),
    ],
)
def test_a_difference_of_how_galaxies_were_seen_says_its_direction_and_whether_it_is_slight(
    effect: float, words: str
) -> None:
    assert words in said(Difference("mean", "psfsize_r", effect, 1.0, 1.1, 9.0))
