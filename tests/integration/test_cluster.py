"""Builds by a real Dask scheduler and two workers: the bytes of one machine, also where a worker is killed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import msgspec
import pytest

from atlas.errors import ResourceError
from atlas.storage import layout
from atlas.storage.validate import open_current, validate
from precompute import cluster
from precompute.build.add_space import add_space
from precompute.build.pipeline import build
from precompute.config import BuildConfig
from precompute.descriptor.artefact_columns import COLUMNS
from precompute.sources.source import open_source
from precompute.stages import anomalies, artefacts, knn, measure, place, thumbnails
from precompute.stages.stage import StageContext
from tests.conftest import KEPT, ROOT, source_of

pytestmark = pytest.mark.soak
PATIENCE_S = 60
PASSES = (anomalies, artefacts, knn, measure, place, thumbnails)
CONFIG = BuildConfig(subsample=400, n_epochs=30, recall_queries=5, threads=1)
TIMED = {"spaces/v1/quality.json"}
"""Files that tell how long something took, beside the records of the stages."""


class Cluster:
    """A scheduler and two workers of one thread, each a process.

    Attributes
    ----------
    address : str
    workers : list of Popen
    """

    def __init__(self, folder: Path) -> None:
        told = folder / "scheduler.json"
        self.scheduler = self._start(folder, "scheduler", "--port", "0", "--scheduler-file", told)
        until = time.monotonic() + PATIENCE_S
        while not told.exists() or not told.read_text().endswith("}"):
            assert time.monotonic() < until and self.scheduler.poll() is None
            time.sleep(0.1)
        self.address = json.loads(told.read_text())["address"]
        self.workers = [
            self._start(folder, "worker", self.address, "--nthreads", "1", "--no-nanny", "--local-directory", folder)
            for _ in range(2)
        ]

    def _start(self, folder: Path, kind: str, *arguments: object) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "dask", kind, *map(str, arguments), "--no-dashboard", "--host", "127.0.0.1"]
        with (folder / f"{kind}-{time.monotonic_ns()}.log").open("wb") as log:
            # What a test calls on a worker is found from the root of the repository.
            environment = os.environ | {"PYTHONPATH": str(ROOT)}
            return subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)

    def end(self) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()


@pytest.fixture
def dask(tmp_path: Path) -> Iterator[Cluster]:
    folder = tmp_path / "cluster"
    folder.mkdir()
    started = Cluster(folder)
    yield started
    started.end()


def test_a_build_has_the_bytes_of_one_machine(
    demo_path: Path, dask: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in PASSES:
        monkeypatch.setattr(module, "CHUNK_ROWS", 64)
    source = open_source(source_of(demo_path), skipped=tuple(COLUMNS))  # so that artefacts are measured
    build(source, tmp_path / "alone", CONFIG, quiet=True)
    asked: set[str] = set()
    map_ = cluster.DaskWorkers.map

    def noted(self, work, chunks):  # type: ignore[no-untyped-def]
        asked.add(work.func.__module__.rpartition(".")[2])
        return map_(self, work, chunks)

    monkeypatch.setattr(cluster.DaskWorkers, "map", noted)
    build(source, tmp_path / "shared", CONFIG, scheduler=dask.address, quiet=True)
    assert asked == {module.__name__.rpartition(".")[2] for module in PASSES}
    (alone, shared) = (open_current(tmp_path / name)[1] for name in ("alone", "shared"))
    assert alone.build_id == shared.build_id, "the keys of all stages are equal"
    assert alone.files.keys() == shared.files.keys()
    differ = {name for name in alone.files if alone.files[name].sha256 != shared.files[name].sha256}
    assert {name for name in differ - TIMED if not name.startswith(layout.STAGES)} == set()
    assert validate(tmp_path / "shared") == []


def test_a_further_space_has_the_bytes_of_one_machine(spaces_path: Path, dask: Cluster, tmp_path: Path) -> None:
    alone = open_current(spaces_path)[1]
    out = tmp_path / "shared"
    shutil.copytree(KEPT / "xdf", out)
    add_space(out, "v2", str(source_of(spaces_path) / "v2.parquet"), scheduler=dask.address, quiet=True)
    shared = open_current(out)[1]
    arrays = [name for name in alone.files if name.startswith("spaces/v2") and name.endswith(".npy")]
    assert arrays and {name: shared.files[name] for name in arrays} == {name: alone.files[name] for name in arrays}


def slowly(folder: Path, number: int) -> int:
    (folder / f"{number}-{os.getpid()}").touch()
    time.sleep(0.1)
    return number**2


def test_a_killed_worker_costs_the_chunks_that_it_had(dask: Cluster, tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    calls.mkdir()
    with cluster.connected(dask.address, tmp_path) as workers:
        found = workers.map(partial(slowly, calls), range(60))
        first = [next(found) for _ in range(10)]
        dask.workers[0].kill()
        assert first + list(found) == [number**2 for number in range(60)]
    twice = len(list(calls.iterdir())) - 60
    assert 1 <= twice <= 2 * cluster.CHUNKS_A_THREAD
    assert not list(tmp_path.glob(".*.partial"))


def test_a_scheduler_that_ends_is_named_and_the_stage_goes_on_here(dask: Cluster, tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    calls.mkdir()
    with (
        pytest.raises(ResourceError, match=rf"no Dask scheduler answers at {dask.address}.*same command"),
        cluster.connected(dask.address, tmp_path) as workers,
    ):
        for number, _ in enumerate(workers.map(partial(slowly, calls), range(60))):
            if number == 5:
                dask.scheduler.kill()


def test_an_error_of_a_chunk_is_told_as_it_is_on_one_machine(dask: Cluster, tmp_path: Path) -> None:
    with cluster.connected(dask.address, tmp_path) as workers, pytest.raises(FileNotFoundError):
        list(workers.map(partial(slowly, tmp_path / "nowhere"), range(6)))


def blind(path: str) -> tuple[str, dict[str, str]]:
    """What a worker would answer that sees another file system."""
    return "", cluster.installed_versions()


def test_a_file_system_that_is_not_shared_is_refused(
    dask: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "read_probe", blind)
    with pytest.raises(ResourceError, match="does not see"), cluster.connected(dask.address, tmp_path):
        pass


def test_a_context_without_workers_has_threads(tmp_path: Path) -> None:
    ctx = StageContext(tmp_path, msgspec.structs.replace(CONFIG, threads=3), name="some", quiet=True)
    assert ctx.workers is ctx.here and ctx.here.count == 3
