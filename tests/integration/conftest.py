"""Fixtures of tests that run the real parts in their own process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from atlas.storage import layout
from precompute.build.stage_runner import link


@pytest.fixture(autouse=True)
def no_load_outlives_its_test() -> Iterator[None]:
    """Indexes are loaded by threads: those must be done before the files go and the next test begins."""
    yield
    for thread in threading.enumerate():
        if thread.name == "load-index":
            thread.join(timeout=60)


@pytest.fixture
def root(demo_path: Path, tmp_path: Path) -> Path:
    """An atlas of the demo's galaxies that a test may change."""
    root = tmp_path / "atlas"
    for name in (layout.BUILDS, layout.CURRENT):
        link(demo_path / name, root / name)
    return root
