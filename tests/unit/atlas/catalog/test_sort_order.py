"""Tables sorted by a column: any page of any selection, against `numpy.lexsort` over all rows."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from atlas import Atlas, InputError
from atlas.catalog import sort_order as order
from atlas.catalog.sort_order import Orders
from atlas.errors import UnknownColumnError
from atlas.mask import Mask
from atlas.queries.by_value import top_of_column
from benchmarks.bare_atlas import bare_atlas

N = 40_000
WORDS = ("REX", "DEV", "élan", "PSF")
COLUMNS = ("mag", "z", "objid", "nobs", "flag", "kind", "name", "same", "empty", "huge")


def columns() -> dict[str, NDArray | tuple[NDArray, tuple[str, ...]]]:
    rng = np.random.default_rng(12)
    mag = rng.normal(21, 1, N).astype(np.float32).round(2)  # with many ties
    z = rng.gamma(2, 0.3, N)
    mag[rng.random(N) < 0.05], z[rng.random(N) < 0.4] = np.nan, np.nan
    z[:7] = [np.inf, -np.inf, 0.0, -0.0, 0.0, np.nan, 1e30]
    huge = np.full(N, 7, dtype=np.float32)
    huge[rng.random(N) < 0.01] = rng.normal()
    names = rng.choice([b"", b"M 31", b"M 101", "Größe".encode(), b"a"], N)
    return {
        "mag": mag,
        "objid": 2**62 + rng.integers(-5000, 5000, N),
        "nobs": rng.integers(0, 5, N).astype(np.uint8),
        "flag": rng.random(N) < 0.5,
        "kind": (rng.integers(0, 5, N).astype(np.uint8), WORDS),  # code 4 stands for no word
        "name": names,
        "same": np.ones(N, dtype=np.int16),
        "empty": np.full(N, np.nan),
        "huge": huge,
        "z": z,
    }


def expected(atlas: Atlas, name: str, descending: bool, keep: NDArray[np.bool_] | None = None) -> NDArray[np.intp]:
    """All rows in order: by value or word, ties by row, missing last."""
    values = atlas.columns().values(name, np.arange(N))
    missing = np.array([value is None for value in values])
    distinct = sorted({value for value in values if value is not None})
    rank = {value: i for i, value in enumerate(distinct)}
    key = np.array([0 if value is None else rank[value] for value in values])
    rows = np.lexsort((np.arange(N), -key if descending else key, missing))
    return rows if keep is None else rows[keep[rows]]


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    return bare_atlas(tmp_path_factory.mktemp("order") / "build", columns())


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order, "BUCKET_ROWS", 3000)
    monkeypatch.setattr(order, "FEW_ROWS", 500)


def orders_of(atlas: Atlas, scratch: Path, **bounds: int) -> Orders:
    return Orders(atlas.columns(), atlas.build_id, atlas.n_rows, scratch, **bounds)


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("name", COLUMNS)
def test_a_page_anywhere_is_that_of_the_whole_order(atlas: Atlas, tmp_path: Path, name: str, descending: bool) -> None:
    orders = orders_of(atlas, tmp_path)
    rng = np.random.default_rng(5)
    for share in (None, 0.3, 0.005, 0.0):
        mask = None if share is None else Mask.from_dense(rng.random(N) < share)
        rows = expected(atlas, name, descending, None if mask is None else mask.dense)
        for offset, limit in ((0, 100), (rows.size // 3, 1000), (rows.size - 50, 100), (rows.size + 9, 10), (3, 0)):
            page = orders.page(name, descending, mask, max(offset, 0), limit)
            assert page.dtype == np.uint32
            assert np.array_equal(page, rows[max(offset, 0) : max(offset, 0) + limit])
        assert np.array_equal(orders.page(name, descending, mask, 0, N), rows)


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("name", [name for name in COLUMNS if name not in ("kind", "name")])
def test_a_ranking_by_a_column_agrees_with_the_table(atlas: Atlas, tmp_path: Path, name: str, descending: bool) -> None:
    orders = orders_of(atlas, tmp_path)
    values = atlas.columns().number(name)
    for mask in (None, Mask.from_dense(np.random.default_rng(5).random(N) < 0.2)):
        for k in (1, 700, N if mask is None else mask.count):
            rows, found = top_of_column(values, k, descending=descending, mask=mask)
            assert np.array_equal(rows, orders.page(name, descending, mask, 0, k))
            assert np.array_equal(found, values[rows].astype(np.float32), equal_nan=True)


def test_a_column_is_sorted_once_for_all_who_ask(atlas: Atlas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    write = order._write
    monkeypatch.setattr(order, "_write", lambda *args: made.append(args[1].name) or write(*args))
    several = [orders_of(atlas, tmp_path) for _ in range(4)]
    assert not several[0].ready("mag", True, None)
    threads = [threading.Thread(target=one.page, args=("mag", True, None, 0, 10)) for one in several]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == ["mag.falling.order"]
    assert several[0].ready("mag", True, None) and orders_of(atlas, tmp_path).ready("mag", True, None)
    assert not several[0].ready("mag", False, None)


def test_a_mask_is_walked_once_and_a_small_one_sorts_nothing_else(
    atlas: Atlas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = orders_of(atlas, tmp_path)
    few = Mask.from_rows(np.arange(0, N, 1000), N)
    assert orders.ready("mag", True, few)
    orders.page("mag", True, few, 0, 10)
    assert not list(tmp_path.glob("*/*"))
    many = Mask.from_dense(np.arange(N) % 3 == 0)
    orders.page("mag", True, many, 0, 10)
    monkeypatch.setattr(order, "in_threads", None)  # a second walk would fail
    rows = expected(atlas, "mag", True, many.dense)
    assert np.array_equal(orders.page("mag", True, many, 5000, 10), rows[5000:5010])


def test_the_least_recently_used_orders_go_first(atlas: Atlas, tmp_path: Path) -> None:
    orders = orders_of(atlas, tmp_path, keep=2)
    (tmp_path / atlas.build_id / "mag--z").mkdir(parents=True)  # a plane is none of its business
    for name in ("mag", "z", "mag", "nobs"):
        orders.page(name, False, None, 0, 1)
    kept = sorted(path.name for path in (tmp_path / atlas.build_id).iterdir())
    assert kept == ["mag--z", "mag.rising.order", "nobs.rising.order"]


def test_a_damaged_order_is_sorted_again(atlas: Atlas, tmp_path: Path) -> None:
    before = orders_of(atlas, tmp_path).page("z", True, None, 100, 50)
    path = tmp_path / atlas.build_id / "z.falling.order" / "rows.npy"
    path.write_bytes(path.read_bytes()[:-4])
    assert not orders_of(atlas, tmp_path).ready("z", True, None)
    assert np.array_equal(orders_of(atlas, tmp_path).page("z", True, None, 100, 50), before)


def test_what_cannot_be_asked_is_said(atlas: Atlas, tmp_path: Path) -> None:
    orders = orders_of(atlas, tmp_path)
    with pytest.raises(UnknownColumnError, match="did you mean 'mag'"):
        orders.page("magg", False, None, 0, 10)
    with pytest.raises(InputError, match="not -1 and 10"):
        orders.page("mag", False, None, -1, 10)
