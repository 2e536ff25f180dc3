"""The direction of the packages: precompute → atlas ← dashboard, and nothing heavy where pages are served."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FORBIDDEN = {
    "atlas": {"precompute", "dashboard", "benchmarks", "umap", "numba", "sklearn", "dash", "flask", "plotly"},
    "precompute": {"dashboard", "benchmarks", "dash", "flask", "plotly"},
    "dashboard": {"precompute", "benchmarks", "umap", "pynndescent", "numba", "sklearn"},
    "benchmarks": {"tests"},
}


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("package", FORBIDDEN)
def test_packages_import_in_one_direction_only(package: str) -> None:
    wrong = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in (ROOT / package).rglob("*.py")
        for name in imported(path) & FORBIDDEN[package]
    }
    assert not wrong


def test_serving_loads_neither_umap_nor_numba_nor_sklearn(demo_path: Path, tmp_path: Path) -> None:
    code = f"import sys, dashboard.wsgi\nprint(sorted({FORBIDDEN['dashboard']} & set(sys.modules)))"
    cache = tmp_path / "cache"
    environment = {**os.environ, "GALAXY_FINDER_ATLAS": str(demo_path), "GALAXY_FINDER_CACHE_DIR": str(cache)}
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize(("package", "most"), [*((package, 450) for package in FORBIDDEN), ("tests", 500)])
def test_modules_read_in_one_sitting(package: str, most: int) -> None:
    lines = {path.relative_to(ROOT): len(path.read_text().splitlines()) for path in (ROOT / package).rglob("*.py")}
    assert not {str(path): n for path, n in lines.items() if n > most}
