"""Removing: rows are gone from every answer, what is left is as it was, and is counted anew."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from atlas import Atlas, Query, Similar
from atlas.errors import UnknownGalaxyError
from atlas.search.exact import top_k_exact
from atlas.storage import layout
from atlas.storage.publish import current_build
from atlas.storage.validate import validate
from precompute.__main__ import main
from precompute.build import stage_runner as running
from precompute.build.remove import remove


def command(root: Path, *options: object) -> int:
    return main(["--quiet", "remove", str(root), *map(str, options)])


def assert_without(root: Path, before: Atlas, removed: np.ndarray) -> None:
    """The atlas holds the other rows alone, each with all that it had."""
    assert validate(root) == []
    after = Atlas.open(root)
    kept = np.setdiff1d(np.arange(before.n_rows), removed)
    assert (
        after.n_rows
        == kept.size
        == after.identity.find([after.columns().array(c) for c in after.manifest.id_columns]).size
    )
    for column in after.columns("v1"):
        values = np.asarray(after.columns("v1").array(column.name))
        if column.name != "trust":  # measured again, among all that are left
            np.testing.assert_array_equal(values, np.asarray(before.columns("v1").array(column.name))[kept])
        if column.kind == "number" and values.dtype.kind == "f":
            assert column.missing == np.count_nonzero(np.isnan(values)) and column.quantiles[0] == np.nanmin(values)
    np.testing.assert_array_equal(after.space().embeddings, before.space().embeddings[kept])
    assert np.sort(after.space().plane.viewport(after.space().plane.extent, 10**6).rows).tolist() == list(
        range(kept.size)
    )
    for cluster in after.space().clusters:
        labels = np.asarray(after.columns("v1").array(cluster.scale))
        assert cluster.size == np.count_nonzero(labels == cluster.label)
        assert not cluster.size or labels[cluster.medoid] == cluster.label
    with pytest.raises(UnknownGalaxyError):
        after.identity.row(before.identity.name(int(removed[0])))
    known = after.space().known_rows
    known = np.arange(after.n_rows) if known is None else known
    for line in range(0, known.size, max(1, known.size // 20)):
        query = np.asarray(after.space().embeddings[known[line]], dtype=np.float32)
        exact = top_k_exact(after.space().embeddings, query, 10, skip=(int(known[line]),))[0]
        assert np.isin(after.space().neighbors[line], exact).mean() >= 0.8
    row = int(np.argmax(kept > removed[0]))
    found = after.run(Query(space="v1", ranking=Similar((row,)), limit=20)).rows
    query = np.asarray(after.space().embeddings[row], dtype=np.float32)
    assert np.isin(found, top_k_exact(after.space().embeddings, query, 20, skip=(row,))[0]).mean() >= 0.9
    if before.thumbnails is not None and after.thumbnails is not None:
        assert [after.thumbnails.read(new) for new in range(0, kept.size, 50)] == [
            before.thumbnails.read(int(old)) for old in kept[::50]
        ]
        assert after.manifest.thumbnails is not None and after.manifest.thumbnails.present == kept.size


def test_rows_that_a_condition_names_are_gone_everywhere(root: Path, tmp_path: Path) -> None:
    before = Atlas.open(root)
    removed = before.mask("snr < 30").rows
    assert 0 < removed.size < 400
    assert command(root, "--where", "snr < 30") == 0
    assert_without(root, before, removed)
    notes = Atlas.open(root).manifest.provenance.notes
    assert notes[-1] == f"{removed.size:,} galaxies removed (snr < 30)"
    assert command(root, "--where", "snr < 30") == 0 and Atlas.open(root).n_rows == before.n_rows - removed.size


@pytest.mark.parametrize(("name", "head"), [("bad.txt", ""), ("bad.csv", "objid,why\n")])
def test_rows_that_a_list_names_are_gone(
    name: str, head: str, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = Atlas.open(root)
    removed = np.array([3, 17, 500])
    line = "{},blank\n" if head else "{}\n"
    ids = [*before.identity.names(removed.tolist()), "123456"]
    (tmp_path / name).write_text(head + "".join(line.format(one) for one in ids))
    assert command(root, "--ids", tmp_path / name) == 0
    assert "1 ids are not in the atlas, such as 123456" in capsys.readouterr().err
    assert Atlas.open(root).n_rows == before.n_rows - 3 and validate(root) == []


def test_what_leaves_no_atlas_or_says_nothing_is_refused(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = current_build(root)
    (tmp_path / "none.txt").write_text("nobody\n")
    for options, told in (
        ((), "either --ids FILE or --where CONDITION"),
        (("--where", "snr > -1"), "would be left; an atlas needs at least 16"),
        (("--where", "nosuch > 1"), "nosuch"),
        (("--ids", tmp_path / "none.txt"), "names no galaxy of the atlas; an id there is such as 1"),
    ):
        assert command(root, *options) == 1
        assert told in capsys.readouterr().err
    assert current_build(root) == before


class Killed(BaseException):
    """Stands for a kill: not an Exception, so nothing may catch it on the way."""


@pytest.mark.parametrize("last", ["arrays", "neighbors", "measure"])
def test_an_interrupted_removal_leaves_the_atlas_and_goes_on(
    last: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, before, ran = running.run_stage, current_build(root), list[str]()
    rows = np.arange(100, 140)

    def killed_after(step: running.WorkStep, *rest: object) -> object:
        record = run(step, *rest)  # type: ignore[arg-type]
        if step.name == last:
            raise Killed
        return record

    with monkeypatch.context() as patch:
        patch.setattr(running, "run_stage", killed_after)
        with pytest.raises(Killed):
            remove(root, rows, "blank", quiet=True)
    assert current_build(root) == before and validate(root) == []
    real = running.WorkStep.run
    monkeypatch.setattr(running.WorkStep, "run", lambda step, ctx: (ran.append(step.name), real(step, ctx))[1])
    manifest = remove(root, rows, "blank", quiet=True)
    steps = list(manifest.stages[-1].measured["steps"])
    assert ran == steps[steps.index(last) + 1 :]
    assert validate(root) == [] and not list((root / layout.BUILDS).glob(".*"))


@pytest.mark.soak
def test_an_index_goes_without_the_codes_of_the_rows(small_path: Path, tmp_path: Path) -> None:
    root = tmp_path / "atlas"
    for name in (layout.BUILDS, layout.CURRENT):
        running.link(small_path / name, root / name)
    before = Atlas.open(root)
    removed = np.sort(np.random.default_rng(2).choice(before.n_rows, 2_000, replace=False))
    remove(root, removed, "blank", quiet=True)
    assert_without(root, before, removed)
    assert Atlas.open(root).space().index.n_rows == before.n_rows - 2_000
