"""From a checked expression to a mask: one pass over its columns."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.catalog.columns import Columns
from atlas.expressions.text import contains, equals
from atlas.expressions.tree import (
    Arithmetic,
    Call,
    ColumnReference,
    Comparison,
    Evaluated,
    Junction,
    Membership,
    Negation,
    Negative,
    Node,
    NumberLiteral,
    WordLiteral,
)
from atlas.mask import Mask
from atlas.parallel import in_threads
from atlas.storage.arrays import chunks

PIECE_ROWS = 1 << 17
"""Rows that are looked at together: 512 kB of float32, which stays in a core's cache; a multiple of eight, so that the
bits of pieces can be joined."""

Operand = NDArray[Any] | float
Truth = NDArray[np.bool_] | bool


def expression_mask(condition: Node, columns: Columns, n_rows: int) -> Mask:
    """Rows for which a condition holds.

    Parameters
    ----------
    condition : Node
        From `atlas.expressions.check.parse` with these columns; what people gave has been evaluated
        (`atlas.expressions.given`).
    columns : Columns
    n_rows : int
        Rows of the atlas.
    """
    packed = np.empty((n_rows + 7) // 8, dtype=np.uint8)

    def fill(rows: slice) -> None:
        piece = _Piece(columns, rows)
        with np.errstate(all="ignore"):  # what has no value becomes a missing value, as `atlas.expressions.check` says
            holds = np.broadcast_to(piece.truth(condition), piece.size)
        bits = np.packbits(holds, bitorder="little")
        packed[rows.start // 8 : rows.start // 8 + bits.size] = bits

    for _ in in_threads(fill, chunks(n_rows, PIECE_ROWS)):
        pass
    return Mask(packed, n_rows)


class _Piece:
    """Some rows in succession; a column is brought to a type for arithmetic once."""

    def __init__(self, columns: Columns, rows: slice) -> None:
        self._columns = columns
        self._rows = rows
        self._numbers: dict[str, NDArray[Any]] = {}
        self.size: int = rows.stop - rows.start

    def truth(self, node: Node) -> Truth:
        """Truth of a condition, row by row."""
        match node:
            case Junction("&", operands):
                return reduce(np.logical_and, map(self.truth, operands))
            case Junction(_, operands):
                return reduce(np.logical_or, map(self.truth, operands))
            case Negation(of):
                return np.logical_not(self.truth(of))
            case Comparison(
                (operator,), (ColumnReference(column), WordLiteral(word)) | (WordLiteral(word), ColumnReference(column))
            ):
                return self._is_word(column, (word,), operator == "!=")
            case Comparison(operators, operands):
                values = [self._compared(operand) for operand in operands]
                pairs = zip(operators, pairwise(values), strict=True)
                return reduce(np.logical_and, (COMPARE[operator](a, b) for operator, (a, b) in pairs))
            case Membership(ColumnReference(column), (WordLiteral(), *_) as options, negated):
                words = tuple(option.text for option in options if isinstance(option, WordLiteral))
                return self._is_word(column, words, negated)
            case Membership(of, options, negated):
                value = self._compared(of)
                found = reduce(np.logical_or, (np.equal(value, self._compared(option)) for option in options))
                return np.logical_and(np.logical_not(found), np.equal(value, value)) if negated else found
            case Evaluated(packed):
                begin = self._rows.start // 8  # pieces begin at whole bytes
                bits = packed[begin : begin + (self.size + 7) // 8]
                return np.unpackbits(bits, bitorder="little", count=self.size).view(np.bool_)
            case Call("bit", (ColumnReference(column), NumberLiteral(place))):
                return self._has_bit(column, int(place))
            case Call("contains", (ColumnReference(column), WordLiteral(word))):
                return self._holds(column, word)
            case Call("missing", (ColumnReference(column),)) if self._is_of_words(column):
                return np.logical_not(self._has_word(column))
            case Call("missing", (of,)):
                return np.isnan(self.number(of))
            case Call("isfinite", (of,)):
                return np.isfinite(self.number(of))
        raise TypeError(f"{type(node).__name__} is not a condition")

    def number(self, node: Node) -> Operand:
        """The values of a number: an array, or one float where no column is involved."""
        match node:
            case NumberLiteral(value):
                return value
            case ColumnReference(column):
                return self._as_float(column)
            case Negative(of):
                return -self.number(of)
            case Arithmetic(operator, left, right):
                return _apply(COMPUTE[operator], self.number(left), self.number(right))
            case Call("min" | "max" as function, arguments):
                pick = np.minimum if function == "min" else np.maximum
                return reduce(lambda a, b: _apply(pick, a, b), map(self.number, arguments))
            case Call(function, (of,)):
                return _apply(COMPUTE[function], self.number(of))
        raise TypeError(f"{type(node).__name__} is not a number")

    def _stored(self, column: str) -> NDArray[Any]:
        return np.asarray(self._columns.array(column)[self._rows])

    def _as_float(self, column: str) -> NDArray[Any]:
        """The column in a type that neither wraps nor rounds (whole numbers beyond 2**53 excepted)."""
        values = self._numbers.get(column)
        if values is None:
            values = self._stored(column)
            if values.dtype.kind != "f" or values.dtype.itemsize < 4:
                values = values.astype(np.float32 if values.dtype.itemsize <= 2 else np.float64)
            self._numbers[column] = values
        return values

    def _compared(self, node: Node) -> Operand:
        """A number that is only compared: a column as it is stored, so that long ids keep every digit."""
        return self._stored(node.name) if isinstance(node, ColumnReference) else self.number(node)

    def _is_word(self, column: str, words: tuple[str, ...], negated: bool) -> Truth:
        stored = self._stored(column)
        if self._columns.describe(column).kind == "text":
            found: Truth = reduce(np.logical_or, (equals(stored, word) for word in words))
        else:
            found = reduce(np.logical_or, (stored == self._columns.code(column, word) for word in words))
        return np.logical_and(np.logical_not(found), self._has_word(column)) if negated else found

    def _is_of_words(self, column: str) -> bool:
        return self._columns.describe(column).kind in ("category", "text")

    def _has_word(self, column: str) -> Truth:
        described, stored = self._columns.describe(column), self._stored(column)
        has: Truth = stored != b"" if described.kind == "text" else stored < len(described.vocabulary)
        return has

    def _holds(self, column: str, word: str) -> Truth:
        described, stored = self._columns.describe(column), self._stored(column)
        if described.kind == "text":
            return contains(stored, word)
        vocabulary = np.array([one.encode() for one in described.vocabulary], dtype=np.bytes_)
        found: Truth = np.isin(stored, np.flatnonzero(contains(vocabulary, word)))
        return found

    def _has_bit(self, column: str, place: int) -> Truth:
        flags = self._stored(column)
        flags = flags.view(f"u{flags.dtype.itemsize}")  # the highest bit of a signed number is its sign
        found: Truth = (flags & flags.dtype.type(1 << place)) != 0
        return found


def _apply(function: Callable[..., Any], *values: Operand) -> Operand:
    """A function of arrays and plain numbers; plain numbers alone give one, which leaves an array's precision alone."""
    if any(isinstance(value, np.ndarray) for value in values):
        result: NDArray[Any] = function(*values)
        return result
    return float(function(*map(np.float64, values)))


def _unequal(a: Operand, b: Operand) -> Truth:
    return np.logical_or(np.less(a, b), np.greater(a, b))


def _divide(a: Operand, b: Operand) -> Operand:
    quotient = np.divide(a, b)
    return quotient if isinstance(b, float | int) and b else np.where(np.equal(b, 0), np.nan, quotient)


def _power(base: Operand, exponent: Operand) -> Operand:
    result = np.power(base, exponent)
    return np.where(np.logical_and(np.equal(base, 0), np.isinf(result)), np.nan, result)


def _logarithm(function: Callable[[Operand], Operand]) -> Callable[[Operand], Operand]:
    return lambda x: np.where(np.equal(x, 0), np.nan, function(x))


COMPARE: dict[str, Callable[[Operand, Operand], Truth]] = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": _unequal,
}
COMPUTE: dict[str, Callable[..., Operand]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": _divide,
    "**": _power,
    "abs": np.abs,
    "sqrt": np.sqrt,
    "exp": np.exp,
    "log10": _logarithm(np.log10),
    "ln": _logarithm(np.log),
}
