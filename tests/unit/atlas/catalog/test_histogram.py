"""Histograms of columns over all rows and under masks; numpy is the oracle."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from atlas.catalog import histogram as module
from atlas.catalog.columns import Columns, bit_name, describe_numbers, is_skewed
from atlas.catalog.histogram import Histogram, Histograms, histogram
from atlas.errors import InputError, UnknownColumnError
from atlas.mask import Mask
from atlas.storage.manifest import Column

N = 5_000
Array = np.ndarray[Any, Any]


def quantiles_of(array: Array) -> tuple[float, ...]:
    """As a build describes them; readers leave no infinite value."""
    return describe_numbers(np.where(np.isinf(array), np.nan, array) if array.dtype.kind == "f" else array)[1]


def opened(folder: Path, arrays: dict[str, Array], words: tuple[str, ...] = ("PSF", "REX", "DEV")) -> Columns:
    described = []
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
        kind: Any = {"kind": "category", "maskbits": "flags", "name": "text"}.get(name, "number")
        described.append(
            Column(
                name=name,
                file=f"{name}.npy",
                dtype=array.dtype.str.lstrip("|") if array.dtype.kind == "S" else array.dtype.name,
                kind=kind,
                quantiles=() if kind in ("category", "text") else quantiles_of(array),
                vocabulary=words if kind == "category" else (),
            )
        )
    return Columns(folder, tuple(described), next(iter(arrays.values())).size)


def survey() -> dict[str, Array]:
    rng = np.random.default_rng(2)
    redshift = rng.uniform(0, 1, N)
    redshift[rng.random(N) < 0.3] = np.nan
    magnitude = rng.normal(20, 2, N).astype(np.float32)
    magnitude[:5] = [-900, 900, np.inf, -np.inf, np.nan]
    return {
        "mag_r": magnitude,
        "z_phot": redshift,
        "flux": np.exp(rng.normal(0, 2, N)).astype(np.float32),
        "cluster": rng.integers(-1, 12, N).astype(np.int16),
        "pixels": rng.integers(0, 1_000, N).astype(np.int32),
        "objid": rng.integers(2**62, 2**62 + 5, N),
        "constant": np.full(N, 7.25),
        "nothing": np.full(N, np.nan, dtype=np.float32),
        "maskbits": rng.choice(np.array([0, 0, 0, 2, 32], dtype=np.uint16), N),
        "kind": rng.choice(np.array([0, 1, 2, 2, 255], dtype=np.uint8), N),
        "name": rng.choice(np.array([b"a", b"b"]), N),
    }


@pytest.fixture(scope="module")
def arrays() -> dict[str, Array]:
    return survey()


@pytest.fixture(scope="module")
def columns(arrays: dict[str, Array], tmp_path_factory: pytest.TempPathFactory) -> Columns:
    return opened(tmp_path_factory.mktemp("columns"), arrays)


def check(found: Histogram, values: Array) -> None:
    """Whether a histogram says of these values what numpy says."""
    # Of whole numbers, what they are above the zero fits float64 whatever their length.
    values = (values - found.zero if found.zero else values).astype(np.float64)
    present = values[~np.isnan(values)]
    assert np.array_equal(found.counts, np.histogram(present, found.edges)[0])
    assert found.missing == values.size - present.size
    assert found.below == int((present < found.edges[0]).sum())
    assert found.above == int((present > found.edges[-1]).sum())
    assert (np.diff(found.edges) > 0).all()
    assert found.edges.dtype == np.float64 and found.counts.dtype == np.int64
    assert found.counts.size == found.edges.size - 1


@pytest.mark.parametrize("share", [None, 0.0, 0.002, 0.3, 0.9])
@pytest.mark.parametrize("name", ["mag_r", "z_phot", "flux", "cluster", "pixels", "objid", "constant", "nothing"])
def test_every_row_is_counted_where_numpy_counts_it(
    columns: Columns, arrays: dict[str, Array], name: str, share: float | None
) -> None:
    chosen = np.ones(N, dtype=bool) if share is None else np.random.default_rng(1).random(N) < share
    found = histogram(columns, name, 40, None if share is None else Mask.from_dense(chosen))
    check(found, arrays[name][chosen])
    assert 1 <= found.counts.size <= 40
    assert found.counts.sum() + found.missing + found.below + found.above == chosen.sum()


@given(
    values=npst.arrays(
        st.sampled_from([np.float32, np.float64]),
        st.integers(1, 60),
        elements=st.one_of(st.floats(-1e6, 1e6, width=32), st.just(float("nan")), st.just(float("inf"))),
    ),
    bins=st.integers(1, 200),
)
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_values_at_the_edges_fall_where_numpy_puts_them(tmp_path: Path, values: Array, bins: int) -> None:
    quantiles = quantiles_of(values)
    np.save(tmp_path / "a.npy", values)
    described = Column(name="a", file="a.npy", dtype=values.dtype.name, kind="number", quantiles=quantiles)
    found = histogram(Columns(tmp_path, (described,), values.size), "a", bins)
    check(found, values)
    # The edges themselves as values: each opens its own bin, and the last closes the last.
    codes = module.bin_codes(found.edges, found.edges, found.log)
    n = found.counts.size
    assert codes.tolist() == [*range(1, n + 1), n]


def test_skewed_positive_columns_get_logarithmic_bins(columns: Columns) -> None:
    found = histogram(columns, "flux")
    assert found.log
    assert np.allclose(np.diff(np.log(found.edges)), np.diff(np.log(found.edges))[0])
    assert not histogram(columns, "mag_r").log
    rng = np.random.default_rng(5)
    for values, skewed in (
        (np.exp(rng.normal(0, 1, 9_999)), True),
        (np.exp(rng.normal(0, 0.3, 9_999)), False),
        (np.exp(rng.normal(0, 1, 9_999)) - 1, False),
        (rng.uniform(0, 360, 9_999), False),
        (20 - rng.exponential(3, 9_999), False),
        (np.full(9, np.nan), False),
    ):
        column = Column(name="a", file="a.npy", dtype="float64", kind="number", quantiles=quantiles_of(values))
        assert is_skewed(column) == skewed


def test_far_values_do_not_squeeze_the_rest(columns: Columns, arrays: dict[str, Array]) -> None:
    found = histogram(columns, "mag_r")
    low, high = np.nanquantile(arrays["mag_r"].astype(np.float64), [0.01, 0.99])
    assert found.edges[0] <= low and found.edges[-1] >= high
    assert found.edges[-1] - found.edges[0] <= 1.5 * (high - low) * 1.01
    assert found.below >= 2 and found.above >= 2  # −900 and −inf, 900 and inf


def test_whole_numbers_get_bins_of_equal_right(columns: Columns, arrays: dict[str, Array]) -> None:
    clusters = histogram(columns, "cluster")
    assert clusters.edges.tolist() == [label - 0.5 for label in range(-1, 13)]
    assert clusters.counts.tolist() == [int((arrays["cluster"] == label).sum()) for label in range(-1, 12)]
    widths = np.unique(np.diff(histogram(columns, "pixels").edges))
    assert widths.tolist() == [25.0]


def test_categories_get_a_bin_a_word(columns: Columns, arrays: dict[str, Array]) -> None:
    dense = np.arange(N) % 3 == 0
    for mask, kinds in ((None, arrays["kind"]), (Mask.from_dense(dense), arrays["kind"][dense])):
        found = histogram(columns, "kind", mask=mask)
        assert found.labels == ("PSF", "REX", "DEV")
        assert found.edges.tolist() == [-0.5, 0.5, 1.5, 2.5]
        assert found.counts.tolist() == [int((kinds == code).sum()) for code in range(3)]
        assert (found.missing, found.below, found.above) == (int((kinds == 255).sum()), 0, 0)


def test_what_has_no_histogram_is_named(columns: Columns) -> None:
    with pytest.raises(UnknownColumnError, match="did you mean 'mag_r'"):
        histogram(columns, "mag_")
    with pytest.raises(InputError, match="holds text"):
        histogram(columns, "name")
    for bins in (0, 201):
        with pytest.raises(InputError, match="1 to 200 bins"):
            histogram(columns, "mag_r", bins)


def test_a_row_finds_its_bin_once_however_many_masks_and_threads_ask(
    columns: Columns, arrays: dict[str, Array], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    plain = module.bin_codes

    def counted(values: Array, edges: Array, log: bool) -> Array:
        seen.append(values.size)
        return plain(values, edges, log)

    monkeypatch.setattr(module, "bin_codes", counted)
    monkeypatch.setattr(module, "PIECE_ROWS", 512)
    histograms = Histograms(columns)
    rng = np.random.default_rng(3)
    masks = [Mask.from_dense(rng.random(N) < share) for share in (0.01, 0.2, 0.5, 0.8) * 4]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda mask: histograms.get("mag_r", mask), masks))
    for mask, one in zip(masks, found, strict=True):
        check(one, arrays["mag_r"][mask.dense])
    assert histograms.get("mag_r") is histograms.get("mag_r")
    assert sum(seen) == N


def test_bins_of_rows_take_bounded_memory(columns: Columns, arrays: dict[str, Array]) -> None:
    histograms = Histograms(columns, keep_bytes=2 * N)
    mask = Mask.from_dense(np.arange(N) % 2 == 0)
    for _ in range(2):
        for name in ("mag_r", "z_phot", "flux", "pixels", "kind"):
            histograms.get(name)
            histograms.get(name, mask)
            assert histograms.kept_bytes <= 2 * N
    check(histograms.get("mag_r", mask), arrays["mag_r"][mask.dense])


# Flags


def flags(dtype: str, bits: list[int], seed: int = 6) -> Array:
    """N rows of which each bit is set in a share of its own."""
    rng = np.random.default_rng(seed)
    unsigned = np.dtype(f"u{np.dtype(dtype).itemsize}").type
    values = np.zeros(N, dtype=unsigned)
    for bit in bits:
        values |= (rng.random(N) < rng.uniform(0.01, 0.4)).astype(unsigned) << unsigned(bit)
    return values.view(dtype)


def has(values: Array, bit: int) -> Array:
    return np.array([int(value) >> bit & 1 for value in values.tolist()], dtype=bool)  # Python's >> keeps the sign


@pytest.mark.parametrize(
    ("dtype", "bits"),
    [
        ("uint8", [0, 7]),
        ("int8", list(range(8))),
        ("int16", [0, 1, 5, 11, 15]),
        ("uint16", list(range(16))),
        ("int32", [3, 31]),
        ("uint64", [0, 20, 40, 63]),
        ("int64", [2, 33, 63]),
        ("int16", []),
    ],
)
@pytest.mark.parametrize("share", [None, 0.0, 0.002, 0.3, 0.9])
def test_each_bit_is_counted_as_numpy_counts_it(
    tmp_path: Path, dtype: str, bits: list[int], share: float | None
) -> None:
    values = flags(dtype, bits)
    chosen = np.ones(N, dtype=bool) if share is None else np.random.default_rng(1).random(N) < share
    found = Histograms(opened(tmp_path, {"maskbits": values})).bits(
        "maskbits", None if share is None else Mask.from_dense(chosen)
    )
    assert found.bits == tuple(bits), "bits that no row of the atlas has are left out, others stay"
    assert found.counts.tolist() == [int(has(values[chosen], bit).sum()) for bit in bits]
    assert found.rows == chosen.sum() and found.counts.dtype == np.int64


def test_bits_take_one_byte_a_row_for_seven_and_are_looked_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    plain = module.bit_codes

    def counted(values: Array, bits: tuple[int, ...]) -> Array:
        seen.append(values.size)
        return plain(values, bits)

    monkeypatch.setattr(module, "bit_codes", counted)
    histograms = Histograms(opened(tmp_path, {"maskbits": flags("int32", list(range(9)))}))
    for share in (0.01, 0.5, 0.9):
        histograms.bits("maskbits", Mask.from_dense(np.random.default_rng(2).random(N) < share))
    assert sum(seen) == histograms.kept_bytes == 2 * N


def test_only_flags_have_bits(columns: Columns) -> None:
    with pytest.raises(InputError, match="'mag_r' holds number, not flags"):
        Histograms(columns).bits("mag_r")
    with pytest.raises(UnknownColumnError, match="did you mean 'maskbits'"):
        Histograms(columns).bits("maskbit")


def test_bits_have_the_names_that_somebody_gave_them() -> None:
    column = Column(name="m", file="m.npy", dtype="uint16", kind="flags", vocabulary=("", "BRIGHT"))
    assert [bit_name(column, bit) for bit in (0, 1, 2)] == ["bit 0", "BRIGHT", "bit 2"]
