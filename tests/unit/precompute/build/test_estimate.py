"""What a build will take is said before it starts, and one that cannot fit is refused with a way out."""

from __future__ import annotations

import shutil

import pytest

from atlas.errors import ResourceError
from atlas.storage import layout
from atlas.storage.manifest import read_manifest
from atlas.storage.validate import open_current, total_bytes
from precompute.__main__ import main
from precompute.build import estimate
from precompute.build.estimate import check_fits, describe_estimate, estimate_build
from precompute.build.pipeline import build, estimate_source
from precompute.config import BuildConfig
from precompute.simulation.catalog_survey import simulate_survey
from precompute.sources.source import open_source
from precompute.stages.order import STAGES
from tests.conftest import source_of

WHOLE_SURVEY = 42_272_646


def of(n_rows, dimension=128, **parameters):
    return estimate_build(n_rows, dimension, BuildConfig(threads=2, **parameters), columns=16)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plan") / "source"
    simulate_survey(1_500, folder, dimension=16, quiet=True)
    return open_source(folder)


def test_every_stage_of_a_build_is_estimated_in_order():
    assert [stage.name for stage in of(1_000_000).stages] == [stage.name for stage in STAGES]
    assert all(stage.seconds >= 0 and stage.memory > 0 for stage in of(100).stages)


def test_time_and_disk_grow_with_the_rows():
    small, large = of(10_000_000, knn="sample"), of(40_000_000, knn="sample")
    assert large.seconds / small.seconds < 4**1.25
    assert large.disk / small.disk == pytest.approx(4, rel=0.05)


def test_the_whole_survey_fits_eight_gib():
    assert of(WHOLE_SURVEY, knn="sample").memory <= 8 << 30


def test_a_sample_of_neighbours_saves_time_and_disk():
    every, sample = of(10_000_000), of(10_000_000, knn="sample")
    assert sample.seconds < every.seconds
    assert every.disk - sample.disk == 80 * (10_000_000 - 100_000)


def test_disk_is_what_a_build_takes(small_path):
    folder, manifest = open_current(small_path)
    assert read_manifest(folder).n_rows == manifest.n_rows
    told = estimate_source(open_source(source_of(small_path)), BuildConfig(subsample=4_000))
    # All but what a count pyramid takes at any size.
    fixed = 32 << 20
    assert total_bytes(small_path) - fixed <= told.disk <= 1.25 * total_bytes(small_path) + fixed


def test_memory_that_the_budget_does_not_allow_is_named_with_what_would_help(tmp_path):
    config = BuildConfig(memory_gib=2, threads=2)
    with pytest.raises(ResourceError, match=r"stage index needs about \d\.\d GiB.*--memory-gib allows 2;.*--leaves"):
        check_fits(estimate_build(WHOLE_SURVEY, 128, config, columns=16), tmp_path, config)
    few = BuildConfig(memory_gib=2, threads=2, leaves=1_000)
    assert of(1_000_000, leaves=1_000).index.leaves == 1_000
    check_fits(estimate_build(1_000_000, 128, few, columns=16), tmp_path, few)


def test_memory_that_the_machine_has_not_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(estimate, "available_memory", lambda: 1 << 30)
    with pytest.raises(
        ResourceError,
        match=r"stage index needs .*1\.0 GiB are free on this machine; .*or a smaller --memory-gib \(now 8\)",
    ):
        check_fits(of(10_000_000), tmp_path, BuildConfig(threads=2))


def test_a_disk_too_small_is_named_with_every_option(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=10**9)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    config = BuildConfig(threads=2, embedding_dtype="float32")
    with pytest.raises(ResourceError) as error:
        check_fits(estimate_build(10_000_000, 128, config, columns=16), tmp_path / "not" / "there", config)
    for part in ("10,000,000", "1.0 GB are free", "--knn sample (saves 792.0 MB)", "--embedding-dtype float16"):
        assert part in str(error.value)


def test_a_build_that_cannot_fit_leaves_nothing_behind(source, tmp_path, monkeypatch):
    monkeypatch.setattr(estimate, "available_memory", lambda: 1 << 20)
    with pytest.raises(ResourceError, match="free on this machine"):
        build(source, tmp_path / "atlas", BuildConfig(), quiet=True)
    assert not (tmp_path / "atlas" / layout.BUILDS).exists()


def test_the_plan_is_printed_for_a_source(source, tmp_path, capsys):
    assert main(["plan", str(source.folder), "--out", str(tmp_path / "atlas"), "--threads", "3"]) == 0
    told = capsys.readouterr().out
    assert "1,500 galaxies of 16 numbers, 3 threads" in told
    assert "disk and memory suffice" in told
    for stage in STAGES:
        assert f"\n{stage.name} " in told
    assert "scaled by" in told, "where the times come from is said"
    assert not (tmp_path / "atlas").exists()


def test_a_billion_galaxies_are_planned_without_a_source(capsys):
    assert main(["plan", "--rows", "1e9", "--threads", "64", "--memory-gib", "256", "--knn", "sample"]) == 0
    told = capsys.readouterr().out
    assert "1,000,000,000 galaxies of 128 numbers, 64 threads" in told
    assert "63,246 leaves" in told


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "takes a SOURCE, or --rows"),
        (["somewhere", "--rows", "1e9"], "takes a SOURCE, or --rows"),
        (["--rows", "5"], "--rows is 5: allowed is 16"),
        (["--rows", "nan"], "--rows is nan: allowed"),
        (["--rows", "1e9", "--dimensions", "1"], "--dimensions is 1: allowed is 2"),
    ],
)
def test_what_cannot_be_planned_is_refused(arguments, message, capsys):
    assert main(["plan", *arguments]) == 1
    assert message in capsys.readouterr().err


def test_what_cannot_be_shared_does_not_shrink_with_threads():
    few, many = (estimate_build(10**9, 128, BuildConfig(threads=n), columns=20) for n in (1, 1_000 // 4))
    for slow, fast in zip(few.stages, many.stages, strict=True):
        assert slow.alone == fast.alone <= fast.seconds <= slow.seconds


def test_the_speed_of_a_core_is_of_the_order_of_one():
    assert 0.05 < estimate.calibrate() < 20


def test_times_scale_with_speed_and_threads():
    config = BuildConfig(threads=2)
    slow, fast = (estimate_build(1_000_000, 128, config, columns=16, speed=speed) for speed in (0.5, 2))
    assert slow.seconds == pytest.approx(4 * fast.seconds)
    assert of(1_000_000).seconds > estimate_build(1_000_000, 128, BuildConfig(threads=8), columns=16).seconds
    assert "scann, 2,000 leaves trained on 250,000 rows" in describe_estimate(slow, config)
