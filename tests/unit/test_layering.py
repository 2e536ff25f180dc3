"""The direction of the packages: precompute → atlas ← dashboard, nothing heavy where pages are served, and names that
mean one thing."""

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
FACES = {
    **dict.fromkeys(("down_revision", "revision", "upgrade"), "every step of the labels' tables says them"),
    "drawer": "every view with a drawer fills it",
    "main": "a command's entry",
    "picture": "what the graph of each plane shows",
    "register": "every view registers its callback",
}
"""Functions that several modules have, as they are called by the module's name."""


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


def named(path: Path) -> set[str]:
    """Public classes, functions and aliases of types that a module defines; variables of types belong to it alone."""
    names = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign) and "TypeVar(" not in ast.unparse(node.value):
            names |= {name for target in node.targets if not (name := ast.unparse(target)).isupper()}
    return {name for name in names if not name.startswith("_")}


def test_a_public_name_is_defined_once() -> None:
    where: dict[str, list[str]] = {}
    for package in ("atlas", "dashboard", "precompute"):
        for path in (ROOT / package).rglob("*.py"):
            for name in named(path) - FACES.keys():
                where.setdefault(name, []).append(str(path.relative_to(ROOT)))
    assert not {name: paths for name, paths in where.items() if len(paths) > 1}


def test_serving_loads_neither_umap_nor_numba_nor_sklearn_nor_what_nobody_asked_for(
    demo_path: Path, tmp_path: Path
) -> None:
    # Redis's client takes OpenTelemetry's SDK where it finds one.
    dear = FORBIDDEN["dashboard"] | {"opentelemetry.exporter", "distributed", "pymilvus", "authlib"}
    code = f"import sys, dashboard.wsgi\nprint(sorted({dear} & set(sys.modules)))"
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


def test_no_callback_is_longer_than_fifty_lines() -> None:
    functions = [
        (path.name, node)
        for path in (ROOT / "dashboard").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
        and any(ast.unparse(one).startswith("app.callback") for one in node.decorator_list)
    ]
    assert len(functions) > 8
    assert not [(name, one.name) for name, one in functions if one.end_lineno - one.lineno >= 50]


def test_docstrings_open_with_a_noun_or_a_verb() -> None:
    clauses = {"How", "What", "Where", "Which", "Who", "Why"}
    opened = {
        f"{path.relative_to(ROOT)}: {told.splitlines()[0]}"
        for package in ("atlas", "dashboard", "precompute")
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and (told := ast.get_docstring(node))
        if told.split()[0] in clauses
    }
    assert not opened
