"""Updating: columns join by id, whatever the order and format; nothing else is copied, run or lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.table import Table

from atlas import Atlas, Expression
from atlas.storage import layout
from atlas.storage.publish import current_build
from atlas.storage.validate import validate
from precompute.__main__ import main
from precompute.build import stage_runner
from precompute.build.pipeline import build
from precompute.config import BuildConfig
from precompute.errors import SourceError
from precompute.sources.source import open_source
from tests.conftest import source_of

WORDS = np.array(["spiral", "elliptical", "merger"])


@pytest.fixture
def told(root: Path) -> Table:
    """What somebody knows of all galaxies but five, and of three that the atlas lacks, in an order of its own."""
    ids = np.asarray(Atlas.open(root).columns().array("objid"))
    ids = np.concatenate([ids[5:], ids.max() + np.arange(1, 4)])
    ids = np.random.default_rng(5).permutation(ids)
    return Table({"objid": ids, "z_spec": ids * 1e-3, "visits": ids % 7, "looks": WORDS[ids % 3], "ra": ids * 0.0})


def by_id(root: Path, name: str) -> dict[int, object]:
    columns = Atlas.open(root).columns()
    rows = np.arange(Atlas.open(root).n_rows)
    return dict(zip(columns.array("objid").tolist(), columns.values(name, rows), strict=True))


def update(root: Path, path: Path, *options: str) -> int:
    return main(["--quiet", "update", str(root), "--catalog", str(path), *options])


def parquet(table: Table, path: Path) -> None:
    pq.write_table(pa.table({name: np.asarray(table[name]) for name in table.colnames}), path)


FORMATS: dict[str, Callable[[Table, Path], None]] = {
    "more.parquet": parquet,
    "more.csv": lambda table, path: table.write(path),
    "more.tsv": lambda table, path: table.write(path, format="ascii.tab"),
    "more.ecsv": lambda table, path: table.write(path),
    "more.fits": lambda table, path: table.write(path),
    "more.vot": lambda table, path: table.write(path, format="votable"),
}


@pytest.mark.parametrize("name", FORMATS)
def test_new_columns_are_those_of_the_galaxies_with_their_ids(
    name: str, root: Path, told: Table, tmp_path: Path
) -> None:
    before = Atlas.open(root)
    FORMATS[name](told, tmp_path / name)
    assert update(root, tmp_path / name) == 0
    assert validate(root) == []
    atlas = Atlas.open(root)
    assert atlas.build_id != before.build_id
    assert [c.name for c in atlas.manifest.columns] == [c.name for c in before.manifest.columns] + [
        "z_spec",
        "visits",
        "looks",
    ]
    known = {int(row["objid"]): row for row in told}
    for objid, z in by_id(root, "z_spec").items():
        assert z == pytest.approx(known[objid]["z_spec"]) if objid in known else z is None or np.isnan(z)  # type: ignore[call-overload]
    words = {objid: word for objid, word in by_id(root, "looks").items() if objid in known}
    assert words == {objid: known[objid]["looks"] for objid in words} and len(words) == atlas.n_rows - 5
    described = atlas.columns().describe("z_spec")
    assert described.missing == 5 and len(described.quantiles) == 9
    assert atlas.mask(Expression("looks == 'merger' & z_spec > 0.3")).count == sum(
        known[o]["looks"] == "merger" and known[o]["z_spec"] > 0.3 for o in words
    )
    lines = (root / "unmatched.csv").read_text().splitlines()
    assert (
        len(lines) == 1 + 3 + 5 and lines[1].endswith("not in the atlas") and lines[-1].endswith("not in the catalogue")
    )


def test_nothing_else_is_written_anew_and_the_same_command_says_the_same(
    root: Path, told: Table, tmp_path: Path
) -> None:
    before = Atlas.open(root)
    parquet(told, tmp_path / "more.parquet")
    update(root, tmp_path / "more.parquet", "--columns", "z_spec")
    after = Atlas.open(root)
    new = {name for name in after.manifest.files if not (before.build / name).exists()}
    assert new == {"columns/z_spec.npy"}
    assert all((after.build / n).samefile(before.build / n) for n in after.manifest.files.keys() - new)
    assert "1 column added (z_spec) from more.parquet" in after.manifest.provenance.notes


def test_a_column_is_replaced_for_some_galaxies_only_as_one_says(root: Path, told: Table, tmp_path: Path) -> None:
    old = by_id(root, "snr")
    told["snr"] = told["z_spec"] + 100
    parquet(told["objid", "snr"], tmp_path / "more.parquet")
    before = current_build(root)
    assert update(root, tmp_path / "more.parquet") == 1 and current_build(root) == before
    assert update(root, tmp_path / "more.parquet", "--others", "keep") == 0
    known = set(told["objid"].tolist())
    for objid, snr in by_id(root, "snr").items():
        assert snr == pytest.approx(objid * 1e-3 + 100 if objid in known else old[objid], rel=1e-6)
    assert Atlas.open(root).columns().describe("snr").description  # what the atlas said of it
    assert update(root, tmp_path / "more.parquet", "--others", "missing") == 0
    assert Atlas.open(root).columns().describe("snr").missing == 5
    assert validate(root) == []


def test_what_cannot_be_joined_is_refused_with_the_way_out(
    root: Path, told: Table, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "more.parquet"

    def refused(table: Table, *options: str) -> str:
        parquet(table, path)
        assert update(root, path, *options) == 1
        return capsys.readouterr().err

    before = current_build(root)
    twice = told.copy()
    twice["objid"][4] = twice["objid"][9]
    assert "objid names 1 galaxy more than once" in refused(twice)
    other = told.copy()
    other["objid"] += 10**6
    assert "has no galaxy of the atlas: objid is 1000" in refused(other)
    other.rename_column("objid", "number")
    assert "say which columns hold those (--id)" in refused(other)
    assert "no column 'zspec'" in refused(told, "--columns", "zspec")
    assert "build it again to change that" in refused(told, "--columns", "ra")
    assert current_build(root) == before


def test_an_interrupted_update_leaves_the_atlas_and_the_same_command_goes_on(
    root: Path, told: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parquet(told, tmp_path / "more.parquet")
    before = current_build(root)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(stage_runner, "files_after", killed)
        assert update(root, tmp_path / "more.parquet") == 130
    assert current_build(root) == before and validate(root) == []
    assert update(root, tmp_path / "more.parquet") == 0
    assert validate(root) == [] and not list((root / layout.BUILDS).glob(".*"))


def test_a_build_does_not_drop_what_was_added_without_a_word(
    root: Path, told: Table, tmp_path: Path, demo_path: Path
) -> None:
    parquet(told, tmp_path / "more.parquet")
    update(root, tmp_path / "more.parquet")
    with pytest.raises(SourceError, match=r"3 columns added \(z_spec, visits, looks\)\. A build would put it back"):
        build(open_source(source_of(demo_path)), root, BuildConfig(), quiet=True)
