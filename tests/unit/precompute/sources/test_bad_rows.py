"""Rows without a possible position or an embedding: left out on demand and listed; all else stays in its row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from precompute.__main__ import main
from precompute.sources.bad_rows import find_bad_rows, write_list
from precompute.sources.source import Source, open_source
from tests.unit.odd_files import DEC, RA, N, beside, stored

BAD = {
    3: "no declination",
    5: "impossible right ascension",
    6: "impossible declination",
    7: "embedding with NaN or infinity",
    11: "embedding of zeros",
}


@pytest.fixture
def spoilt(tmp_path: Path) -> Path:
    ra, dec = RA.copy(), DEC.copy()
    dec[3], ra[5], dec[6] = np.nan, 361, -90.5
    pq.write_table(pa.table({"ra": ra, "dec": dec, "mag": np.arange(N)}), tmp_path / "catalog.parquet")
    rows = np.load(beside(tmp_path) / "embeddings.npy")
    rows[7, 1], rows[11] = np.nan, 0
    np.save(tmp_path / "embeddings.npy", rows)
    return tmp_path


def without(source: Source) -> Source:
    source.leave_out(find_bad_rows(source))
    return source


@pytest.mark.parametrize("chunk", [1, 4, N])
def test_rows_left_out_leave_all_others_with_what_is_theirs(spoilt: Path, chunk: int) -> None:
    whole = open_source(spoilt)
    assert find_bad_rows(whole) == BAD
    source = without(open_source(spoilt))
    kept = np.setdiff1d(np.arange(N), list(BAD))
    assert source.n_rows == len(kept) == len(source.check().ra_deg)
    assert stored(source, "mag").array.tolist() == kept.tolist() == source.read_column("source_row").tolist()
    chunks = list(source.embedding_chunks(chunk))
    assert [start for start, _ in chunks] == np.cumsum([0, *(len(rows) for _, rows in chunks)])[:-1].tolist()
    assert np.array_equal(np.concatenate([rows for _, rows in chunks]), np.load(spoilt / "embeddings.npy")[kept])
    assert source.fingerprint() != whole.fingerprint()
    assert any("5 rows left out" in note for note in source.notes)


def test_the_list_names_each_row_and_why(tmp_path: Path) -> None:
    assert write_list(tmp_path / "new", BAD).read_text().splitlines()[:2] == ["source_row,reason", "3,no declination"]


def test_plan_tells_of_the_rows_that_a_build_would_refuse(spoilt: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", str(spoilt), "--out", str(spoilt)]) == 0
    assert "would refuse 5 rows, first 3 (no declination): --drop-bad-rows" in capsys.readouterr().out
    assert main(["plan", str(spoilt), "--out", str(spoilt), "--drop-bad-rows"]) == 0
    assert "5 rows left out" in capsys.readouterr().err
