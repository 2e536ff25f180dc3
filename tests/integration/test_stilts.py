"""Files for other tools, read by STILTS as Debian has it, which is what TOPCAT reads by."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from atlas import Atlas

STILTS = shutil.which("stilts")
pytestmark = [pytest.mark.soak, pytest.mark.skipif(STILTS is None, reason="stilts is not installed")]


def stilts(*words: str) -> str:
    told = subprocess.run([str(STILTS), *words], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    return told.stdout + told.stderr


def test_stilts_reads_tables_and_finds_their_galaxies_in_the_coverage(demo: Atlas, tmp_path: Path) -> None:
    found = demo.similar(rows=30, k=50)
    paths = {ending: tmp_path / f"out.{ending}" for ending in ("vot", "fits", "moc.fits")}
    for path in paths.values():
        found.save(path)
    assert stilts("votlint", str(paths["vot"])) == ""
    for ending, form in (("vot", "votable"), ("fits", "fits")):
        inside = f"select 'inMoc(\"{paths['moc.fits']}\",ra,dec)'"
        assert "rows: 50" in stilts("tpipe", f"in={paths[ending]}", f"ifmt={form}", f"cmd={inside}", "omode=count")
