"""Tables as text, as spreadsheets, databases, archives and numpy write them: read whole, each assumption noted."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from precompute.errors import SourceError
from precompute.sources.catalog_files import open_catalog
from precompute.sources.source import open_source
from tests.unit.odd_files import DEC, RA, N, beside, noted, opened, stored

NAMES = [f"Peña Nº {i}" for i in range(N)]


def lines(cell: Callable[[int], Any], separator: str = ",") -> str:
    """Rows of right ascension, declination and a third column."""
    return "".join(separator.join((repr(float(RA[i])), repr(float(DEC[i])), str(cell(i)))) + "\n" for i in range(N))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"])
def test_text_in_any_common_encoding_keeps_its_letters(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "catalog.csv").write_bytes(("ra,dec,name\n" + lines(NAMES.__getitem__)).encode(encoding))
    source = opened(tmp_path)
    assert [text.decode() for text in stored(source, "name").array] == NAMES
    assert noted(source, "catalog.csv: is ") == (not encoding.startswith("utf-8"))


def test_curly_quotes_of_windows_are_quotes(tmp_path: Path) -> None:
    (tmp_path / "catalog.csv").write_bytes(("ra,dec,name\n" + lines(lambda i: f"Barnard’s {i}")).encode("cp1252"))
    assert stored(opened(tmp_path), "name").array[3].decode() == "Barnard’s 3"


@pytest.mark.parametrize("place", [0, 7, N - 1])
def test_digits_that_begin_with_a_zero_anywhere_stay_text(tmp_path: Path, place: int) -> None:
    ids = [str(10_000 + i) for i in range(N)]
    ids[place] = "00042"
    (tmp_path / "catalog.csv").write_text("ra,dec,objid\n" + lines(ids.__getitem__))
    source = opened(tmp_path)
    assert [text.decode() for text in stored(source, "objid").array] == ids
    assert noted(source, "'objid'", "begin with a zero")


def test_zero_itself_and_decimals_are_numbers(tmp_path: Path) -> None:
    (tmp_path / "catalog.csv").write_text("ra,dec,z\n" + lines(lambda i: ["0", "0.5", "00.5", "-0.5"][i % 4]))
    assert stored(opened(tmp_path), "z").array[:4].tolist() == [0, 0.5, 0.5, -0.5]


@pytest.mark.parametrize(
    "word", ["--", "-", "null", "NULL", "N/A", "NA", "None", "\\N", "nan", "NaN", "", " -- ", '""']
)
def test_words_for_missing_are_missing_among_numbers(tmp_path: Path, word: str) -> None:
    (tmp_path / "catalog.csv").write_text("ra,dec,z\n" + lines(lambda i: word if i % 3 else i / 10))
    z = stored(opened(tmp_path), "z")
    assert (z.kind, z.missing_count) == ("number", sum(i % 3 > 0 for i in range(N)))
    assert z.array[3] == 0.3


@pytest.mark.parametrize("word", ["--", "null", "N/A", "None", "\\N"])
def test_words_for_missing_are_missing_among_words_and_told(tmp_path: Path, word: str) -> None:
    (tmp_path / "catalog.csv").write_text("ra,dec,type\n" + lines(lambda i: word if i % 2 else "spiral"))
    column = stored(opened(tmp_path), "type")
    assert (column.vocabulary, column.missing_count) == (("spiral",), N // 2)
    assert column.notes == (f"read as missing: {word!r} in {N // 2} rows",)


def test_a_stray_word_among_numbers_is_told_with_its_row(tmp_path: Path) -> None:
    (tmp_path / "catalog.csv").write_text("ra,dec,z\n" + lines(lambda i: "saturated" if i == 7 else i / 10))
    source = opened(tmp_path)
    z = stored(source, "z")
    assert (z.kind, z.missing_count, z.array[8]) == ("number", 1, 0.8)
    assert noted(source, "column 'z'", "'saturated' in row 7", "read as missing")


def test_a_name_with_a_letter_among_whole_numbers_keeps_all_as_text(tmp_path: Path) -> None:
    (tmp_path / "catalog.csv").write_text("ra,dec,objid\n" + lines(lambda i: "7A" if i == 7 else i))
    source = opened(tmp_path)
    assert stored(source, "objid").array[6:9].tolist() == [b"6", b"7A", b"8"]
    assert noted(source, "'objid'", "'7A' in row 7", "kept as text")


@pytest.mark.parametrize("first", [-(2**62), 2**63, 10**30])
def test_whole_numbers_keep_every_digit(tmp_path: Path, first: int) -> None:
    (tmp_path / "catalog.csv").write_text("ra,dec,objid\n" + lines(lambda i: first + i))
    assert [int(value) for value in stored(opened(tmp_path), "objid").array] == [first + i for i in range(N)]


def test_numbers_with_a_plus_sign_or_in_fortran_are_numbers(tmp_path: Path) -> None:
    (tmp_path / "catalog.csv").write_text("ra,dec,x\n" + lines(lambda i: ["+1.5", "1.5D+02", ".5", "1e-3"][i % 4]))
    assert stored(opened(tmp_path), "x").array[:4].tolist() == [1.5, 150, 0.5, 0.001]


@pytest.mark.parametrize(
    "head",
    [
        "#Table1\nra,dec,mag\n",
        "# made by hand\n#\n\nra, dec , mag\n",
        "# ra,dec,mag\n",
        "\ufeffra,dec,mag\n",
        '"ra","dec","mag"\n',
    ],
)
def test_comments_and_spaces_around_the_header_are_no_part_of_it(tmp_path: Path, head: str) -> None:
    (tmp_path / "catalog.csv").write_text(head + lines(lambda i: i) + "# the end\n", encoding="utf-8")
    assert stored(opened(tmp_path), "mag").array.tolist() == list(range(N))


@pytest.mark.parametrize(("separator", "name"), [("\t", "catalog.tsv"), (";", "catalog.csv"), ("|", "catalog.csv")])
def test_the_separator_is_found(tmp_path: Path, separator: str, name: str) -> None:
    text = separator.join(("ra", "dec", "note")) + "\n" + lines(lambda i: f"a, b {i}", separator)
    (tmp_path / name).write_text(text)
    assert stored(opened(tmp_path), "note").vocabulary[0] == "a, b 0"


def test_a_decimal_comma_is_read_with_a_note(tmp_path: Path) -> None:
    (tmp_path / "catalog.csv").write_text("ra;dec;z\n" + lines(lambda i: i / 10, ";").replace(".", ","))
    source = opened(tmp_path)
    assert stored(source, "z").array[3] == 0.3
    assert noted(source, "decimal comma")


def test_units_below_the_header_are_units(tmp_path: Path) -> None:
    head = "#RESOURCE=a survey\n\nRAJ2000\tDEJ2000\tmag\ndeg\tdeg\tmag\n---------\t---------\t---\n"
    (tmp_path / "catalog.tsv").write_text(head + lines(lambda i: i, "\t"))
    source = opened(tmp_path)
    assert stored(source, "mag").array.tolist() == list(range(N))
    assert source.description.columns["mag"].unit == "mag"
    assert not noted(source, "names no unit")


@pytest.mark.parametrize(
    "head", ["ra,dec,mag_r\ndeg,deg,mag\n", "ra,dec,mag_r\ndeg,,mag\n", "RA [deg],Dec [deg],mag_r [mag]\n"]
)
def test_units_without_a_rule_or_in_brackets_are_units(tmp_path: Path, head: str) -> None:
    (tmp_path / "catalog.csv").write_text(head + lines(lambda i: i))
    source = opened(tmp_path)
    assert stored(source, "mag_r").array.tolist() == list(range(N))
    assert source.description.columns["mag_r"].unit == "mag"


def test_words_that_are_no_units_are_a_row_and_bands_in_brackets_names(tmp_path: Path) -> None:
    (tmp_path / "catalog.csv").write_text("ra,dec,note\n" + lines(lambda i: "deg" if i == 0 else "s"))
    assert len(stored(opened(tmp_path), "note").array) == N
    (tmp_path / "catalog.csv").write_text("ra,dec,mag [g]\n" + lines(lambda i: i))
    assert "mag_g" in opened(tmp_path).column_names


def test_returns_may_end_the_lines(tmp_path: Path) -> None:
    (tmp_path / "catalog.csv").write_bytes(("# old\nra,dec,mag\n" + lines(lambda i: i)).replace("\n", "\r").encode())
    assert stored(opened(tmp_path), "mag").array.tolist() == list(range(N))


def test_true_and_false_are_a_number_and_an_empty_column_is_missing(tmp_path: Path) -> None:
    (tmp_path / "catalog.csv").write_text("ra,dec,good,empty\n" + lines(lambda i: f"{i % 2 == 0},"))
    source = opened(tmp_path)
    assert stored(source, "good").array[:3].tolist() == [1, 0, 1]
    assert stored(source, "empty").missing_count == N


def test_compressed_tables_of_tabs_are_read(tmp_path: Path) -> None:
    (tmp_path / "catalog.tsv.gz").write_bytes(gzip.compress(("ra\tdec\tz\n" + lines(lambda i: i, "\t")).encode()))
    assert stored(opened(tmp_path), "z").array.tolist() == list(range(N))


def test_names_given_twice_are_both_kept_and_told(tmp_path: Path) -> None:
    (tmp_path / "catalog.csv").write_text("ra,dec,mag,mag,\n" + lines(lambda i: f"{i},{2 * i},{3 * i}"))
    source = opened(tmp_path)
    assert source.column_names == ("mag", "mag_2", "column_5")
    assert stored(source, "mag_2").array[3] == 6
    assert noted(source, "'mag' (column 4) is called 'mag_2'")


def test_a_row_of_too_many_cells_is_named(tmp_path: Path) -> None:
    (tmp_path / "catalog.csv").write_text("ra,dec,z\n" + lines(lambda i: "1,2" if i == 7 else 1))
    with pytest.raises(SourceError, match="Expected 3 columns, got 4"):
        open_source(beside(tmp_path))


def test_one_column_alone_names_the_separators(tmp_path: Path) -> None:
    (tmp_path / "catalog.csv").write_text("ra:dec\n" + "1:2\n" * N)
    with pytest.raises(SourceError, match="has one column, 'ra:dec': the separators known are"):
        open_source(beside(tmp_path))


def test_a_row_whose_cells_are_all_dashes_is_a_row(tmp_path: Path) -> None:
    (tmp_path / "catalog.csv").write_text("a,b,c\n--,--,--\n" + lines(lambda i: i))
    catalog = open_catalog(tmp_path / "catalog.csv")
    assert catalog.n_rows == N + 1
    assert np.ma.getmaskarray(np.ma.asarray(catalog.read("a")))[0]
