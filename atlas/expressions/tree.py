"""Tree of an expression once it has been read: nodes of values, and the one way to write it down."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from atlas.catalog.reserved_names import OF_CONDITIONS


@dataclass(frozen=True)
class Node:
    """Part of an expression; two parts are equal when they say the same, wherever they stand.

    Attributes
    ----------
    start, end : int
        Where it stands in the text, in characters.
    """

    start: int = field(compare=False, kw_only=True)
    end: int = field(compare=False, kw_only=True)


@dataclass(frozen=True)
class NumberLiteral(Node):
    """A number that is written out; whole ones are int, so that long ids keep every digit."""

    value: float


@dataclass(frozen=True)
class WordLiteral(Node):
    """A word in quotes: one of a category's values."""

    text: str


@dataclass(frozen=True)
class ColumnReference(Node):
    """A column."""

    name: str


@dataclass(frozen=True)
class Negative(Node):
    """−of."""

    of: Node


@dataclass(frozen=True)
class Arithmetic(Node):
    """left operator right."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True)
class Comparison(Node):
    """operands[0] operators[0] operands[1] operators[1] …: all of them have to hold."""

    operators: tuple[str, ...]
    operands: tuple[Node, ...]


@dataclass(frozen=True)
class Membership(Node):
    """Whether a value is one of some numbers or words."""

    of: Node
    options: tuple[Node, ...]
    negated: bool


@dataclass(frozen=True)
class Junction(Node):
    """Conditions joined by & or |."""

    operator: Literal["&", "|"]
    operands: tuple[Node, ...]


@dataclass(frozen=True)
class Negation(Node):
    """~of."""

    of: Node


@dataclass(frozen=True)
class Call(Node):
    """A function of some arguments."""

    function: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True)
class Evaluated(Node):
    """A condition that was worked out before: a bit a row (`atlas.mask`). It is in no text."""

    packed: NDArray[np.uint8] = field(compare=False)


_EITHER, _BOTH, _NOT, _COMPARISON, _SUM, _PRODUCT, _SIGN, _POWER, _VALUE = range(9)
_BINDS = {"|": _EITHER, "&": _BOTH, "+": _SUM, "-": _SUM, "*": _PRODUCT, "/": _PRODUCT, "**": _POWER}


def written_name(column: str) -> str:
    """A column as an expression names it: in backticks where the name is a word of the language."""
    return f"`{column}`" if column in OF_CONDITIONS else column


def write(node: Node) -> str:
    """The text of a tree, with the parentheses that it needs; `read` brings the tree back."""
    return _written(node)[0]


def _written(node: Node) -> tuple[str, int]:
    """Text of a node, and how tightly it binds."""
    match node:
        case NumberLiteral(value):
            return (str(value) if isinstance(value, int) else repr(value)), _VALUE
        case WordLiteral(text):
            return (f"'{text}'" if '"' in text else f'"{text}"'), _VALUE
        case ColumnReference(name):
            return written_name(name), _VALUE
        case Negative(of):
            return f"-{_inside(of, _SIGN)}", _SIGN
        case Arithmetic("**", left, right):
            return f"{_inside(left, _VALUE)} ** {_inside(right, _SIGN)}", _POWER
        case Arithmetic(operator, left, right):
            level = _BINDS[operator]
            return f"{_inside(left, level)} {operator} {_inside(right, level + 1)}", level
        case Comparison(operators, operands):
            parts = [_inside(operands[0], _SUM)]
            for operator, operand in zip(operators, operands[1:], strict=True):
                parts += [operator, _inside(operand, _SUM)]
            return " ".join(parts), _COMPARISON
        case Membership(of, options, negated):
            words = ", ".join(write(option) for option in options)
            return f"{_inside(of, _SUM)} {'not in' if negated else 'in'} ({words})", _COMPARISON
        case Junction(operator, operands):
            level = _BINDS[operator]
            return f" {operator} ".join(_inside(operand, level + 1) for operand in operands), level
        case Negation(of):
            return f"~{_inside(of, _VALUE)}", _NOT
        case Call(function, arguments):
            return f"{function}({', '.join(write(argument) for argument in arguments)})", _VALUE
    raise TypeError(f"{type(node).__name__} is no part of an expression")


def _inside(node: Node, level: int) -> str:
    text, binds = _written(node)
    return text if binds >= level else f"({text})"
