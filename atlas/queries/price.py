"""Price of a selection, told before it is evaluated: pure, from the selection and the number of rows alone.

The unit is the *operation*: a comparison or a sum of two numbers in one row, about a nanosecond of a core. A power or a
logarithm takes more, a lasso as many as it has corners in each row that may lie on either side of its outline.
`benchmarks/prices.py` prints what each takes beside its weight here.
"""

from __future__ import annotations

import math

import numpy as np

from atlas.errors import InputError, shorten
from atlas.expressions.parser import read
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
    WordLiteral,
)
from atlas.queries.selection import (
    Alike,
    All,
    And,
    Bits,
    Category,
    Cluster,
    Collected,
    ColumnPolygon,
    Cone,
    Contains,
    Expression,
    Labelled,
    MapPolygon,
    Named,
    Not,
    Or,
    PartOf,
    Range,
    Rows,
    Selection,
    SkyMoc,
    SkyPolygon,
    Vertices,
    parts_of,
)
from atlas.queries.splitting import MOST as MOST_SPLIT

# Operations a row.
RANGE, CATEGORY, CLUSTER, BIT, CONE, POWER, LOGARITHM, TEXT = 2, 15, 1, 2, 25, 12, 12, 60
NAMED = 20_000  # an id is read, hashed and looked up
ALIKE = 30  # all numbers of an embedding, many at once
COLUMN_LASSO = 70  # two columns are put on their axes
LASSO = 20  # a row in doubt, before the first corner is looked at
CORNER = 2.2  # a corner and row in doubt: an outline that crosses itself has more corners than were drawn
MOC_CHARACTER = 2_500  # what the store looks up along the edge of some cells
SAID_OF = 1_000_000
_FUNCTIONS = {"log10": LOGARITHM, "ln": LOGARITHM, "exp": 4, "contains": TEXT, "bit": BIT}


def price(selection: Selection, n_rows: int) -> int:
    """Operations that a selection takes, at most about.

    Parameters
    ----------
    selection : Selection
        Canonical: its polygons are simple and its expressions can be read.
    n_rows : int
        Rows of the atlas.
    """
    return sum(_price_of(part, n_rows) for part in parts_of(selection))


def require_affordable(selection: Selection, n_rows: int, allowed: int) -> None:
    """Refuse a selection that takes more operations than are allowed.

    Raises
    ------
    InputError
        Tells what it would take, what is allowed, and its dearest part.
    """
    parts = list(parts_of(selection))
    asked = sum(_price_of(part, n_rows) for part in parts)
    if asked <= allowed:
        return
    dearest = max(parts, key=lambda part: _price_of(part, n_rows))
    advice = f"leave out some of its {len(parts)} parts" if len(parts) > 1 else "make it simpler"
    share = _price_of(dearest, n_rows) / asked
    raise InputError(
        f"this selection would take {_millions(asked)} operations on {n_rows:,} galaxies, allowed are "
        f"{_millions(allowed)}: {advice}; the dearest is {_named(dearest)}, which takes {share:.0%}"
    )


def rows_in_doubt(vertices: Vertices, n_rows: int) -> float:
    """Rows of which a lasso must be asked one by one, at most about.

    A level store decides whole leaves of 64 rows; those that the outline crosses are left. On a plane as large as the
    lasso's own box there are √(n / 64) of them along its side; the outline crosses about four times the cells that it
    is long, since they lie askew of it and rows crowd.
    """
    points = np.asarray(vertices)
    width, height = np.ptp(points, axis=0)
    outline = float(np.hypot(*(np.roll(points, -1, axis=0) - points).T).sum())
    side = math.sqrt(width * height)
    return float(n_rows) if side == 0 else min(float(n_rows), 4 * 64 * (outline / side) * math.sqrt(n_rows / 64))


def _price_of(part: Selection, n: int) -> int:
    match part:
        case All():
            return 0
        case Rows(rows):
            return len(rows)
        case Named(ids):
            return NAMED * len(ids)
        case MapPolygon(_, vertices) | SkyPolygon(_, vertices):
            return round(n + rows_in_doubt(vertices, n) * (LASSO + CORNER * len(vertices)))
        case ColumnPolygon(_, _, vertices):
            return round(n * (COLUMN_LASSO + CORNER * len(vertices)))  # its plane may not be there
        case Cone():
            return n * CONE
        case SkyMoc(cells):
            return n * RANGE + len(cells) * MOC_CHARACTER
        case Range():
            return n * RANGE
        case Category():
            return n * CATEGORY
        case Bits(_, on, off):
            return n * BIT * (len(on) + len(off))
        case Contains():
            return n * TEXT
        case Expression(text):
            return n * _operations(read(text))
        case Cluster() | Labelled() | Collected():
            return n * CLUSTER
        case Alike():
            return n * ALIKE
        case PartOf():
            return min(n, MOST_SPLIT) * ALIKE
        case And() | Or() | Not():
            raise TypeError(f"{type(part).__name__} is made of parts")


def _operations(node: Node) -> int:
    """Operations a row of a condition or number."""
    match node:
        case Junction(_, operands):
            return len(operands) - 1 + sum(map(_operations, operands))
        case Negation(of) | Negative(of):
            return 1 + _operations(of)
        case Comparison(operators, operands):
            words = any(isinstance(one, WordLiteral) for one in operands)
            return len(operators) * (CATEGORY if words else 1) + sum(map(_operations, operands))
        case Membership(of, options, _):
            words = any(isinstance(one, WordLiteral) for one in options)
            return len(options) * (CATEGORY if words else 2) + _operations(of)
        case Arithmetic(operator, left, right):
            return (POWER if operator == "**" else 1) + _operations(left) + _operations(right)
        case Call(function, arguments):
            return max(len(arguments) - 1, _FUNCTIONS.get(function, 1)) + sum(map(_operations, arguments))
        case ColumnReference():
            return 1  # read, perhaps into another type
    return 0


def _named(part: Selection) -> str:
    match part:
        case MapPolygon(_, vertices):
            return f"a lasso of {len(vertices)} corners on the map"
        case SkyPolygon(_, vertices):
            return f"a lasso of {len(vertices)} corners on the sky"
        case ColumnPolygon(x, y, vertices):
            return f"a lasso of {len(vertices)} corners on {x} and {y}"
        case Expression(text):
            return f"the condition {shorten(text, 40)}"
        case Alike():
            return "the similarity to examples"
        case PartOf():
            return "the part of a selection"
        case Range(column) | Category(column) | Bits(column) | Contains(column):
            return f"what is asked of {column}"
        case SkyMoc():
            return "a coverage map"
    return f"a {type(part).__name__.lower()}"


def _millions(operations: int) -> str:
    return f"{operations / SAID_OF:,.0f} million"
