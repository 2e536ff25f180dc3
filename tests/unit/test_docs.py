"""The documents keep up with the program."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dashboard.settings import document
from galaxy_finder.command import COMMANDS
from precompute.__main__ import main

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = {path: path.read_text() for path in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])}
LINK = re.compile(r"\]\(((?!https?:)[^)\s]+)\)")
MODULE = re.compile(r"python -m ((?:benchmarks|precompute|atlas|dashboard)[\w.]*)")
IN_CODE = re.compile(r"`((?:atlas|dashboard|precompute|galaxy_finder|tests|assets)/[\w./-]*)`")
NAMED = (
    re.compile(r"`(\w+)`\s+of\s+`([\w/-]+\.(?:py|js|ts))`"),  # `STAGES` of `precompute/stages/order.py`
    re.compile(r"`([\w/-]+\.(?:py|js|ts)):\s+(\w+)`"),  # `dashboard/callbacks.py: on_event`
)


def said(pattern: re.Pattern[str]) -> list[tuple[str, str]]:
    """What the documents name, with the document that does."""
    found = {(path, name) for path, text in DOCUMENTS.items() for name in pattern.findall(text)}
    return sorted((str(path.relative_to(ROOT)), name) for path, name in found)


def test_every_setting_is_documented() -> None:
    assert document() in DOCUMENTS[ROOT / "docs" / "serving.md"]


@pytest.mark.parametrize(("document", "link"), said(LINK))
def test_links_lead_somewhere(document: str, link: str) -> None:
    file, _, part = link.partition("#")
    path = (ROOT / document).parent / file if file else ROOT / document
    assert path.exists()
    if part:
        headings = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
        assert part in {re.sub(r"[^\w -]", "", h).strip().lower().replace(" ", "-") for h in headings}


@pytest.mark.parametrize(("document", "module"), said(MODULE))
def test_commands_exist(document: str, module: str) -> None:
    path = ROOT / module.rstrip(".").replace(".", "/")
    assert path.with_suffix(".py").exists() or (path / "__main__.py").exists()


@pytest.mark.parametrize(("document", "path"), said(IN_CODE))
def test_places_in_the_code_exist(document: str, path: str) -> None:
    assert document == "CHANGELOG.md" or (ROOT / path).exists()


@pytest.mark.parametrize("document", ["CONTRIBUTING.md", "ARCHITECTURE.md"])
def test_names_in_the_code_are_where_the_guides_say(document: str) -> None:
    text = DOCUMENTS[ROOT / document]
    of, within = (pattern.findall(text) for pattern in NAMED)
    named = [*of, *((name, path) for path, name in within)]
    assert len(named) >= 4
    for name, path in named:
        files = [file for room in ("atlas", "dashboard", "precompute") for file in (ROOT / room).rglob(Path(path).name)]
        (file,) = (file for file in files if f"/{file.relative_to(ROOT)}".endswith(f"/{path}"))
        assert re.search(rf"\b{name}\b", file.read_text()), f"{path} has no {name}"


@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in ("serve", "replay", "labels", "export")])
def test_every_command_explains_every_parameter(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    shown = capsys.readouterr().out
    # What is explained is followed by words, on its line or the next.
    given = re.findall(r"^  (--[\w-]+(?: [A-Z_]+)?|[A-Z]+)(?:  +| *\n +)?([^\s-].*)?$", shown, re.MULTILINE)
    assert given and all(words for _, words in given)


def test_the_readme_names_every_command() -> None:
    (listed,) = re.findall(r"`galaxy-finder ([^`]*\|[^`]*)`", DOCUMENTS[ROOT / "README.md"])
    assert set(re.split(r"\s*\|\s*", listed)) == set(COMMANDS)


def test_the_readme_is_read_in_one_sitting() -> None:
    assert len(DOCUMENTS[ROOT / "README.md"].splitlines()) <= 130


def test_no_placeholder_is_left() -> None:
    assert not any("@@" in text for text in DOCUMENTS.values())
