"""The language of expressions: from text to a tree. Knows no columns; `atlas.expressions.check` does.

    either        a | b                            also: or, ||
    both          a & b                            also: and, &&
    not           ~a                               also: not
    comparison    18 < mag_r <= 20   a == b        also: ≤ ≥ ≠
                  type in ("PSF", "REX")   cluster not in (1, 2)
                  name contains "NGC"            the same as contains(name, "NGC")
    sum           a + b   a - b                    also: the minus sign −
    product       a * b   a / b
    sign          -a   +a
    power         a ** b                           binds to the right, and before a sign on its left
    value         20.5   mag_r   "PSF"   log10(a)   (a)
                  `in`                             a column that is called as a word of this language

Each line binds tighter than the one above it. So `mag_g - mag_r > 0.8 & z_phot < 0.3` joins two comparisons, as
astronomers write it, and not as Python reads it.

Text becomes nothing but the nodes of `atlas.expressions.tree`; nothing is ever handed to an interpreter.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Literal, NamedTuple

from atlas.catalog.reserved_names import OF_CONDITIONS
from atlas.errors import ExpressionError, shorten
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
    write,
    written_name,
)

MAX_CHARACTERS = 500
MAX_TOKENS = 250
MAX_NESTING = 24

FUNCTIONS = {
    "abs": (1, 1),
    "sqrt": (1, 1),
    "log10": (1, 1),
    "ln": (1, 1),
    "exp": (1, 1),
    "min": (2, 8),
    "max": (2, 8),
    "isfinite": (1, 1),
    "missing": (1, 1),
    "bit": (2, 2),
    "contains": (2, 2),
}
"""Every function, with the least and the largest number of its arguments."""

EITHER, BOTH, NOT = ("|", "||", "or"), ("&", "&&", "and"), ("~", "not")
MINUS = ("-", "−")
COMPARISONS = {"<": "<", "<=": "<=", "≤": "<=", ">": ">", ">=": ">=", "≥": ">=", "==": "==", "!=": "!=", "≠": "!="}

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number> (?:[0-9]+\.?[0-9]*|\.[0-9]+) (?:[eE][+\-−]?[0-9]+)? )
    | (?P<name> [A-Za-z_][A-Za-z0-9_]* )
    | (?P<quoted> `[^`]*` )
    | (?P<word> "[^"]*" | '[^']*' )
    | (?P<operator> \*\* | <= | >= | == | != | && | \|\| | [-+*/<>&|~(),−≤≥≠] )
    )""",
    re.VERBOSE,
)
_HINTS = {
    "=": "write == to compare",
    "!": "write != for unequal, ~ for not",
    "^": "write ** for a power",
    "%": "remainders are not known here",
    "[": "write lists in round parentheses",
    '"': "this quotation mark is not closed",
    "'": "this quotation mark is not closed",
    "`": "this backtick is not closed",
}
MOST_DIGITS = 20
EXACT_BELOW = 2**53


class Token(NamedTuple):
    """A piece of the text."""

    kind: str
    text: str
    start: int
    end: int


def read(text: str) -> Node:
    """The tree of an expression.

    Raises
    ------
    ExpressionError
        If the text is not an expression; says where and why.
    """
    node = _parse(text)
    try:
        _parse(write(node))
    except ExpressionError as e:  # else the normal form of an expression could be none
        raise ExpressionError(f"written out with blanks and parentheses, {e}", 0, len(text)) from e
    return node


@lru_cache(maxsize=512)
def _parse(text: str) -> Node:
    if len(text) > MAX_CHARACTERS:
        raise ExpressionError(
            f"an expression may have {MAX_CHARACTERS} characters, this one has {len(text)}", MAX_CHARACTERS, len(text)
        )
    pieces = tokens(text)
    if len(pieces) > MAX_TOKENS:
        raise ExpressionError(
            f"an expression may have {MAX_TOKENS} words and signs, this one has {len(pieces)}",
            pieces[MAX_TOKENS].start,
            len(text),
        )
    return _Parser(pieces, len(text)).expression()


def tokens(text: str) -> list[Token]:
    """The pieces of a text, in order.

    Raises
    ------
    ExpressionError
        At the first character that belongs to no piece.
    """
    found: list[Token] = []
    at, length = 0, len(text.rstrip())
    while at < length:
        match = _TOKEN.match(text, at)
        if match is None:
            start = at + len(text[at:]) - len(text[at:].lstrip())
            sign = text[start]
            raise ExpressionError(_HINTS.get(sign, f"{shorten(sign)!r} means nothing here"), start, start + 1)
        kind = str(match.lastgroup)
        found.append(Token(kind, match[kind], match.start(kind), match.end(kind)))
        at = match.end()
    return found


def normalised(text: str) -> str:
    """One way to write an expression: blanks, parentheses, signs and numbers told apart by nothing but meaning.

    The order of the parts stays as it was written, so that one recognises one's own expression.

    Raises
    ------
    ExpressionError
        If the text is not an expression.
    """
    return write(read(text))


class _Parser:
    """Reads tokens from left to right, one method a line of the grammar."""

    def __init__(self, pieces: list[Token], length: int) -> None:
        self._tokens = [*pieces, Token("end", "", length, length)]
        self._at = 0
        self._depth = 0

    def expression(self) -> Node:
        if len(self._tokens) == 1:
            raise ExpressionError("the expression is empty; write a condition, such as mag_r < 20", 0, 0)
        node = self._either()
        token = self._token
        if token.kind != "end":
            said = {")": "this parenthesis closes nothing", ",": "a comma may stand inside parentheses only"}
            message = said.get(token.text, f"an operator is missing before {shorten(token.text)!r}")
            raise ExpressionError(message, token.start, token.end)
        return node

    @property
    def _token(self) -> Token:
        return self._tokens[self._at]

    def _accept(self, *texts: str) -> Token | None:
        """The next token, taken, if it is one of these."""
        token = self._token
        if token.kind in ("operator", "name") and token.text in texts:
            self._at += 1
            return token
        return None

    def _either(self) -> Node:
        return self._junction("|", EITHER, self._both)

    def _both(self) -> Node:
        return self._junction("&", BOTH, self._not)

    def _junction(self, operator: Literal["&", "|"], signs: tuple[str, ...], part: Callable[[], Node]) -> Node:
        operands = [part()]
        while self._accept(*signs):
            operands.append(part())
        if len(operands) == 1:
            return operands[0]
        flat: list[Node] = []
        for one in operands:
            flat += one.operands if isinstance(one, Junction) and one.operator == operator else (one,)
        return Junction(operator, tuple(flat), start=operands[0].start, end=operands[-1].end)

    def _not(self) -> Node:
        sign = self._accept(*NOT)
        if sign is None:
            return self._comparison()
        of = self._deeper(sign, self._not)
        return of.of if isinstance(of, Negation) else Negation(of, start=sign.start, end=of.end)

    def _comparison(self) -> Node:
        operands, operators = [self._sum()], []
        while sign := self._accept(*COMPARISONS):
            operators.append(COMPARISONS[sign.text])
            operands.append(self._sum())
        if operators:
            return Comparison(tuple(operators), tuple(operands), start=operands[0].start, end=operands[-1].end)
        if self._accept("contains"):
            word = self._value()
            return Call("contains", (operands[0], word), start=operands[0].start, end=word.end)
        negated = self._token.text == "not" and self._tokens[self._at + 1].text == "in"
        self._at += negated
        return self._membership(operands[0], negated) if self._accept("in") else operands[0]

    def _membership(self, of: Node, negated: bool) -> Node:
        opening = self._accept("(")
        if opening is None:
            raise ExpressionError(
                "after 'in' comes a list in parentheses, such as (1, 2)", self._token.start, self._token.end
            )
        options = self._list(opening, self._option)
        return Membership(of, options, negated, start=of.start, end=self._tokens[self._at - 1].end)

    def _option(self) -> Node:
        node = self._sign()
        inner = node.of if isinstance(node, Negative) else node
        if not isinstance(inner, NumberLiteral) and (isinstance(node, Negative) or not isinstance(inner, WordLiteral)):
            raise ExpressionError("a list holds numbers, or words in quotes", node.start, node.end)
        return node

    def _sum(self) -> Node:
        return self._chain(("+", *MINUS), self._product)

    def _product(self) -> Node:
        return self._chain(("*", "/"), self._sign)

    def _chain(self, signs: tuple[str, ...], part: Callable[[], Node]) -> Node:
        node = part()
        while sign := self._accept(*signs):
            right = part()
            operator = "-" if sign.text in MINUS else sign.text
            node = Arithmetic(operator, node, right, start=node.start, end=right.end)
        return node

    def _sign(self) -> Node:
        sign = self._accept("+", *MINUS)
        if sign is None:
            return self._power()
        of = self._deeper(sign, self._sign)
        return of if sign.text == "+" else Negative(of, start=sign.start, end=of.end)

    def _power(self) -> Node:
        base = self._value()
        sign = self._accept("**")
        if sign is None:
            return base
        exponent = self._deeper(sign, self._sign)
        return Arithmetic("**", base, exponent, start=base.start, end=exponent.end)

    def _value(self) -> Node:
        token = self._token
        self._at += 1
        match token.kind:
            case "number":
                self._check_end_of_number(token)
                return NumberLiteral(_number(token), start=token.start, end=token.end)
            case "quoted":
                return ColumnReference(token.text[1:-1], start=token.start, end=token.end)
            case "word":
                return WordLiteral(token.text[1:-1], start=token.start, end=token.end)
            case "name" if token.text not in OF_CONDITIONS:
                opening = self._accept("(")
                return (
                    self._call(token, opening)
                    if opening
                    else ColumnReference(token.text, start=token.start, end=token.end)
                )
            case "operator" if token.text == "(":
                node = self._deeper(token, self._either)
                self._close(token)
                return node
        where = "the expression ends" if token.kind == "end" else f"{shorten(token.text)!r} stands"
        hint = f"; a column of this name is written {written_name(token.text)}" if token.text in OF_CONDITIONS else ""
        raise ExpressionError(f"{where} where a value is expected{hint}", token.start, token.end)

    def _check_end_of_number(self, token: Token) -> None:
        follows = self._token
        if follows.kind in ("name", "number") and follows.start == token.end:
            text = token.text + follows.text
            raise ExpressionError(f"{shorten(text)!r} is neither a number nor a name", token.start, follows.end)

    def _call(self, name: Token, opening: Token) -> Node:
        if name.text not in FUNCTIONS:
            near = difflib.get_close_matches(name.text, FUNCTIONS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"functions: {', '.join(FUNCTIONS)}"
            raise ExpressionError(f"no function {shorten(name.text)!r}; {hint}", name.start, name.end)
        arguments = self._list(opening, self._either)
        end = self._tokens[self._at - 1].end
        least, most = FUNCTIONS[name.text]
        if not least <= len(arguments) <= most:
            allowed = str(least) if least == most else f"{least} to {most}"
            raise ExpressionError(f"{name.text} takes {allowed} values, {len(arguments)} were given", name.start, end)
        return Call(name.text, arguments, start=name.start, end=end)

    def _list(self, opening: Token, part: Callable[[], Node]) -> tuple[Node, ...]:
        """Parts up to the closing parenthesis; a comma may follow the last."""
        parts: list[Node] = []
        while not parts or self._token.text != ")":
            parts.append(self._deeper(opening, part))
            if not self._accept(","):
                break
        self._close(opening)
        return tuple(parts)

    def _close(self, opening: Token) -> None:
        if self._accept(")"):
            return
        if self._token.kind == "end":
            raise ExpressionError("this parenthesis is not closed", opening.start, opening.end)
        raise ExpressionError(
            f"an operator or a closing parenthesis is missing before {shorten(self._token.text)!r}",
            self._token.start,
            self._token.end,
        )

    def _deeper(self, token: Token, part: Callable[[], Node]) -> Node:
        if self._depth == MAX_NESTING:
            raise ExpressionError(f"an expression may be nested {MAX_NESTING} deep", token.start, token.end)
        self._depth += 1
        node = part()
        self._depth -= 1
        return node


def _number(token: Token) -> float:
    if token.text.isdigit() and len(token.text) <= MOST_DIGITS:
        return int(token.text)
    value = float(token.text.replace("−", "-"))
    if value == float("inf"):
        raise ExpressionError(f"{shorten(token.text)!r} is too large a number", token.start, token.end)
    return int(value) if value.is_integer() and value < EXACT_BELOW else value
