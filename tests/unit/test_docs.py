"""The README keeps up with the program."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dashboard.settings import document
from precompute.__main__ import main

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()


def test_every_setting_is_documented() -> None:
    assert document() in README


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\(((?!https?:)[^)#]+)\)", README))))
def test_every_file_that_the_readme_names_exists(path: str) -> None:
    assert (Path(__file__).resolve().parents[2] / path).exists()


@pytest.mark.parametrize("command", ["demo", "simulate", "plan", "build", "info", "validate"])
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    assert "usage:" in capsys.readouterr().out


def test_no_placeholder_is_left() -> None:
    assert "@@" not in README
