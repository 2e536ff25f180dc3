"""What `pip install` brings: the library, the command, the page's files, and no name that could clash."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from benchmarks.serving import ROOT, serve
from galaxy_finder.command import COMMANDS

EACH = """
from galaxy_finder.command import COMMANDS, main
for name in COMMANDS:
    try:
        assert not main([name, "--help"])
    except SystemExit as end:
        assert not end.code
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds what the wheel holds."""
    folder = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet", "-w", folder, ROOT]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run(installed: Path, *arguments: object, of: tuple[str, str] = ("-m", "galaxy_finder")) -> Any:
    """`galaxy-finder …`, from another folder; or other options of Python."""
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    return subprocess.run(
        [sys.executable, *of, *map(str, arguments)],
        cwd=installed.parent, env=environment, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def test_two_names_are_installed(installed: Path) -> None:
    assert {p.name for p in installed.iterdir() if p.suffix != ".dist-info"} == {"atlas", "galaxy_finder"}
    assert (installed / "atlas" / "py.typed").exists()
    written = {p.name for p in (ROOT / "assets").iterdir()}
    assert {p.name for p in (installed / "galaxy_finder" / "assets").iterdir()} - {"__init__.py"} == written


def test_each_command_explains_itself(installed: Path) -> None:
    listed = run(installed, "--help")
    assert listed.returncode == 0
    shown = run(installed, of=("-c", EACH))  # of one process, since each loads what its command needs
    assert shown.returncode == 0, shown.stderr
    for name in COMMANDS:
        assert re.search(rf"^  {name} +\w", listed.stdout, re.MULTILINE)
        assert f"usage: galaxy-finder {name}" in shown.stdout
    assert "--port" in shown.stdout and "--no-serve" in shown.stdout
    unknown = run(installed, "bild")
    assert unknown.returncode == 2 and "usage: galaxy-finder" in unknown.stderr


def test_without_an_atlas_the_commands_that_are_installed_are_named(installed: Path, tmp_path: Path) -> None:
    told = run(installed, "serve", "--atlas", tmp_path)
    assert told.returncode == 1
    assert "`galaxy-finder demo` builds one" in told.stderr and "`galaxy-finder build SOURCE --out" in told.stderr


def test_an_atlas_is_asked_and_served_from_another_folder(installed: Path, demo_path: Path, tmp_path: Path) -> None:
    told = run(installed, "info", demo_path)
    assert told.returncode == 0 and "galaxies" in told.stdout
    with serve(demo_path, tmp_path, module="galaxy_finder.dashboard", packages=installed) as server:
        page = urllib.request.urlopen(server.url).read().decode()
        (script,) = re.findall(r"assets/1-events\.js[^\"]*", page)
        assert urllib.request.urlopen(f"{server.url}/{script}").read() == (ROOT / "assets/1-events.js").read_bytes()


def test_what_is_pinned_is_what_is_needed() -> None:
    needed = [Requirement(r) for r in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]]
    lines = (line.partition("#")[0].strip() for line in (ROOT / "requirements.txt").read_text().splitlines())
    pinned = [Requirement(line) for line in lines if line]
    assert [(r.name, str(r.marker)) for r in needed] == [(r.name, str(r.marker)) for r in pinned]
    for least, exact in zip(needed, pinned, strict=True):
        (version,) = (one.version for one in exact.specifier)
        assert version in least.specifier, f"{exact} is not {least}"
