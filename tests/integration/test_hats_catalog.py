"""HATS catalogues: pyarrow reads what is in the atlas, and our own reader of HATS takes it as a source."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from atlas import Atlas, Cone, InputError
from atlas.__main__ import main
from atlas.hats_catalog import BASE_CELLS, split_sky
from atlas.queries.selection import canonical, encode_selection
from precompute.sources.layouts.hats import find_partitions
from precompute.sources.source import open_source
from tests.unit.layouts import healpix


def test_partitions_hold_each_galaxy_once_where_it_lies(small: Atlas, tmp_path: Path) -> None:
    written = small.save_hats(tmp_path / "hats", rows_a_partition=2_000)
    partitions = find_partitions(tmp_path / "hats")
    listed = list(csv.DictReader((tmp_path / "hats" / "partition_info.csv").read_text().splitlines()))
    assert [(p.order, p.pixel) for p in partitions] == [(int(p["Norder"]), int(p["Npix"])) for p in listed]
    assert written.n_partitions == len(partitions) > BASE_CELLS and written.n_rows == small.n_rows
    seen = []
    for one in partitions:
        table = pq.read_table(one.path, partitioning=None)
        cells = table["_healpix_29"].to_numpy()
        position = [table[name].to_numpy() for name in ("ra", "dec")]
        assert np.array_equal(cells, healpix(*position, 29)) and np.all(np.diff(cells) >= 0)
        assert np.all(cells >> 2 * (29 - one.order) == one.pixel) and len(table) <= 2_000
        rows = [small.identity.row("-".join(map(str, id_))) for id_ in zip(
            *(table[name].to_pylist() for name in small.manifest.id_columns), strict=True)]  # fmt: skip
        seen.append(rows)
        embeddings = table["embedding"].combine_chunks().flatten().to_numpy().reshape(len(table), -1)
        assert np.array_equal(embeddings, small.space().embeddings[rows].astype(np.float32))
        np.testing.assert_array_equal(table["mag_r"].to_numpy(), small.columns().array("mag_r")[rows])
        assert table["source_type"].to_pylist() == small.columns().values("source_type", rows)
    assert np.array_equal(np.sort(np.concatenate(seen)), np.arange(small.n_rows))
    footer = pq.read_metadata(tmp_path / "hats" / "dataset" / "_metadata")
    assert footer.num_rows == small.n_rows
    paths = [footer.row_group(i).column(0).file_path for i in range(footer.num_row_groups)]
    assert paths == [p.path.relative_to(tmp_path / "hats" / "dataset").as_posix() for p in partitions]
    assert pq.read_schema(tmp_path / "hats" / "dataset" / "_common_metadata").field("ra").metadata[b"unit"] == b"deg"


def test_our_reader_of_hats_takes_it_whole(demo: Atlas, tmp_path: Path) -> None:
    assert main(["export", "--atlas", str(demo.build.parent.parent), "--hats", str(tmp_path / "out")]) == 0
    source = open_source(tmp_path / "out")
    assert (
        source.n_rows == demo.n_rows and source.description.acknowledgement == demo.manifest.provenance.acknowledgement
    )
    assert source.description.licence == demo.manifest.provenance.licence


def test_a_selection_and_what_is_refused(demo: Atlas, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inside = Cone(*demo.position(0), 20.0)
    assert demo.save_hats(tmp_path / "cone", inside).n_rows == demo.mask(inside).count > 1
    told = pq.read_schema(tmp_path / "cone" / "dataset" / "_common_metadata").metadata
    assert told[b"build"].decode() == demo.build_id and told[b"selection"] == encode_selection(canonical(inside))
    with pytest.raises(InputError, match="not empty"):
        demo.save_hats(tmp_path / "cone")
    with pytest.raises(InputError, match="no galaxy"):
        demo.save_hats(tmp_path / "none", "snr < 0")
    root = str(demo.build.parent.parent)
    assert main(["export", "--atlas", root, "--hats", str(tmp_path / "x"), "--within", "nosuch > 1"]) == 1
    assert "nosuch" in capsys.readouterr().err and not (tmp_path / "x").exists()


def test_a_crowded_spot_is_one_partition_however_full() -> None:
    cells = np.sort(np.concatenate([np.full(100, 5), [0, 4**29, 4**29 + 1]])).astype(np.int64)
    found = list(split_sky(cells, 10))
    assert [(p.order, p.pixel, p.start, p.stop) for p in found] == [(12, 0, 0, 101), (0, 1, 101, 103)]


def test_a_million_galaxies_need_no_memory(large_path: Path, tmp_path: Path) -> None:
    # Its own peak: what `getrusage` tells may be that of the process that began it.
    script = (
        "import re, sys; from atlas import Atlas; Atlas.open(sys.argv[1]).save_hats(sys.argv[2]);"
        "print(re.search(r'VmHWM:\\s*(\\d+) kB', open('/proc/self/status').read())[1])"
    )
    command = [sys.executable, "-c", script, str(large_path), str(tmp_path / "out")]
    told = subprocess.run(command, check=True, capture_output=True, text=True)
    assert int(told.stdout) < 1_000_000  # kB; what is mapped counts too
    assert pq.read_metadata(tmp_path / "out" / "dataset" / "_metadata").num_rows == 1_000_000
