"""Conditions on columns that a person types: `mag_g - mag_r > 0.8 & z_phot < 0.3`.

`atlas.expressions.parser` says how they are written. What they mean:

    numbers         are computed at the precision of the columns, as numpy does; whole numbers compare exactly
    missing values  make every comparison false, `!=` too; `missing(z_spec)` tests for them. `~` turns that round: the
                    rows that are not in `z_spec > 1` are those at or below 1 and those without a value
    undefined       a division by zero, the logarithm of what is not positive and the like are missing values
    words, text     are compared with words in quotes, by == and != and in ("PSF", "REX"); contains(name, "NGC") looks
                    inside them, whatever the case of the letters a to z
    bit(flags, 5)   whether bit 5 of an integer column is set, counted from 0
    ln, log10       natural and decimal logarithm

An expression as a whole is a condition, not a number.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from atlas.catalog.columns import Columns
from atlas.catalog.reserved_names import OF_CONDITIONS
from atlas.errors import ExpressionError, InputError, UnknownColumnError, shorten
from atlas.expressions.parser import FUNCTIONS, read, tokens
from atlas.expressions.text import examples
from atlas.expressions.tree import (
    Arithmetic,
    Call,
    ColumnReference,
    Comparison,
    Junction,
    Membership,
    Negation,
    Negative,
    Node,
    NumberLiteral,
    WordLiteral,
    written_name,
)
from atlas.storage.manifest import Column

MOST_WORDS = 50

ExpressionKind = Literal["number", "condition", "words"]
WORDS = ("category", "text")
"""Kinds of columns that are compared with words."""


def parse(text: str, columns: Columns) -> Node:
    """The tree of an expression that fits some columns.

    Parameters
    ----------
    text : str
        At most 500 characters.
    columns : Columns
        What its names stand for.

    Raises
    ------
    ExpressionError
        If the text is no expression, names what the columns do not have, or is not a condition; says where.
    """
    node = read(text)
    _need("condition", node, columns)
    return node


def flags_condition(column: str, on: Sequence[int], off: Sequence[int], columns: Columns) -> Node:
    """The condition that every bit of `on` is set in a column of flags, and none of `off`: `bit(f, 1) & ~bit(f, 5)`.

    Parameters
    ----------
    column : str
    on, off : sequence of int
        Bits, counted from 0; at least one in all.
    columns : Columns

    Raises
    ------
    ExpressionError
        If there is no such column, it holds no whole numbers, or has fewer bits.
    """
    nowhere = {"start": 0, "end": 0}

    def is_set(bit: int) -> Node:
        return Call("bit", (ColumnReference(column, **nowhere), NumberLiteral(bit, **nowhere)), **nowhere)

    parts = (*map(is_set, on), *(Negation(is_set(bit), **nowhere) for bit in off))
    node = Junction("&", parts, **nowhere) if len(parts) > 1 else parts[0]
    _need("condition", node, columns)
    return node


def names(text: str) -> tuple[str, ...]:
    """The columns that an expression uses, each once, in the order of their first use.

    Raises
    ------
    ExpressionError
        If the text is not an expression.
    """
    return tuple(dict.fromkeys(node.name for node in _walk(read(text)) if isinstance(node, ColumnReference)))


@dataclass(frozen=True)
class Completion:
    """Completions of the word under the cursor.

    Attributes
    ----------
    start, end : int
        The part of the text that a word replaces.
    words : tuple of str
        Likeliest first; empty where no name can stand.
    """

    start: int
    end: int
    words: tuple[str, ...]


def complete(text: str, cursor: int, columns: Columns) -> Completion:
    """Names that fit the word under the cursor: those that begin with it first, then those that hold it.

    Parameters
    ----------
    text : str
        An expression, finished or not.
    cursor : int
        Characters before the cursor.
    columns : Columns
        What may be named.
    """
    cursor = min(max(cursor, 0), len(text))
    before, after = text[:cursor], text[cursor:]
    compared = _WORD_BEFORE.search(before)
    if compared and compared["name"] in columns and columns.describe(compared["name"]).kind in WORDS:
        start = compared.start("typed")
        quote = compared["typed"][:1] or '"'
        rest = re.match(rf"[^{quote}(),&|]*{quote}?" if compared["typed"] else "", after)
        words = _words(compared["name"], compared["typed"].strip("\"'"), columns)
        fitting = tuple(f"{quote}{word}{quote}" for word in words if quote not in word)
        return Completion(start, cursor + (rest.end() if rest else 0), fitting)
    start = cursor - len(_NAME_END.search(before)[0])  # type: ignore[index]
    end = cursor + len(_NAME_START.match(after)[0])  # type: ignore[index]
    if text[start:end][:1].isdigit() or not _may_stand(text[:start]):
        return Completion(start, end, ())
    call = "" if text[end:].lstrip().startswith("(") else "("
    known = [written_name(c.name) for c in columns] + [f"{name}{call}" for name in FUNCTIONS]
    return Completion(start, end, tuple(_fitting(before[start:], known)))


def _words(column: str, typed: str, columns: Columns) -> list[str]:
    """Values of a column of words that begin with what was typed, or hold it."""
    described = columns.describe(column)
    if described.kind == "category":
        return _fitting(typed, list(described.vocabulary))
    return examples(columns.array(column), typed, MOST_WORDS)


# A column's name, a comparison, and what was typed of a word; or a list of words and what was typed of the last.
_WORD_BEFORE = re.compile(
    r"""(?P<call>contains\s*\(\s*)? (?P<name>[A-Za-z_]\w*) `? \s*
    (?(call) , | (?: ==|!=|≠|contains\b | (?:not\s+)? in \s* \( (?:\s*(?:"[^"]*"|'[^']*')\s*,)* ) ) \s*
    (?P<typed>"[^"]*|'[^']*|) $""",
    re.VERBOSE,
)
_NAME_END = re.compile(r"[A-Za-z0-9_]*$")
_NAME_START = re.compile(r"[A-Za-z0-9_]*")


def _may_stand(before: str) -> bool:
    """Whether a name may come after a text: at its beginning, after an operator or an opening parenthesis."""
    try:
        pieces = tokens(before)
    except ExpressionError:
        return False
    if not pieces:
        return True
    last = pieces[-1]
    return last.text in OF_CONDITIONS or (last.kind == "operator" and last.text != ")")


def _fitting(typed: str, known: list[str]) -> list[str]:
    typed = typed.lower()
    first = [word for word in known if word.lower().startswith(typed)]
    then = [word for word in known if typed in word.lower() and word not in first]
    return (first + then)[:MOST_WORDS]


def _walk(node: Node) -> list[Node]:
    """A node and all below it, from left to right."""
    match node:
        case Negative(of) | Negation(of):
            below: tuple[Node, ...] = (of,)
        case Arithmetic(_, left, right):
            below = (left, right)
        case Comparison(_, operands) | Junction(_, operands):
            below = operands
        case Membership(of, options, _):
            below = (of, *options)
        case Call(_, arguments):
            below = arguments
        case _:
            below = ()
    return [node, *(one for part in below for one in _walk(part))]


def _need(kind: ExpressionKind, node: Node, columns: Columns) -> None:
    found = _kind(node, columns)
    if found == kind:
        return
    match found:
        case "words":
            assert isinstance(node, ColumnReference)
            message = f"{_held(node, columns)}; compare it with a word, as in {_example(node.name, columns)}"
        case "condition":
            message = "a condition stands where a number is needed"
        case _:
            example = f"{node.name} < 1" if isinstance(node, ColumnReference) else "mag_r < 20"
            message = f"this is a number, not a condition; compare it with something, as in {example}"
    raise ExpressionError(message, node.start, node.end)


def _held(node: Node, columns: Columns) -> str:
    """Content of a column of words."""
    described = _described(node, columns)
    return f"{described.name!r} holds {'text' if described.kind == 'text' else 'categories'}"


def _example(column: str, columns: Columns) -> str:
    """A condition on a column of words."""
    word = next((word for word in _words(column, "", columns) if '"' not in word), "…")
    inside = f' or contains({column}, "…")' if columns.describe(column).kind == "text" else ""
    return f'{column} == "{word}"{inside}'


def _kind(node: Node, columns: Columns) -> ExpressionKind:
    """Kind of a node, once everything below it has been found to fit."""
    match node:
        case NumberLiteral():
            return "number"
        case WordLiteral(text):
            raise ExpressionError(
                f"the word {shorten(text)!r} can only be compared with a column of words, by ==, !=, in or contains",
                node.start,
                node.end,
            )
        case ColumnReference():
            return "words" if _described(node, columns).kind in WORDS else "number"
        case Negative(of):
            _need("number", of, columns)
            return "number"
        case Arithmetic(_, left, right):
            _need("number", left, columns)
            _need("number", right, columns)
            return "number"
        case Comparison(operators, operands):
            _check_comparison(node, operators, operands, columns)
            return "condition"
        case Membership(of, options, _):
            _check_membership(of, options, columns)
            return "condition"
        case Junction(_, operands):
            for operand in operands:
                _need("condition", operand, columns)
            return "condition"
        case Negation(of):
            _need("condition", of, columns)
            return "condition"
        case Call(function, arguments):
            return _check_call(function, arguments, columns)
    raise TypeError(f"{type(node).__name__} is no part of an expression")


def _described(node: Node, columns: Columns) -> Column:
    assert isinstance(node, ColumnReference)
    try:
        return columns.describe(node.name)
    except UnknownColumnError as e:
        raise ExpressionError(str(e), node.start, node.end) from e


def _has_words(node: Node, columns: Columns) -> bool:
    return isinstance(node, ColumnReference) and node.name in columns and columns.describe(node.name).kind in WORDS


def _check_comparison(node: Node, operators: tuple[str, ...], operands: tuple[Node, ...], columns: Columns) -> None:
    named = [one for one in operands if _has_words(one, columns)]
    words = [one.text for one in operands if isinstance(one, WordLiteral)]
    if not named:
        for operand in operands:
            if not isinstance(operand, WordLiteral):
                _need("number", operand, columns)
        if words:
            message = f"the word {shorten(words[0])!r} can only be compared with a column of words, which this is not"
            raise ExpressionError(message, node.start, node.end)
        return
    if len(operands) > 2 or operators[0] not in ("==", "!="):
        raise ExpressionError("words have no order: they compare by ==, !=, in and contains", node.start, node.end)
    column, other = operands if operands[0] is named[0] else operands[::-1]
    _check_word(column, other, columns)


def _check_membership(of: Node, options: tuple[Node, ...], columns: Columns) -> None:
    if _has_words(of, columns):
        for option in options:
            _check_word(of, option, columns)
        return
    _need("number", of, columns)
    for option in options:
        _need("number", option, columns)


def _check_word(column: Node, word: Node, columns: Columns) -> None:
    """Whether a column may be compared with a word: a category has to have it."""
    described = _described(column, columns)
    if isinstance(word, ColumnReference) and (word.name in described.vocabulary or word.name not in columns):
        raise ExpressionError(f'write the word in quotes: "{word.name}"', word.start, word.end)
    if not isinstance(word, WordLiteral):
        _kind(word, columns)
        raise ExpressionError(
            f"{_held(column, columns)}, which can only be compared with a word in quotes", word.start, word.end
        )
    if not word.text:
        raise ExpressionError(f"a word has letters; write missing({described.name})", word.start, word.end)
    if described.kind == "text":
        return
    try:
        columns.code(described.name, word.text)
    except InputError as e:
        near = difflib.get_close_matches(word.text, described.vocabulary, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ExpressionError(f"{e}{hint}", word.start, word.end) from e


def _check_contains(column: Node, word: Node, columns: Columns) -> None:
    if not _has_words(column, columns):
        _kind(column, columns)
        raise ExpressionError("contains looks into a column of words", column.start, column.end)
    if not isinstance(word, WordLiteral) or not word.text:
        raise ExpressionError('contains looks for a word in quotes, as in "NGC"', word.start, word.end)


def _check_call(function: str, arguments: tuple[Node, ...], columns: Columns) -> ExpressionKind:
    if function == "contains":
        column, word = arguments
        _check_contains(column, word, columns)
        return "condition"
    if function == "missing" and _has_words(arguments[0], columns):
        return "condition"
    for argument in arguments:
        _need("number", argument, columns)
    if function != "bit":
        return "condition" if function in ("missing", "isfinite") else "number"
    flags, place = arguments
    dtype = np.dtype(_described(flags, columns).dtype) if isinstance(flags, ColumnReference) else None
    if dtype is None or dtype.kind not in "iub":
        raise ExpressionError("bit looks into a column of whole numbers, such as flags", flags.start, flags.end)
    bits = 8 * dtype.itemsize
    if not isinstance(place, NumberLiteral) or not isinstance(place.value, int) or place.value >= bits:
        raise ExpressionError(f"this column has bits 0 to {bits - 1}", place.start, place.end)
    return "condition"
