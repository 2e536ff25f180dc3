"""Typed conditions: how they are read, where they are wrong, what they hold. numpy is the oracle of every value."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atlas.catalog.columns import Columns
from atlas.errors import ExpressionError, InputError
from atlas.expressions import evaluate as expression_mask
from atlas.expressions.check import complete, names, parse
from atlas.expressions.evaluate import expression_mask as mask_of
from atlas.expressions.parser import FUNCTIONS, MAX_CHARACTERS, MAX_NESTING, normalised, read
from atlas.expressions.tree import write
from atlas.queries.selection import And, Expression, Not, canonical, encode_selection
from atlas.storage.manifest import Column

N = 3_000
WORDS = ("PSF", "REX", "DEV O'X")
NAMES = ("", "NGC 1300", "NGC 4151", "3C 273", "Télescope")
Arrays = dict[str, np.ndarray[Any, Any]]


def survey(n: int = N) -> Arrays:
    """Columns of every stored type, with all that may go wrong in them."""
    rng = np.random.default_rng(4)
    odd = np.array([np.nan, np.inf, -np.inf, 0, -0.0, 1, -1, 0.3], dtype=np.float32)

    def spoiled(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.where(rng.random(n) < 0.2, rng.choice(odd, n), values).astype(values.dtype)

    return {
        "mag_g": spoiled(rng.normal(20, 2, n).astype(np.float32)),
        "mag_r": spoiled(rng.normal(19, 2, n).astype(np.float32)),
        "z_phot": spoiled(rng.uniform(0, 1, n).astype(np.float16)),
        "ra": spoiled(rng.uniform(0, 360, n)),
        "cluster": rng.integers(-1, 30, n).astype(np.int16),
        "objid": rng.integers(2**62, 2**62 + 40, n),
        "edge": rng.integers(0, 2, n).astype(np.uint8),
        "maskbits": rng.integers(0, 2**16, n).astype(np.uint16),
        "signed": rng.integers(-(2**31), 2**31, n).astype(np.int32),
        "kind": rng.choice(np.array([0, 1, 2, 255], dtype=np.uint8), n),
        "name": rng.choice(np.array([text.encode() for text in NAMES]), n),
    }


def opened(folder: Path, arrays: Arrays) -> Columns:
    described = []
    n = 0
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
        dtype = array.dtype.str.lstrip("|") if array.dtype.kind == "S" else array.dtype.name
        kind: Any = {"kind": "category", "maskbits": "flags", "name": "text"}.get(name, "number")
        words = WORDS if kind == "category" else ()
        described.append(Column(name=name, file=f"{name}.npy", dtype=dtype, kind=kind, vocabulary=words))
        n = array.size
    return Columns(folder, tuple(described), n)


@pytest.fixture(scope="module")
def arrays() -> Arrays:
    return survey()


@pytest.fixture(scope="module")
def columns(arrays: Arrays, tmp_path_factory: pytest.TempPathFactory) -> Columns:
    return opened(tmp_path_factory.mktemp("columns"), arrays)


def holds(text: str, columns: Columns, n: int = N) -> np.ndarray[Any, Any]:
    return mask_of(parse(text, columns), columns, n).dense


# The oracle: random conditions, each written as an expression and, side by side, as a function of numpy arrays.

Numbers = tuple[str, Callable[[Arrays], Any]]


def wide(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A column as arithmetic sees it."""
    if array.dtype.kind == "f" and array.dtype.itemsize >= 4:
        return array
    return array.astype(np.float32 if array.dtype.itemsize <= 2 else np.float64)


def without(undefined: Any, value: Any) -> Any:
    result = np.array(value)
    result[np.broadcast_to(undefined, result.shape)] = np.nan
    return result if result.ndim else float(result)


def plain(value: Any) -> Any:
    """numpy's own scalars would raise the precision of an array; Python's do not."""
    return float(value) if np.ndim(value) == 0 else value


def divided(a: Any, b: Any) -> Any:
    return without(np.equal(b, 0), np.divide(a, b))


def raised(a: Any, b: Any) -> Any:
    result = np.power(np.float64(a) if np.ndim(a) == np.ndim(b) == 0 else a, b)
    return without(np.equal(a, 0) & np.isinf(result), result)


ONE = {
    "abs": np.abs,
    "sqrt": np.sqrt,
    "exp": np.exp,
    "log10": lambda x: without(np.equal(x, 0), np.log10(x)),
    "ln": lambda x: without(np.equal(x, 0), np.log(x)),
    "-": np.negative,
}
TWO = {"+": np.add, "-": np.subtract, "−": np.subtract, "*": np.multiply, "/": divided, "**": raised}
COMPARE = {
    "<": np.less,
    "<=": np.less_equal,
    "≤": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": lambda a, b: np.not_equal(a, b) & (np.equal(a, a)) & np.equal(b, b),
}


def column(name: str) -> Numbers:
    return name, lambda data: wide(data[name])


def literal(value: float) -> Numbers:
    return repr(value), lambda _: value


def unary(name: str, of: Numbers) -> Numbers:
    text = f"-({of[0]})" if name == "-" else f"{name}({of[0]})"
    return text, lambda data: plain(ONE[name](of[1](data)))


def binary(operator: str, a: Numbers, b: Numbers) -> Numbers:
    return f"({a[0]}) {operator} ({b[0]})", lambda data: plain(TWO[operator](a[1](data), b[1](data)))


def extreme(name: str, a: Numbers, b: Numbers) -> Numbers:
    pick = np.minimum if name == "min" else np.maximum
    return f"{name}({a[0]}, {b[0]})", lambda data: plain(pick(a[1](data), b[1](data)))


atoms = st.one_of(
    st.sampled_from(["mag_g", "mag_r", "z_phot", "ra", "cluster", "edge", "maskbits", "signed"]).map(column),
    st.integers(0, 40).map(literal),
    st.floats(0, 50, width=16).map(literal),
)
numbers = st.recursive(
    atoms,
    lambda below: st.one_of(
        st.builds(unary, st.sampled_from(sorted(ONE)), below),
        st.builds(binary, st.sampled_from(sorted(TWO)), below, below),
        st.builds(extreme, st.sampled_from(["min", "max"]), below, below),
    ),
    max_leaves=5,
)


def compared(first: Numbers, rest: list[tuple[str, Numbers]]) -> Numbers:
    text = " ".join([f"({first[0]})", *(f"{operator} ({one[0]})" for operator, one in rest)])

    def value(data: Arrays) -> Any:
        values = [first[1](data), *(one[1](data) for _, one in rest)]
        pairs = zip((operator for operator, _ in rest), values, values[1:], strict=False)
        return np.logical_and.reduce([np.broadcast_to(COMPARE[operator](a, b), N) for operator, a, b in pairs])

    return text, value


def word_is(operator: str, word: str) -> Numbers:
    code = WORDS.index(word)
    text = f'kind {operator} "{word}"'
    return text, lambda data: data["kind"] == code if operator == "==" else (data["kind"] != code) & (data["kind"] < 3)


def bit(place: int) -> Numbers:
    return f"bit(maskbits, {place})", lambda data: (data["maskbits"].astype(int) >> place) % 2 == 1


def probed(name: str, of: Numbers) -> Numbers:
    test = np.isnan if name == "missing" else np.isfinite
    return f"{name}({of[0]})", lambda data: np.broadcast_to(test(np.asarray(of[1](data), dtype=np.float64)), N)


def joined(operator: str, a: Numbers, b: Numbers) -> Numbers:
    join = np.logical_and if operator in ("&", "and") else np.logical_or
    return f"({a[0]}) {operator} ({b[0]})", lambda data: join(a[1](data), b[1](data))


def turned(sign: str, of: Numbers) -> Numbers:
    return f"{sign} ({of[0]})", lambda data: ~of[1](data)


conditions = st.recursive(
    st.one_of(
        st.builds(
            compared, numbers, st.lists(st.tuples(st.sampled_from(sorted(COMPARE)), numbers), min_size=1, max_size=2)
        ),
        st.builds(word_is, st.sampled_from(["==", "!="]), st.sampled_from(WORDS)),
        st.builds(bit, st.integers(0, 15)),
        st.builds(probed, st.sampled_from(["missing", "isfinite"]), numbers),
    ),
    lambda below: st.one_of(
        st.builds(joined, st.sampled_from(["&", "|", "and", "or"]), below, below),
        st.builds(turned, st.sampled_from(["~", "not"]), below),
    ),
    max_leaves=4,
).filter(lambda condition: len(condition[0]) <= MAX_CHARACTERS // 2)


@given(condition=conditions)
@settings(max_examples=400, suppress_health_check=[HealthCheck.filter_too_much])
def test_every_expression_holds_where_numpy_says(arrays: Arrays, columns: Columns, condition: Numbers) -> None:
    text, oracle = condition
    with np.errstate(all="ignore"):
        expected = oracle(arrays)
    assert np.array_equal(holds(text, columns), expected), text


@given(condition=conditions)
@settings(max_examples=400, suppress_health_check=[HealthCheck.filter_too_much])
def test_the_normal_form_says_the_same_and_is_its_own_normal_form(columns: Columns, condition: Numbers) -> None:
    text = normalised(condition[0])
    assert read(text) == read(condition[0])
    assert normalised(text) == text
    assert write(parse(text, columns)) == text


def test_conditions_bind_as_astronomers_write_them(arrays: Arrays, columns: Columns) -> None:
    g, r, z, bits = (arrays[name] for name in ("mag_g", "mag_r", "z_phot", "maskbits"))
    cluster = arrays["cluster"].astype(np.float32)
    z = z.astype(np.float32)
    with np.errstate(all="ignore"):
        cases = {
            "mag_g - mag_r > 0.8 & z_phot < 0.3": (g - r > 0.8) & (arrays["z_phot"] < 0.3),
            "mag_g − mag_r ≥ 0.8 and not z_phot < 0.3": (g - r >= 0.8) & ~(arrays["z_phot"] < 0.3),
            "mag_g > 20 | mag_r > 20 & z_phot < 0.3": (g > 20) | ((r > 20) & (arrays["z_phot"] < 0.3)),
            "~mag_g > 20 or mag_r > 20": ~(g > 20) | (r > 20),
            "18 < mag_r < 20": (r > 18) & (r < 20),
            "18 < mag_r <= mag_g != 20": (r > 18) & (r <= g) & (g != 20) & ~np.isnan(g),
            "-mag_r ** 2 < -400": -(r**2) < -400,
            "2 ** -z_phot ** 2 < .8e0": 2 ** -(z**2) < 0.8,
            "mag_g - mag_r - 1 > mag_g / mag_r / 2": (g - r) - 1 > without((r == 0), (g / r) / 2),
            "mag_g - 2 * mag_r + cluster > -10": g - 2 * r + cluster > -10,
            "1 + cluster * -2 == - 3": arrays["cluster"] == 2,
            'kind in ("PSF", "DEV O\'X") & bit(maskbits, 15)': np.isin(arrays["kind"], [0, 2]) & (bits >= 2**15),
            "kind not in ('REX',)": np.isin(arrays["kind"], [0, 2]),
            "cluster in (1, -1, 3.5)": np.isin(arrays["cluster"], [1, -1]),
            "z_phot not in (0, 1)": ~np.isin(z, [0, 1]) & ~np.isnan(z),
            "bit(signed, 31)": arrays["signed"] < 0,
            "missing(kind) or 'REX' == kind": (arrays["kind"] == 255) | (arrays["kind"] == 1),
            "max(mag_g, mag_r, 20) > 21": np.maximum(np.maximum(g, r), 20) > 21,
            "1 < 2 & mag_r > 20": r > 20,
            "1 > 2": np.zeros(N, dtype=bool),
        }
    for text, expected in cases.items():
        assert np.array_equal(holds(text, columns), expected), text
        assert 0 < expected.sum() < N or text == "1 > 2", text


def test_what_has_no_value_is_in_no_comparison(arrays: Arrays, columns: Columns) -> None:
    missing = np.isnan(arrays["mag_r"])
    assert missing.any()
    for text in ("mag_r < 99", "mag_r >= -99", "mag_r == mag_r", "mag_r != 3", "log10(-abs(mag_r)) < 9", "1 / 0 > 3"):
        assert not (holds(text, columns) & missing).any(), text
    assert np.array_equal(holds("missing(mag_r)", columns), missing)
    assert np.array_equal(holds("~(mag_r == mag_r)", columns), missing)
    assert not holds("edge / 0 > 1 | edge / 0 < 1 | ln(0) < 1 | sqrt(-1) == sqrt(-1) | 0 ** -1 > 1", columns).any()


def test_whole_numbers_keep_every_digit(arrays: Arrays, columns: Columns) -> None:
    wanted = 2**62 + 7
    assert np.array_equal(holds(f"objid == {wanted}", columns), arrays["objid"] == wanted)
    assert np.array_equal(holds(f"objid > {wanted}", columns), arrays["objid"] > wanted)
    assert holds("edge < 300 & edge >= -1 & objid != 99999999999999999999", columns).all()
    assert np.array_equal(holds("edge - 1 < 0", columns), arrays["edge"] == 0)


def test_many_pieces_on_two_threads_are_one_mask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the last piece is no whole byte."""
    monkeypatch.setattr(expression_mask, "PIECE_ROWS", 64)
    for n in (63, 64, 1_001):
        data = survey(n)
        mask = mask_of(parse("mag_g < 20", columns := opened(tmp_path, data)), columns, n)
        assert np.array_equal(mask.dense, data["mag_g"] < 20)
        assert mask.count == int((data["mag_g"] < 20).sum())


def test_a_pass_reads_each_row_of_a_used_column_once(columns: Columns, monkeypatch: pytest.MonkeyPatch) -> None:
    read_rows: list[tuple[str, int]] = []

    class Counted:
        def array(self, name: str) -> Any:
            stored = columns.array(name)

            class Array:
                def __getitem__(self, rows: slice) -> Any:
                    read_rows.append((name, rows.start))
                    return stored[rows]

            return Array()

    monkeypatch.setattr(expression_mask, "PIECE_ROWS", 256)
    counted: Any = Counted()
    mask_of(parse("mag_g - mag_r > 0.8 & log10(mag_g + mag_r) < 2", columns), counted, N)
    assert sorted(read_rows) == [(name, start) for name in ("mag_g", "mag_r") for start in range(0, N, 256)]


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("", "", "empty"),
        ("   ", "", "empty"),
        ("mag_x > 3", "mag_x", "no column 'mag_x'; did you mean 'mag_"),
        ("mag_g > 3 & mag_rr < 2", "mag_rr", "did you mean 'mag_r'"),
        ("logten(mag_g) > 3", "logten", "no function 'logten'"),
        ("log(mag_g) > 3", "log", "did you mean 'log10'"),
        ("mag_g = 3", "=", "write == to compare"),
        ("mag_g > 3 ^ 2", "^", r"\*\*"),
        ("mag_g > 3 # 2", "#", "means nothing"),
        ("mag_g > 3 &", "", "ends where a value is expected"),
        ("mag_g > > 3", ">", "'>' stands where a value"),
        ("mag_g 3", "3", "operator is missing before '3'"),
        ("(mag_g > 3", "(", "not closed"),
        ("mag_g > 3)", ")", "closes nothing"),
        ("abs(mag_g > 3) > 1", "mag_g > 3", "condition stands where a number"),
        ("kind == 'PSF", "'", "quotation mark is not closed"),
        ("mag_g > 20mag", "20mag", "neither a number nor a name"),
        ("mag_g > 1.2.3", "1.2.3", "neither a number nor a name"),
        ("mag_g > 1e999", "1e999", "too large"),
        ("mag_g - mag_r", "mag_g - mag_r", "a number, not a condition"),
        ("mag_g & mag_r > 2", "mag_g", "as in mag_g < 1"),
        ("(mag_g > 3) + 1 > 2", "mag_g > 3", "condition stands where a number"),
        ("mag_g > 3 > (mag_r > 2)", "mag_r > 2", "condition stands where a number"),
        ("kind == PSF", "PSF", 'in quotes: "PSF"'),
        ("kind == 'REXX'", "'REXX'", "did you mean 'REX'"),
        ("kind == 3", "3", "word in quotes"),
        ("kind < 'REX'", "kind < 'REX'", "no order"),
        ("kind + 1 > 2", "kind", "holds categories"),
        ("kind", "kind", 'as in kind == "PSF"'),
        ("mag_g == 'PSF'", "mag_g == 'PSF'", "only be compared with a column of words"),
        ("'PSF' & mag_g > 2", "'PSF'", "can only be compared with a column of words"),
        ("mag_g in ('PSF',)", "'PSF'", "can only be compared with a column of words"),
        ("kind in (1, 2)", "1", "word in quotes"),
        ("cluster in 3", "3", "list in parentheses"),
        ("cluster in (3, mag_g)", "mag_g", "numbers, or words"),
        ("name < 'a'", "name < 'a'", "no order"),
        ("name + 1 > 2", "name", "holds text"),
        ("name", "name", 'as in name == "3C 273" or contains'),
        ("name == NGC1300", "NGC1300", 'in quotes: "NGC1300"'),
        ("name == 3", "3", "'name' holds text, which can only be compared with a word in quotes"),
        ("name == ''", "''", r"write missing\(name\)"),
        ("contains(name, '')", "''", "looks for a word in quotes"),
        ("contains(name, mag_g)", "mag_g", "looks for a word in quotes"),
        ("contains(mag_g, 'a')", "mag_g", "looks into a column of words"),
        ("mag_g contains 'a'", "mag_g", "looks into a column of words"),
        ("abs() > 3", ")", "stands where a value"),
        ("abs(1, mag_g) > 3", "abs(1, mag_g)", "takes 1 values, 2 were given"),
        ("min(mag_g) > 3", "min(mag_g)", "takes 2 to 8 values"),
        ("bit(mag_g, 1)", "mag_g", "whole numbers"),
        ("bit(maskbits, 16)", "16", "bits 0 to 15"),
        ("bit(maskbits, mag_g)", "mag_g", "bits 0 to 15"),
        ("__import__('os')", "__import__", "no function"),
        ("mag_g.real > 3", ".", "means nothing"),
        ("mag_g[0] > 3", "[", "round parentheses"),
        ("lambda > 3", "lambda", "no column"),
        ("and", "and", "'and' stands where a value"),
        ("mag_g > 3, mag_r > 2", ",", "comma"),
    ],
)
def test_an_error_points_at_its_place(columns: Columns, text: str, place: str, message: str) -> None:
    with pytest.raises(ExpressionError, match=message) as error:
        parse(text, columns)
    assert text[error.value.start : error.value.end] == place
    assert isinstance(error.value, InputError)


def test_what_is_too_long_or_too_deep_is_refused(columns: Columns) -> None:
    deep = "(" * MAX_NESTING + "mag_g > 1" + ")" * MAX_NESTING
    assert parse(deep, columns) == parse("mag_g > 1", columns)
    for text, message in (
        (f"({deep})", "nested"),
        ("-" * 300 + "1 > 2", "nested|words and signs"),
        ("~" * 40 + "mag_g > 1", "nested"),
        ("2 ** " * 40 + "mag_g > 1", "nested"),
        ("abs(" * 40 + "mag_g" + ")" * 40 + "> 1", "nested"),
        ("1+" * 200 + "mag_g > 1", "words and signs"),
        ("mag_g > 1" + " " * MAX_CHARACTERS, "500 characters, this one has 509"),
        ("&".join(["mag_g>1"] * 60), "written out .* 500 characters"),
        ("1>2&(1>2|" * (MAX_NESTING - 1) + "~mag_g>1" + ")" * (MAX_NESTING - 1), "written out .* nested"),
    ):
        with pytest.raises(ExpressionError, match=message):
            parse(text, columns)
    assert holds("1+" * 110 + "mag_g > 1", columns).any()


@given(st.text(alphabet=" mag_g<>=!&|~()+-*/.\"'0123456789e,−in≤and\n\t²٣\u00a0", max_size=60) | st.text(max_size=40))
@settings(max_examples=600)
def test_any_text_is_an_expression_or_an_error_with_a_place(columns: Columns, text: str) -> None:
    try:
        parse(text, columns)
    except ExpressionError as e:
        assert 0 <= e.start <= e.end <= len(text)
        assert str(e).isprintable()


def test_equal_expressions_are_equal_selections() -> None:
    one = Expression("mag_g - mag_r > 0.8 & ~(kind == 'PSF')")
    for text in (
        'mag_g-mag_r>.80 and not kind=="PSF"',
        "((mag_g) − (mag_r) > 8e-1) && ~~~(kind == 'PSF')",
        "  mag_g\n- +mag_r > 0.8 & not(kind == 'PSF')  ",
    ):
        assert encode_selection(canonical(Expression(text))) == encode_selection(canonical(one))
    assert canonical(Expression("a > 1.0")) == Expression("a > 1")
    for different in ("mag_r - mag_g > 0.8", "a - (b - c) > 1", "a - b - c > 1", "(-a) ** 2 > 1", "-a ** 2 > 1"):
        assert canonical(Expression(different)) == Expression(different)
    assert Expression("a > 1.0") & Expression("(a > 1)") == Expression("a > 1")
    assert ~Expression("a>1") == Not(Expression("a > 1"))
    with pytest.raises(ExpressionError):
        canonical(And((Expression("a >"), Expression("b > 1"))))


def test_the_columns_of_an_expression_are_named_once_each() -> None:
    text = "mag_g - mag_r > 0.8 & bit(maskbits, 3) | kind in ('mag_z',) & log10(abs(mag_r)) < ln(z)"
    assert names(text) == ("mag_g", "mag_r", "maskbits", "kind", "z")


def completed(marked: str, columns: Columns) -> tuple[str, ...]:
    """The text with each offered word in place; | marks the cursor."""
    cursor = marked.index("|")
    text = marked.replace("|", "", 1)
    found = complete(text, cursor, columns)
    return tuple(text[: found.start] + word + text[found.end :] for word in found.words)


def test_a_word_completes_to_names_that_begin_with_it_then_to_names_that_hold_it(columns: Columns) -> None:
    assert completed("ma|", columns) == ("mag_g", "mag_r", "maskbits", "max(")
    assert completed("18 < mag_|g & 1 > 0", columns) == ("18 < mag_g & 1 > 0", "18 < mag_r & 1 > 0")
    assert completed("BIT|", columns) == ("bit(", "maskbits")
    assert completed("lo|(mag_g) > 1", columns) == ("log10(mag_g) > 1",)
    assert completed("mag_g - |", columns)[0] == "mag_g - mag_g"
    everything = complete("", 0, columns).words
    assert set(everything) == {c.name for c in columns} | {f"{f}(" for f in FUNCTIONS}
    for nothing in ("mag_g |", "mag_g > 2|", "(mag_g) m|", "mag_g > 'm|", "xyzzy|", "# m|"):
        assert completed(nothing, columns) == (), nothing


def test_after_a_category_its_words_are_offered(columns: Columns) -> None:
    assert completed("kind == |", columns) == tuple(f'kind == "{word}"' for word in WORDS)
    assert completed('kind != "r|', columns) == ('kind != "REX"',)
    assert completed('kind == "R|EX" & mag_g > 2', columns) == ('kind == "REX" & mag_g > 2',)
    assert completed('kind in ("PSF", "r|', columns) == ('kind in ("PSF", "REX"',)
    assert completed("kind not in (|", columns)[0] == 'kind not in ("PSF"'
    assert completed("mag_g == ma|", columns)[0] == "mag_g == mag_g"


@given(st.text(alphabet="kind mag_g=!\"'PSF(),&in<|", max_size=30), st.integers(-3, 40))
@settings(max_examples=300)
def test_completion_never_fails_and_stays_around_the_cursor(columns: Columns, text: str, cursor: int) -> None:
    found = complete(text, cursor, columns)
    assert 0 <= found.start <= min(max(cursor, 0), len(text)) <= found.end <= len(text)
