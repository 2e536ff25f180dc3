"""Atlases that tests share. Each is built once, by the command that a user would type, and kept under `.cache`."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from astropy.coordinates.name_resolve import sesame_url
from hypothesis import HealthCheck, settings
from playwright.sync_api import Browser

from atlas import Atlas
from benchmarks import serving
from precompute.build.add_space import add_space
from tests.sources import many_words, second_embedding, wide_numbers

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / ".cache" / "tests"
SMALL, LARGE = 20_000, 1_000_000

# Names that no test knows are asked for where nobody answers, at once.
sesame_url.set(["http://127.0.0.1:9/"])

# No example has to be quick: how long one takes says more of the machine's load than of the code.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

LONG = tuple(
    ROOT / "tests" / name
    for name in (
        "unit/benchmarks",
        "unit/precompute/descriptor/test_artefact_columns.py",
        "unit/precompute/simulation",
        "browser/test_many_words.py",
        "integration/test_new_build.py",
    )
)
"""What `make soak` tests besides a million rows, whose atlas takes minutes to build: what measures and what simulates,
what `integration/test_taking_up.py` tests within one process, and an atlas of columns of many words."""

DEALT_FIRST = (
    "browser/test_scale.py",
    "fault/test_command_line.py",
    "integration/test_new_build.py",
    "fault/test_damaged_builds.py",
    "integration/test_build.py",
    "integration/test_layouts.py",
    "unit/precompute/simulation/test_image_survey.py",
    "browser/test_page.py",
)
"""Files in the order in which `make test` deals them to its processes, before all others: the longest, so that short
ones level out the end. In `make soak` the first asks for the atlas of a million galaxies and the last finds it built;
what one process compiles to render galaxies, others find compiled."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--actions", type=int, default=25, help="what is done in an afternoon of tests/browser/test_afternoon"
    )
    parser.addoption("--seed", type=int, default=1, help="which afternoon it is")


@pytest.fixture(scope="session")
def afternoon(request: pytest.FixtureRequest) -> tuple[int, int]:
    """How many actions, and their seed."""
    return request.config.getoption("--actions"), request.config.getoption("--seed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "large_path" in getattr(item, "fixturenames", ()) or {item.path, *item.path.parents} & {*LONG}:
            item.add_marker(pytest.mark.soak)
    place = {ROOT / "tests" / name: i for i, name in enumerate(DEALT_FIRST)}
    items.sort(key=lambda item: place.get(item.path, len(place)))


def precompute(*arguments: object) -> None:
    """Run `python -m precompute …`; what it printed is told where it fails."""
    command = [sys.executable, "-m", "precompute", *map(str, arguments)]
    result = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert result.returncode == 0, f"{' '.join(command)}\n{result.stdout}\n{result.stderr}"


@contextmanager
def one_process_at_a_time(out: Path) -> Iterator[None]:
    """Of the processes that `make test` deals the tests to, the first builds an atlas and the others find it built."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.with_name(f"{out.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def simulated(n: int, dimension: int, *parameters: object) -> Path:
    """The atlas of a simulated survey of n galaxies."""
    out = KEPT / f"simulated-{n}"
    source = source_of(out)
    with one_process_at_a_time(out):
        if not (source / "source.json").exists():
            precompute("--quiet", "simulate", n, "--dimension", dimension, "--out", source)
        precompute("--quiet", "build", source, "--out", out, *parameters)
    return out


def source_of(out: Path) -> Path:
    """What one of these atlases was built from."""
    return out.with_name(f"{out.name}-source")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The one browser of a process."""
    with serving.browser() as browser:
        yield browser


@pytest.fixture(scope="session")
def demo_path() -> Path:
    """The Hubble eXtreme Deep Field: some 950 real galaxies."""
    out = KEPT / "xdf"
    with one_process_at_a_time(out):
        precompute("--quiet", "demo", "--out", out)
    return out


@pytest.fixture(scope="session")
def spaces_path(demo_path: Path) -> Path:
    """The demo with a second embedding of its galaxies, joined by id."""
    out = KEPT / "two-spaces"
    source = source_of(out)
    with one_process_at_a_time(out):
        of = (demo_path / "CURRENT").read_text()
        if not (source / "of").exists() or (source / "of").read_text() != of:
            for old in (out, source):
                shutil.rmtree(old, ignore_errors=True)
            shutil.copytree(demo_path, out)
            second_embedding(Atlas.open(demo_path), source)
            (source / "of").write_text(of)
        add_space(out, "v2", str(source / "v2.parquet"), quiet=True)
    return out


@pytest.fixture(scope="session")
def small_path() -> Path:
    """20,000 simulated galaxies: enough for a real index, built in half a minute."""
    return simulated(SMALL, 128, "--subsample", 4_000, "--n-epochs", 100, "--recall-queries", 60)


@pytest.fixture(scope="session")
def large_path() -> Path:
    """A million simulated galaxies, built within minutes: every promise of scale is tested here.

    Scale is in the rows: fewer numbers each, fewer to train on and fewer queries to measure with halve the time.
    """
    return simulated(
        LARGE, 64, "--subsample", 20_000, "--n-epochs", 200, "--tree-sample", 100_000, "--recall-queries", 40
    )


def written(name: str, write: Callable[[Path], None]) -> Path:
    """The atlas of a source that a function writes."""
    out = KEPT / name
    source = source_of(out)
    with one_process_at_a_time(out):
        if not (source / "catalog.parquet").exists():
            write(source)
        precompute("--quiet", "build", source, "--out", out)
    return out


@pytest.fixture(scope="session")
def numbers_path() -> Path:
    """2,000 galaxies whose columns hold dates, masses, luminosities and long ids, or are called as the page does."""
    return written("wide-numbers", wide_numbers)


@pytest.fixture(scope="session")
def words_path() -> Path:
    """2,000 galaxies with a column of 200 words and one of text."""
    return written("many-words", many_words)


@pytest.fixture(scope="session")
def demo(demo_path: Path) -> Atlas:
    return Atlas.open(demo_path)


@pytest.fixture(scope="session")
def spaces(spaces_path: Path) -> Atlas:
    return Atlas.open(spaces_path)


@pytest.fixture(scope="session")
def small(small_path: Path) -> Atlas:
    return Atlas.open(small_path)


@pytest.fixture(scope="session")
def numbers(numbers_path: Path) -> Atlas:
    return Atlas.open(numbers_path)


@pytest.fixture(scope="session")
def words(words_path: Path) -> Atlas:
    return Atlas.open(words_path)


@pytest.fixture(scope="session")
def large(large_path: Path) -> Atlas:
    return Atlas.open(large_path)
