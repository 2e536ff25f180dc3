"""Builds: in order, once, resumable after any stage, and never half of one in use."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from atlas import Atlas
from atlas.errors import FormatError, ResourceError
from atlas.storage import layout
from atlas.storage.manifest import write_manifest
from atlas.storage.publish import current_build, hash_file
from atlas.storage.validate import validate
from precompute.build import pipeline
from precompute.build.pipeline import build
from precompute.config import BuildConfig
from precompute.errors import SourceError
from precompute.simulation.catalog_survey import simulate_survey
from precompute.source_description import read_description, write_description
from precompute.sources.source import Source, open_source
from precompute.stages import embeddings as embeddings_stage
from precompute.stages.order import STAGES
from precompute.stages.stage import StageContext
from tests.sources import CATALOG

QUICK = BuildConfig(subsample=600, n_epochs=30, recall_queries=10, threads=1)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    folder = tmp_path_factory.mktemp("survey") / "source"
    simulate_survey(1_500, folder, seed=4, dimension=32, quiet=True)
    return open_source(folder)


@pytest.fixture(scope="module")
def built(source: Source, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built") / "atlas"
    build(source, out, QUICK, quiet=True)
    return out


class Killed(BaseException):
    """Stands for a kill: not an Exception, so nothing may catch it on the way."""


def test_a_build_is_whole_and_says_what_it_is(built: Path, source: Source) -> None:
    assert validate(built) == []
    atlas = Atlas.open(built)
    assert atlas.n_rows == source.n_rows
    assert [s.name for s in atlas.manifest.stages] == [s.name for s in STAGES]
    assert atlas.manifest.id_columns == ("release", "brickid", "objid")
    assert {"map_x", "cluster", "anomaly_knn", "anomaly", "trust"} <= {c.name for c in atlas.columns("v1")}


def test_the_same_command_again_runs_nothing(built: Path, source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a stage ran again")

    monkeypatch.setattr(pipeline, "run_stage", refuse)
    before = current_build(built)
    assert build(source, built, QUICK, quiet=True).build_id == before


def test_a_build_that_fails_verification_is_not_put_into_use(
    built: Path, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "atlas"
    shutil.copytree(built, out)
    old = current_build(out)
    other = msgspec.structs.replace(QUICK, recall_queries=11)  # `measure` alone runs again
    assemble = pipeline.assemble_manifest

    def spoilt(partial: Path, *told):  # type: ignore[no-untyped-def]
        trust = np.load(partial / "spaces/v1/columns/trust.npy", mmap_mode="r+")
        trust[3] = 7
        return assemble(partial, *told)

    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "assemble_manifest", spoilt)
        with pytest.raises(FormatError, match=r"not put into use.*trust\.npy.*remove .*partial"):
            build(source, out, other, verify=True, quiet=True)
    assert current_build(out) == old
    shutil.rmtree(next((out / layout.BUILDS).glob(".*.partial")))
    assert build(source, out, other, verify=True, quiet=True).build_id == current_build(out) != old


@pytest.mark.soak
@pytest.mark.parametrize("last", [stage.name for stage in STAGES])
def test_a_build_killed_after_any_stage_leaves_the_old_atlas_and_resumes(
    last: str, built: Path, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "atlas"
    shutil.copytree(built, out)
    old = current_build(out)
    other = BuildConfig(**{**{n: getattr(QUICK, n) for n in BuildConfig.__struct_fields__}, "seed": 2})
    ran: list[str] = []
    run_stage = pipeline.run_stage

    def run_until(stage, key, ctx: StageContext, before):  # type: ignore[no-untyped-def]
        record = run_stage(stage, key, ctx, before)
        ran.append(stage.name)
        if stage.name == last:
            raise Killed
        return record

    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "run_stage", run_until)
        with pytest.raises(Killed):
            build(source, out, other, quiet=True)
    assert current_build(out) == old
    assert Atlas.open(out).build_id == old
    assert validate(out) == []

    again: list[str] = []
    for stage in STAGES:
        monkeypatch.setattr(
            stage, "run", lambda ctx, name=stage.name, run=stage.run: (again.append(name), run(ctx))[1], raising=False
        )
    manifest = build(source, out, other, quiet=True)
    assert current_build(out) == manifest.build_id != old
    assert validate(out) == []
    assert not set(again) & set(ran), "a stage that had finished ran again"
    assert (out / layout.BUILDS / str(old)).is_dir()


def test_a_change_of_the_source_runs_only_what_reads_it(
    built: Path, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "source", tmp_path / "atlas"
    shutil.copytree(source.folder, folder)
    shutil.copytree(built, out)
    ran: list[str] = []
    for stage in STAGES:
        monkeypatch.setattr(
            stage, "run", lambda ctx, name=stage.name, run=stage.run: (ran.append(name), run(ctx))[1], raising=False
        )

    def stages_of(change: str) -> list[str]:
        ran.clear()
        manifest = build(open_source(folder), out, QUICK, quiet=change != "a column")
        assert validate(out) == [] and manifest.build_id == current_build(out), change
        return [*ran]

    for path in folder.iterdir():
        os.utime(path, ns=(1, 1))
    assert stages_of("times of files") == []
    told = read_description(folder)
    write_description(folder, msgspec.structs.replace(told, title="A new title", licence="CC0"))
    assert stages_of("a title") == [] and Atlas.open(out).manifest.title == "A new title"
    table = pq.read_table(folder / CATALOG)
    pq.write_table(table.append_column("sfr", [np.arange(len(table))]), folder / CATALOG)
    assert stages_of("a column") == ["read"] and "sfr" in Atlas.open(out).columns()
    said = capsys.readouterr().err
    assert "read        runs, since something else is there: the source's columns" in said
    assert "umap        kept: what it reads is as it was" in said
    (folder / "images").mkdir()
    Image.fromarray(np.zeros((8, 8, 3), dtype=np.uint8)).save(folder / "images" / "0.png")
    assert stages_of("a picture") == ["artefacts", "thumbnails"]


def test_a_change_of_one_parameter_runs_only_what_depends_on_it(
    built: Path, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "atlas"
    shutil.copytree(built, out)
    ran: list[str] = []
    for stage in STAGES:
        monkeypatch.setattr(
            stage, "run", lambda ctx, name=stage.name, run=stage.run: (ran.append(name), run(ctx))[1], raising=False
        )
    changed = BuildConfig(**{**{n: getattr(QUICK, n) for n in BuildConfig.__struct_fields__}, "anomaly_components": 3})
    build(source, out, changed, quiet=True)
    assert "anomalies" in ran
    assert not {"read", "embeddings", "index", "knn", "subsample", "umap", "place", "clusters", "planes"} & set(ran)
    assert validate(out) == []


def test_a_stage_killed_inside_goes_on_there_and_forgets_nothing(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embeddings_stage, "CHUNK_NUMBERS", 100 * source.dimension)
    monkeypatch.setattr(embeddings_stage, "KEEP_EVERY", 300)
    folder = tmp_path / "source"
    shutil.copytree(source.folder, folder)
    rows = np.load(folder / "embeddings.npy")
    rows[:50] *= 2  # not of unit length, before and after the kill
    rows[-50:] *= 2
    np.save(folder / "embeddings.npy", rows)
    check = embeddings_stage.check_and_normalize
    seen: list[int] = []

    def until(start: int) -> None:
        def checked(chunk, first):  # type: ignore[no-untyped-def]
            if first >= start:
                raise Killed
            seen.append(first)
            return check(chunk, first)

        monkeypatch.setattr(embeddings_stage, "check_and_normalize", checked)

    until(800)
    with pytest.raises(Killed):
        build(open_source(folder), tmp_path / "atlas", QUICK, quiet=True)
    seen.clear()
    until(10_000)
    manifest = build(open_source(folder), tmp_path / "atlas", QUICK, quiet=True)
    assert seen == list(range(600, 1_500, 100)), "600 rows were on disk"
    assert any("100 of 1,500" in note for note in manifest.provenance.notes)
    assert validate(tmp_path / "atlas") == []


def test_neighbours_of_a_sample_make_a_whole_atlas_that_says_so(source: Source, tmp_path: Path) -> None:
    config = msgspec.structs.replace(QUICK, knn="sample", knn_sample=200)
    build(source, tmp_path / "atlas", config, quiet=True)
    assert validate(tmp_path / "atlas") == []
    atlas = Atlas.open(tmp_path / "atlas")
    trust, by_knn = (atlas.columns("v1").describe(name) for name in ("trust", "anomaly_knn"))
    assert trust.missing == source.n_rows - 200
    assert "200 sampled galaxies" in trust.description
    assert by_knn.missing == 0 and "quick search" in by_knn.description
    known = np.isfinite(atlas.columns("v1").array("trust"))
    values = atlas.columns("v1").values("trust", [int(np.flatnonzero(known)[0]), int(np.flatnonzero(~known)[0])])
    assert isinstance(values[0], float) and values[1] is None
    assert atlas.columns("v1").describe("stray").vocabulary == ("no", "yes")
    assert {r.kind for r in atlas.space().quality.recall} == {"row", "least similar", "examples", "cluster"}


def test_a_sample_that_names_rows_beyond_the_atlas_is_a_fault(source: Source, tmp_path: Path) -> None:
    config = msgspec.structs.replace(QUICK, knn="sample", knn_sample=200)
    manifest = build(source, tmp_path / "atlas", config, quiet=True)
    folder = layout.build_path(tmp_path / "atlas", manifest.build_id)
    path = folder / "spaces/v1/knn/sampled.npy"
    sampled = np.load(path)
    sampled[-1] = source.n_rows
    np.save(path, sampled)
    name = path.relative_to(folder).as_posix()
    write_manifest(folder, msgspec.structs.replace(manifest, files={**manifest.files, name: hash_file(path)}))
    assert any("sample of rows" in fault for fault in validate(tmp_path / "atlas"))


def test_deterministic_stages_write_the_same_bytes(built: Path, source: Source, tmp_path: Path) -> None:
    build(source, tmp_path / "again", QUICK, quiet=True)
    one, two = Atlas.open(built).manifest, Atlas.open(tmp_path / "again").manifest
    assert one.build_id == two.build_id
    differing = {name for name, file in one.files.items() if two.files[name].sha256 != file.sha256}
    timed = ("stages/", "spaces/v1/quality.json")
    assert {name for name in differing if not name.startswith(timed)} == set()


def test_a_full_disk_is_refused_before_any_stage(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(ResourceError, match="are free"):
        build(source, tmp_path / "atlas", QUICK, quiet=True)
    assert not (tmp_path / "atlas" / layout.CURRENT).exists()


def test_embeddings_that_are_not_numbers_stop_the_build(source: Source, tmp_path: Path) -> None:
    folder = tmp_path / "bad"
    shutil.copytree(source.folder, folder)
    embeddings = np.load(folder / "embeddings.npy")
    embeddings[[3, 8]] = np.nan
    embeddings[5] = 0
    np.save(folder / "embeddings.npy", embeddings)
    with pytest.raises(SourceError, match="NaN") as error:
        build(open_source(folder), tmp_path / "atlas", QUICK, quiet=True)
    assert "zero" in str(error.value) and "3" in str(error.value)
    with pytest.raises(FormatError, match="holds no atlas"):
        Atlas.open(tmp_path / "atlas")


def damage(path: Path, how: str) -> None:
    data = bytearray(path.read_bytes())
    if how == "truncate":
        os.truncate(path, len(data) // 2)
    elif how == "flip":
        data[-1] ^= 0xFF
        path.write_bytes(bytes(data))
    else:
        path.unlink()


@pytest.mark.parametrize("how", ["truncate", "flip", "delete"])
@pytest.mark.parametrize("name", ["columns/ra.npy", "spaces/v1/embeddings.npy", "sky/row.npy", "identity/keys.npy"])
def test_validate_names_a_damaged_file(built: Path, tmp_path: Path, name: str, how: str) -> None:
    out = tmp_path / "atlas"
    shutil.copytree(built, out)
    damage(out / layout.BUILDS / str(current_build(out)) / name, how)
    faults = validate(out)
    assert any(name in fault for fault in faults), faults
    if how != "flip":
        with pytest.raises(FormatError, match=name.replace(".", r"\.")):
            Atlas.open(out)


def test_a_source_too_small_for_a_map_is_refused_in_words(tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "catalog.csv").write_text("objid,ra,dec\n" + "".join(f"{i},{10 + i},5\n" for i in range(5)))
    np.save(folder / "embeddings.npy", np.eye(5, dtype=np.float32))
    with pytest.raises(SourceError, match="at least 16 galaxies"):
        build(open_source(folder), tmp_path / "atlas", QUICK, quiet=True)


def test_the_smallest_sources_build_and_answer(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for n in (16, 40):
        folder = tmp_path / f"of-{n}"
        folder.mkdir()
        (folder / "catalog.csv").write_text("objid,ra,dec\n" + "".join(f"{i},{10 + i / 9},5\n" for i in range(n)))
        np.save(folder / "embeddings.npy", rng.normal(size=(n, 3)).astype(np.float32))
        build(open_source(folder), tmp_path / f"atlas-{n}", QUICK, quiet=True)
        assert validate(tmp_path / f"atlas-{n}") == []
        atlas = Atlas.open(tmp_path / f"atlas-{n}")
        assert len(atlas.similar(rows=[3], k=100)) == n - 1
