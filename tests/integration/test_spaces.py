"""A second embedding space: it has its own index, map and clusters, and costs nothing of what is there already."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from atlas import Atlas
from atlas.storage.manifest import Manifest, read_manifest
from atlas.storage.validate import validate
from precompute.build import add_space as adding
from precompute.build import stage_runner
from precompute.build.pipeline import build
from precompute.config import BuildConfig
from precompute.errors import SourceError
from precompute.sources.source import open_source
from precompute.sources.space_source import SpaceSource, galaxies_of_atlas
from precompute.stages import measure
from precompute.stages.agreement import disagreement
from precompute.stages.stage import StageContext
from tests.conftest import source_of
from tests.sources import second_embedding


class Record(NamedTuple):
    """What tells one run of a stage from another."""

    name: str
    key: str
    seconds: float


OWN_STAGES = [stage.name for stage in adding.OF_A_SPACE] + ["plane", "agreement"]


def test_a_second_space_runs_its_own_stages_and_links_all_else(demo: Atlas, spaces: Atlas, spaces_path: Path) -> None:
    before, after = demo.manifest, spaces.manifest
    assert [s.name for s in after.spaces] == ["v1", "v2"]
    assert after.stages[: len(before.stages)] == before.stages
    assert [r.name for r in after.stages[len(before.stages) :]] == [f"v2/{name}" for name in OWN_STAGES]
    assert after.files.items() >= before.files.items()
    (linked,) = (one for one in spaces.build.parent.iterdir() if one != spaces.build)
    assert all((spaces.build / name).samefile(linked / name) for name in before.files)
    assert validate(spaces_path) == []


def test_each_space_answers_by_its_own_embeddings(spaces: Atlas, spaces_path: Path) -> None:
    assert (spaces.space("v1").dimension, spaces.space("v2").dimension) == (32, 6)
    joined = np.asarray(spaces.space("v2").embeddings, dtype=np.float32)
    expected = np.asarray(spaces.space("v1").embeddings, dtype=np.float32)[:, :6] ** 2 + 1e-3
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert np.allclose(joined, expected, atol=2e-3)  # in the order of the atlas, whatever that of the file
    scores = joined @ joined[7]
    found = spaces.similar(rows=7, k=10, space="v2")
    assert np.allclose(found["similarity"], np.sort(np.delete(scores, 7))[::-1][:10], atol=2e-3)
    assert set(found.index) != set(spaces.similar(rows=7, k=10).index)


def test_disagreement_is_the_share_of_neighbours_that_only_one_space_has(spaces: Atlas) -> None:
    left, right = (spaces.space(name).neighbors for name in ("v1", "v2"))
    expected = [1 - len({*a} & {*b}) / 10 for a, b in zip(left.tolist(), right.tolist(), strict=True)]
    assert np.allclose(spaces.columns().array("disagreement_v2"), expected)
    assert disagreement(left[:0], right[:0]).shape == (0,)


def test_the_same_embeddings_again_change_nothing(spaces_path: Path) -> None:
    build = (spaces_path / "CURRENT").read_text()
    adding.add_space(spaces_path, "v2", str(spaces_path.with_name("two-spaces-source") / "v2.parquet"), quiet=True)
    assert (spaces_path / "CURRENT").read_text() == build


def test_a_killed_run_leaves_the_atlas_and_goes_on_where_it_was(
    spaces_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "atlas"
    shutil.copytree(spaces_path, out)
    build_id, before = (out / "CURRENT").read_text(), Atlas.open(out).manifest
    again = {"parameters": {"recall_queries": 5}, "quiet": True}  # read by one stage alone
    runs = []
    monkeypatch.setattr(type(measure.STAGE), "run", count(measure.STAGE.run, runs))
    with monkeypatch.context() as killed:
        killed.setattr(stage_runner, "files_after", interrupt)
        with pytest.raises(KeyboardInterrupt):
            adding.add_space(out, "v2", str(source_of(spaces_path) / "v2.parquet"), **again)  # type: ignore[arg-type]
    assert (out / "CURRENT").read_text() == build_id
    after = adding.add_space(out, "v2", str(source_of(spaces_path) / "v2.parquet"), **again)  # type: ignore[arg-type]
    assert len(runs) == 1
    assert {r.name for r in set_of(after) ^ set_of(before)} == {"v2/measure"}
    assert [s.name for s in after.spaces] == ["v1", "v2"] and validate(out) == []


def set_of(manifest: Manifest) -> set[Record]:
    return {Record(r.name, r.key, r.seconds) for r in manifest.stages}


def count(run: Callable[[StageContext], None], runs: list[str]) -> Callable[[object, StageContext], None]:
    def counted(_: object, ctx: StageContext) -> None:
        runs.append(ctx.name)
        run(ctx)

    return counted


def interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_refusals_say_the_way_out(demo: Atlas, demo_path: Path, tmp_path: Path) -> None:
    second_embedding(demo, tmp_path / "all")
    table = pq.read_table(tmp_path / "all" / "v2.parquet")
    pq.write_table(table.slice(5), tmp_path / "few.parquet")
    np.save(tmp_path / "short.npy", np.ones((7, 4), dtype=np.float32))
    wrong = (
        ("v1", tmp_path / "all" / "v2.parquet", "name another one"),
        ("v2", tmp_path / "few.parquet", f"5 of {demo.n_rows} galaxies of the atlas have no embedding"),
        ("v2", tmp_path / "short.npy", "7 embeddings, the atlas"),
        ("v2", tmp_path / "none.npy", "neither a file"),
    )
    for name, path, told in wrong:
        with pytest.raises(SourceError, match=told):
            adding.add_space(demo_path, name, str(path), quiet=True)


def test_a_build_does_not_put_an_atlas_of_two_spaces_back_unasked(spaces_path: Path, demo_path: Path) -> None:
    source = open_source(demo_path.with_name("xdf-source"))
    build_id = (spaces_path / "CURRENT").read_text()
    with pytest.raises(SourceError, match=r"space v2 added.*--force"):
        build(source, spaces_path, BuildConfig(), quiet=True)
    with pytest.raises(SourceError, match=r"add-space .* v3 brings a further one"):
        build(source, demo_path, BuildConfig(space="v3"), quiet=True)
    assert (spaces_path / "CURRENT").read_text() == build_id


def test_embeddings_of_other_galaxies_are_left_aside(demo: Atlas, tmp_path: Path) -> None:
    second_embedding(demo, tmp_path / "all")
    table = pq.read_table(tmp_path / "all" / "v2.parquet")
    ids = demo.manifest.id_columns
    more = {name: pa.array(np.arange(10**9, 10**9 + 3)).cast(table[name].type) for name in ids}
    strangers = pa.table({**more, "embedding": table["embedding"].slice(0, 3)}).cast(table.schema)
    pq.write_table(pa.concat_tables([strangers, table]), tmp_path / "more.parquet")
    source = SpaceSource(galaxies_of_atlas(demo.build, read_manifest(demo.build)), str(tmp_path / "more.parquet"), ())
    source.scratch = tmp_path / "scratch"
    ((_, rows),) = source.embedding_chunks(10_000)
    expected = np.asarray(demo.space().embeddings, dtype=np.float32)[:, :6] ** 2 + np.float32(1e-3)
    assert np.allclose(rows, expected)
    assert "3 more are of no galaxy" in source.notes[0]
