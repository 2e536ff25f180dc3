"""Mixtures of detectors, beside an oracle in numpy that holds everything at once."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from atlas.catalog import sort_order
from atlas.catalog.columns import QUANTILES, Columns
from atlas.catalog.mixtures import MixedBy, MixedColumn, mix_percentiles, mixable, mixture_meaning, mixture_name
from atlas.catalog.sort_order import Orders
from atlas.errors import InputError
from atlas.mask import Mask
from atlas.queries import by_value
from atlas.queries.by_value import top_of_mixture
from atlas.queries.ranking import ByColumn, ByDetectors, canonical_ranking
from atlas.storage.manifest import Column

N = 5_000
FORM, LONELY = "anomaly_form", "anomaly_neighbors"
SPREAD = tuple(100 * float(q) for q in QUANTILES)


def column(name: str, spread: tuple[float, ...] = SPREAD) -> Column:
    return Column(name=name, file=f"{name}.npy", dtype="float32", kind="number", quantiles=spread)


@pytest.fixture
def columns(tmp_path: Path) -> Columns:
    rng = np.random.default_rng(4)
    for name in (FORM, LONELY):
        values = np.round(rng.uniform(0, 100, N), 1).astype(np.float32)  # many are equal
        values[rng.random(N) < 0.1] = np.nan
        np.save(tmp_path / f"{name}.npy", values)
    np.save(tmp_path / "artefact.npy", np.zeros(N, np.float32))
    described = (column(FORM), column(LONELY), column("artefact", tuple(map(float, QUANTILES))))
    return Columns(tmp_path, described, N)


def oracle(columns: Columns, by: MixedBy) -> np.ndarray:
    both = np.stack([columns.array(name) for name in (FORM, LONELY)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # rows of which nobody knows anything
        return np.asarray(np.nanmax(both, axis=0) if by == "highest" else np.nanmean(both, axis=0, dtype=np.float32))


@pytest.mark.parametrize("by", ["highest", "mean"])
@pytest.mark.parametrize("selected", [None, 0.3, 0.0])
def test_gallery_and_table_have_one_order_whatever_is_selected(
    columns: Columns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: MixedBy, selected: float | None
) -> None:
    monkeypatch.setattr(by_value, "CHUNK_ROWS", 700)
    monkeypatch.setattr(sort_order, "FEW_ROWS", 100)
    dense = np.random.default_rng(2).random(N) < (1 if selected is None else selected)
    mask = None if selected is None else Mask.from_dense(dense)
    values = oracle(columns, by)
    key = np.where(np.isnan(values), np.inf, -values)
    expected = np.lexsort((np.arange(N), key))
    expected = expected[dense[expected]]
    mixed = MixedColumn(columns, (FORM, LONELY), by)
    for k in (1, 30, expected.size + 1):
        rows, found = top_of_mixture(mixed, k, mask)
        assert np.array_equal(rows, expected[:k])
        assert np.allclose(found, values[rows], equal_nan=True)
    orders = Orders(columns, "a" * 12, N, tmp_path / "scratch")
    assert np.array_equal(orders.page(mixed, True, mask, 10, 300), expected[10:310])


def test_what_one_detector_does_not_know_the_others_judge() -> None:
    a, b = np.array([[99, np.nan, np.nan], [50, 40, np.nan]], dtype=np.float32)
    assert mix_percentiles([a, b], "highest")[:2].tolist() == [99, 40] and mix_percentiles([a, b], "mean")[
        :2
    ].tolist() == [74.5, 40]
    assert np.isnan([mix_percentiles([a, b], "highest")[2], mix_percentiles([a, b], "mean")[2]]).all()
    assert mix_percentiles([a[:1], b[:1]], "mean") == mix_percentiles([a, b], "mean")[0], "whatever stands beside it"


def test_only_percentiles_that_an_atlas_has_are_mixed(columns: Columns) -> None:
    assert mixable(columns) == [FORM, LONELY]
    for wrong in ("artefact", "anomaly_cluster", "no such"):
        with pytest.raises(InputError, match=f"'{wrong}' is no detector .* anomaly_form, anomaly_neighbors"):
            MixedColumn(columns, (FORM, wrong), "mean")


def test_equal_mixtures_are_one_question() -> None:
    one = canonical_ranking(ByDetectors((LONELY, FORM, LONELY), "mean"))
    assert (
        one == canonical_ranking(ByDetectors((FORM, LONELY), "mean")) != canonical_ranking(ByDetectors((FORM, LONELY)))
    )
    assert canonical_ranking(ByDetectors((FORM, FORM))) == ByColumn(FORM)


def test_a_mixture_is_named_by_what_it_mixes() -> None:
    assert mixture_name((LONELY, FORM), "highest") == "odd form or lonely"
    assert mixture_name((LONELY, FORM, "anomaly"), "mean") == "odd, odd form and lonely"
    assert mixture_name((LONELY, FORM, "anomaly", "anomaly_detail"), "mean") == "4 detectors, together"
    assert "odd form (anomaly_form) and lonely (anomaly_neighbors)" in mixture_meaning((FORM, LONELY), "mean")
