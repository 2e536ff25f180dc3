"""The real command, killed while it appends: the atlas is as it was, and the same command goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from atlas import Atlas
from atlas.storage import layout
from atlas.storage.validate import validate
from precompute.build.pipeline import build
from precompute.config import BuildConfig
from precompute.simulation.catalog_survey import simulate_survey
from tests.sources import some_rows

QUICK = BuildConfig(subsample=600, n_epochs=30, recall_queries=10, threads=1)
PATIENCE_S = 120


@pytest.mark.soak
def test_a_killed_command_leaves_the_atlas_and_goes_on(tmp_path: Path) -> None:
    simulate_survey(14_000, tmp_path / "all", seed=4, dimension=32, quiet=True)
    build(some_rows(tmp_path / "all", tmp_path / "a", 0, 1_500), tmp_path / "atlas", QUICK, quiet=True)
    some_rows(tmp_path / "all", tmp_path / "b", 1_500, 14_000)
    command = [sys.executable, "-m", "precompute", "--quiet", "append", tmp_path / "b", "--out", tmp_path / "atlas"]

    # The index of as many rows takes seconds; it is killed while that is under way.
    killed = subprocess.Popen([str(part) for part in command])
    until = time.monotonic() + PATIENCE_S
    started = f".*.partial/{layout.SEGMENTS}/1/{layout.STAGES}/index.started"
    while not list((tmp_path / "atlas" / layout.BUILDS).glob(started)):
        assert killed.poll() is None and time.monotonic() < until
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert Atlas.open(tmp_path / "atlas").n_rows == 1_500
    assert validate(tmp_path / "atlas") == []

    subprocess.run([str(part) for part in command], check=True)
    atlas = Atlas.open(tmp_path / "atlas")
    assert atlas.n_rows == 14_000 and validate(tmp_path / "atlas") == []
    assert atlas.space().index.n_rows == 14_000
    assert not list((tmp_path / "atlas" / layout.BUILDS).glob(".*"))
