"""Every cell of a catalogue comes back as the format's own writer took it, whatever its type, name or nulls."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from astropy.table import MaskedColumn, Table
from hypothesis import given, settings
from hypothesis import strategies as st

from precompute.sources.catalog_files import open_catalog
from precompute.sources.column_types import normalize_column, plan_columns
from tests.unit.precompute.sources.written_sources import WRITERS

N = 6
DTYPES = ("u1", "i2", "i4", "i8", "f4", "f8")
LETTERS = st.characters(categories=["Lu", "Ll"])


def numbers(dtype: str) -> st.SearchStrategy[list[float]]:
    """Of that type; the least integer stands for null in several formats."""
    if dtype[0] == "f":
        one = st.floats(width=32, allow_nan=False, allow_infinity=False, allow_subnormal=False)
    else:
        bounds = np.iinfo(dtype)
        one = st.integers(int(bounds.min) + 1, int(bounds.max) - 1)
    return st.lists(one, min_size=N, max_size=N)


@st.composite
def columns(draw: st.DrawFn, letters: st.SearchStrategy[str]) -> dict[str, Any]:
    """Columns of numbers and words by names of any letters, a few cells without a value."""
    names = draw(st.lists(st.text(letters, min_size=1, max_size=8), min_size=1, max_size=3, unique_by=str.lower))
    found: dict[str, Any] = {}
    for name in names:
        mask = draw(st.lists(st.booleans(), min_size=N, max_size=N))
        dtype = draw(st.sampled_from((*DTYPES, "text")))
        if dtype == "text":
            mask[0] = False  # the type of a column of no word at all is another
            words = [f"w{word}" for word in draw(st.lists(st.text(letters, max_size=6), min_size=N, max_size=N))]
            found[f"t{name}"] = MaskedColumn(words, mask=mask)
        else:
            found[f"n{name}"] = MaskedColumn(np.array(draw(numbers(dtype)), dtype), mask=mask)
    return found


@pytest.mark.parametrize("name", WRITERS)
@given(data=st.data())
@settings(max_examples=12)
def test_every_cell_comes_back(name: str, data: st.DataObject) -> None:
    # FITS and the names of a VOTable are ASCII.
    plain = st.sampled_from("abcXYZ")
    written = data.draw(columns(plain if name.endswith((".fits", ".vot")) else LETTERS))
    table = Table({"ra": np.arange(N) * 1.0, **written})
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        WRITERS[name](path, table)
        catalog = open_catalog(path)
        stored = {column.file_name: column for column in plan_columns(catalog.columns)[0]}
        for column, raw in written.items():
            values = normalize_column(catalog.read(stored[column].file_name), catalog.columns[0].description)
            mask = np.ma.getmaskarray(raw)
            if raw.dtype.kind != "U":
                cells = [None if lacks else value for value, lacks in zip(raw.data.tolist(), mask, strict=True)]
                found = [None if x != x else x for x in values.array.tolist()]
                if values.kind == "text":  # integers of too many digits for a float beside one that is missing
                    found = [int(x) if x else None for x in values.array.tolist()]
                elif mask.all():
                    found = [None] * N if values.missing_count == N else found
                assert found == cells
            else:
                words = [*values.vocabulary, *[None] * (256 - len(values.vocabulary))]
                found = [None] * N if values.missing_count == N else [words[code] for code in values.array]
                assert found == [None if lacks else str(w) for w, lacks in zip(raw.data, mask, strict=True)]
