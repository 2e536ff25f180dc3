"""Atlases that tests share. Each is built once, by the command that a user would type, and kept under `.cache`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from atlas import Atlas
from tests import serving

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / ".cache" / "tests"
SMALL, LARGE = 20_000, 1_000_000


def precompute(*arguments: object) -> None:
    """Run `python -m precompute …`; its progress goes to the terminal."""
    command = [sys.executable, "-m", "precompute", *map(str, arguments)]
    result = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert result.returncode == 0, f"{' '.join(command)}\n{result.stdout}\n{result.stderr}"


def simulated(n: int, *parameters: object) -> Path:
    """The atlas of a simulated survey of n galaxies."""
    source, out = KEPT / f"simulated-{n}-source", KEPT / f"simulated-{n}"
    if not (source / "source.json").exists():
        precompute("--quiet", "simulate", n, "--out", source)
    precompute("--quiet", "build", source, "--out", out, *parameters)
    return out


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The one browser of all tests."""
    with serving.browser() as browser:
        yield browser


@pytest.fixture(scope="session")
def demo_path() -> Path:
    """The Hubble eXtreme Deep Field: some 950 real galaxies."""
    precompute("--quiet", "demo", "--out", KEPT / "xdf")
    return KEPT / "xdf"


@pytest.fixture(scope="session")
def small_path() -> Path:
    """20,000 simulated galaxies: enough for a real index, built in half a minute."""
    return simulated(SMALL, "--subsample", 4_000, "--n-epochs", 100, "--recall-queries", 60)


@pytest.fixture(scope="session")
def large_path() -> Path:
    """A million simulated galaxies, built within minutes: every promise of scale is tested here."""
    return simulated(LARGE, "--subsample", 20_000, "--n-epochs", 200, "--recall-queries", 100)


@pytest.fixture(scope="session")
def demo(demo_path: Path) -> Atlas:
    return Atlas.open(demo_path)


@pytest.fixture(scope="session")
def small(small_path: Path) -> Atlas:
    return Atlas.open(small_path)


@pytest.fixture(scope="session")
def large(large_path: Path) -> Atlas:
    return Atlas.open(large_path)
