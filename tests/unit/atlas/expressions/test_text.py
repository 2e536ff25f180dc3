"""Columns of text in conditions: compared whole, looked into, and completed."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from atlas.catalog.columns import Columns
from atlas.expressions.parser import normalised
from atlas.expressions.text import contains, equals, examples
from tests.unit.atlas.expressions.test_expression import NAMES, WORDS, Arrays, N, completed, holds, opened, survey


@pytest.fixture(scope="module")
def arrays() -> Arrays:
    return survey()


@pytest.fixture(scope="module")
def columns(arrays: Arrays, tmp_path_factory: pytest.TempPathFactory) -> Columns:
    return opened(tmp_path_factory.mktemp("columns"), arrays)


def test_text_is_compared_whole_or_looked_into(columns: Columns, arrays: Arrays) -> None:
    of = np.array([value.decode() for value in arrays["name"]])
    known = of != ""
    cases = {
        'name == "NGC 1300"': of == "NGC 1300",
        '"NGC 1300" != name': known & (of != "NGC 1300"),
        'name == "NGC 13000000000000"': np.zeros(N, dtype=bool),
        'name in ("NGC 1300", "Télescope")': (of == "NGC 1300") | (of == "Télescope"),
        'name not in ("NGC 1300", "3C 273")': known & (of != "NGC 1300") & (of != "3C 273"),
        'contains(name, "ngc")': np.char.find(of, "NGC") >= 0,
        'name contains "lesc" & mag_g < 99': (of == "Télescope") & (arrays["mag_g"] < 99),
        "~contains(name, '1')": np.char.find(of, "1") < 0,
        "missing(name)": ~known,
        'contains(kind, "s")': arrays["kind"] == WORDS.index("PSF"),
    }
    for text, expected in cases.items():
        assert np.array_equal(holds(text, columns), expected), text
    assert normalised('name contains "lesc"') == 'contains(name, "lesc")'


def test_after_a_text_some_of_its_words_are_offered(columns: Columns) -> None:
    assert completed("name == |", columns) == tuple(f'name == "{word}"' for word in sorted(filter(None, NAMES)))
    assert completed('name in ("3C 273", "ngc|', columns) == tuple(
        f'name in ("3C 273", "{word}"' for word in ("NGC 1300", "NGC 4151")
    )
    assert completed('contains(name, "13|', columns) == ('contains(name, "NGC 1300"',)
    assert completed('name contains "é|', columns) == ('name contains "Télescope"',)


def test_a_million_texts_are_looked_through_at_once(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    names = np.array([f"J{number:09d} — été".encode() for number in rng.integers(0, 10**9, 1_000_000)])
    sought = names[777_777].decode()
    began = time.perf_counter()
    found = contains(names, sought[:6].lower())
    assert time.perf_counter() - began < 5
    assert found[777_777] and 0 < found.sum() < 100
    assert np.flatnonzero(equals(names, sought)).tolist() == [777_777]
    assert equals(names, sought + "x").sum() == 0
    assert examples(names, sought[:10], 8) in ([], [sought])  # beyond the rows that are searched for examples
    assert len(examples(names, "", 8)) == 8
