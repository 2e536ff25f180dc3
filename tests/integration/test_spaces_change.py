"""Galaxies come to an atlas of two embedding spaces, and go: in both, each as its own embeddings say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from atlas import Atlas
from atlas.storage import layout
from atlas.storage.publish import current_build
from atlas.storage.validate import validate
from precompute.__main__ import main
from precompute.build import stage_runner as running
from precompute.build.append import append
from precompute.build.compact import compact
from precompute.build.remove import remove
from precompute.build.space_parameters import FIRST, config_of, first_rows
from precompute.build.update import update
from precompute.errors import SourceError
from precompute.sources.further_columns import open_further
from precompute.sources.source import Source
from precompute.stages import measure
from precompute.stages.agreement import disagreement
from tests.conftest import source_of
from tests.sources import last_rows

LAST = 40
SPACES = ("v1", "v2")


@pytest.fixture
def root(spaces_path: Path, tmp_path: Path) -> Path:
    """An atlas of two spaces that a test may change."""
    root = tmp_path / "atlas"
    for name in (layout.BUILDS, layout.CURRENT):
        running.link(spaces_path / name, root / name)
    return root


@pytest.fixture(autouse=True)
def recall_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes longer than all else, and other tests look at it."""
    monkeypatch.setattr(type(measure.STAGE), "_recall", lambda *_: ())


@pytest.fixture
def last(demo_path: Path, tmp_path: Path) -> Source:
    """The last galaxies of the demo as a source without images."""
    return last_rows(source_of(demo_path), tmp_path / "last", LAST)


def v2_of(spaces_path: Path) -> str:
    """Embeddings of all galaxies in the second space, joined by id."""
    return str(source_of(spaces_path) / "v2.parquet")


def assert_disagreement(atlas: Atlas, rows: slice) -> None:
    left, right = (np.asarray(atlas.space(name).neighbors[rows]) for name in SPACES)
    np.testing.assert_allclose(atlas.columns().array("disagreement_v2")[rows], disagreement(left, right))


def test_galaxies_that_went_come_back_in_both_spaces(
    root: Path, spaces: Atlas, spaces_path: Path, last: Source
) -> None:
    n = spaces.n_rows
    remove(root, np.arange(n - LAST, n), "the last", quiet=True)
    fewer = Atlas.open(root)
    assert validate(root) == [] and fewer.n_rows == n - LAST
    assert_disagreement(fewer, slice(None))
    for name in SPACES:
        space = fewer.space(name)
        np.testing.assert_array_equal(space.embeddings, spaces.space(name).embeddings[: n - LAST])
        assert space.neighbors.max() < n - LAST == space.index.n_rows
        assert np.sort(space.plane.viewport(space.plane.extent, n).rows).tolist() == list(range(n - LAST))

    with pytest.raises(SourceError, match="--space-embeddings v2=FILE"):
        append(last, root, quiet=True)
    manifest = append(last, root, spaces={"v2": v2_of(spaces_path)}, quiet=True)
    assert validate(root) == []
    assert [first_rows(manifest, space) for space in (FIRST, "v2")] == [n - LAST, n - LAST]
    more = Atlas.open(root)
    assert_disagreement(more, slice(n - LAST, n))
    for name in SPACES:
        space, was = more.space(name), spaces.space(name)
        np.testing.assert_array_equal(space.embeddings, was.embeddings)
        row = n - 7
        scores = np.asarray(was.embeddings, np.float32) @ np.asarray(was.embeddings[row], np.float32)
        nearest = np.argsort(-scores)[1:11]
        assert np.isin(more.similar(rows=row, k=10, space=name).index, nearest).mean() >= 0.9
        assert np.sort(space.plane.viewport(space.plane.extent, n).rows).tolist() == list(range(n))

    compact(root, quiet=True)
    one = Atlas.open(root)
    assert validate(root) == [] and len(one.manifest.segments) == 1
    for name in SPACES:
        assert one.space(name).index.n_rows == n
        for column in one.columns(name):
            if column.name != "trust":  # measured again, among all rows
                np.testing.assert_array_equal(
                    one.columns(name).array(column.name), more.columns(name).array(column.name)
                )


class Killed(BaseException):
    """Stands for a kill: not an Exception, so nothing may catch it on the way."""


def test_what_is_interrupted_in_the_second_space_goes_on_there(
    root: Path, spaces: Atlas, spaces_path: Path, last: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    n, run, ran = spaces.n_rows, running.run_stage, list[str]()

    def change() -> None:
        if Atlas.open(root).n_rows == n:
            remove(root, np.arange(n - LAST, n), "the last", quiet=True)
        else:
            append(last, root, spaces={"v2": v2_of(spaces_path)}, quiet=True)

    def killed_after(step: running.WorkStep, key: str, ctx: running.StageContext) -> object:
        record = run(step, key, ctx)
        if (ctx.config.space, step.name) == ("v2", "index"):
            raise Killed
        return record

    real = running.WorkStep.run
    for after in (n - LAST, n):
        before = current_build(root)
        with monkeypatch.context() as patch:
            patch.setattr(running, "run_stage", killed_after)
            with pytest.raises(Killed):
                change()
        assert current_build(root) == before and validate(root) == []
        ran.clear()
        with monkeypatch.context() as patch:
            patch.setattr(
                running.WorkStep,
                "run",
                lambda step, ctx: (ran.append(f"{ctx.config.space} {step.name}"), real(step, ctx)),
            )
            change()
        assert ran[0] in ("v2 neighbors", "v2 knn") and "v1 index" not in ran
        assert validate(root) == [] and Atlas.open(root).n_rows == after
        assert not list((root / layout.BUILDS).glob(".*"))


def test_a_column_comes_to_both_spaces(root: Path, spaces: Atlas, tmp_path: Path) -> None:
    ids = np.asarray(spaces.columns().array("objid"))
    pq.write_table(pa.table({"objid": ids[::-1], "redshift": np.arange(ids.size)[::-1] / 100}), tmp_path / "z.parquet")
    manifest = spaces.manifest
    update(open_further(tmp_path / "z.parquet", manifest.columns, manifest.id_columns), root, quiet=True)
    atlas = Atlas.open(root)
    assert validate(root) == []
    for name in SPACES:
        np.testing.assert_allclose(atlas.columns(name).array("redshift"), np.arange(ids.size) / 100)


def test_embeddings_of_spaces_that_do_not_fit_are_refused(
    root: Path, spaces: Atlas, spaces_path: Path, last: Source, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = current_build(root)
    np.save(tmp_path / "narrow.npy", np.ones((LAST, 5), np.float32))
    np.save(tmp_path / "few.npy", np.ones((7, 6), np.float32))
    pq.write_table(pq.read_table(v2_of(spaces_path)).slice(3, 20), tmp_path / "some.parquet")
    v2 = v2_of(spaces_path)
    for given, told in (
        ({"v3": v2}, "names v3 of the atlas: its further spaces are v2"),
        ({"v1": v2}, "those of v1 are the source's own"),
        ({"v2": str(tmp_path / "narrow.npy")}, "embeddings of 5 numbers, space v2 of 6"),
        ({"v2": str(tmp_path / "few.npy")}, f"7 embeddings, last {LAST} galaxies"),
        (
            {"v2": str(tmp_path / "some.parquet")},
            "of 40 galaxies of last have no embedding|no embedding is of a galaxy",
        ),
    ):
        with pytest.raises(SourceError, match=told):
            append(last, root, spaces=given, quiet=True)
    for option in ("v2", "=x", "v2="):
        assert main(["--quiet", "append", str(last.folder), "--out", str(root), "--space-embeddings", option]) == 1
        assert "once for each space, SPACE=…" in capsys.readouterr().err
    assert current_build(root) == before


def test_a_space_keeps_the_parameters_that_it_was_added_with(spaces: Atlas) -> None:
    first, second = spaces.manifest.spaces
    assert config_of(spaces.manifest, threads=1, memory_gib=2).space == first.name
    told = config_of(spaces.manifest, second, threads=1, memory_gib=2)
    assert told.space == "v2" and told.embedding_dtype == second.dtype
