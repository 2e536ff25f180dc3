"""Text of what `benchmarks.feedback` measures: Markdown tables with spread over surveys and paired intervals."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import bootstrap

from benchmarks.encoders import difference

AFTER = (0, 20, 100)
"""Labels that are given before a list is judged."""

NEXT = (100, 1_000)


class Figure(NamedTuple):
    """A figure of one order.

    Attributes
    ----------
    after : int
        Labels that were given.
    kind : str
        "looked": interesting ones among the labelled. "next": among the next of the list. "all": among so many looks,
        of which the first were labelled and the rest follow the list.
    size : int
        Galaxies that are counted.
    """

    after: int
    kind: str
    size: int

    @property
    def head(self) -> str:
        """Head of its column."""
        if self.kind == "looked":
            return f"in {self.after}"
        if self.kind == "next":
            return f"next {self.size:,} after {self.after}"
        return f"of {self.size:,}, {self.after} labelled"

    @property
    def says_more(self) -> bool:
        """Whether another column does not say the same."""
        if self.kind == "next":
            return True
        return self.after > 0 if self.kind == "looked" else 0 < self.after < self.size


FIGURES = tuple(
    figure
    for after in AFTER
    for figure in (Figure(after, "looked", after), *(Figure(after, kind, n) for kind in ("next", "all") for n in NEXT))
)
SHOWN = [at for at, figure in enumerate(FIGURES) if figure.says_more]


class Expected(NamedTuple):
    """An interval that the page told, and what came.

    Attributes
    ----------
    looks : int
        When it was told.
    low, high, share : float
        Its ends, and the share of interesting galaxies among the next hundred.
    """

    looks: int
    low: float
    high: float
    share: float


Ways = dict[str, list[list[int]]]
"""Figures by order and survey, one for each of `FIGURES`."""


def counts(looked: NDArray[np.bool_], listed: NDArray[np.bool_]) -> list[int]:
    """Figures of one list, given which of the looks so far and of the list, in order, are interesting."""
    found = int(looked.sum())
    return [
        found,
        *(int(listed[:count].sum()) for count in NEXT),
        *(found + int(listed[: max(0, count - looked.size)].sum()) for count in NEXT),
    ]


def as_table(ways: Ways) -> str:
    """Means over surveys, lowest to highest."""
    return _table({way: [_with_range(v) for v in _shown(rows).T] for way, rows in ways.items()})


def differences(ways: Ways, ours: str) -> str:
    """Figures of our order less those of each other, in the same surveys: mean ± half width of the 95 % interval."""
    own = _shown(ways[ours]).T
    cells = {}
    for way, rows in ways.items():
        if way != ours:
            pairs = zip(own, _shown(rows).T, strict=True)
            cells[f"less {way}"] = [_with_interval(*difference(a.tolist(), b.tolist())) for a, b in pairs]
    return _table(cells)


def times_the_best(ways: Ways, ours: str, others: list[str]) -> str:
    """Figures of our order over those of the others that have most, column by column, with a 95 % interval."""
    told = []
    for at in SHOWN:
        own, best = (np.array(ways[way])[:, at] for way in (ours, max(others, key=lambda way: _mean(ways[way], at))))
        told.append(f"{FIGURES[at].head}: {_ratio(own, best)}")
    return "Ours over the best without labels, column by column: " + "; ".join(told)


def of_intervals(expected: list[Expected]) -> str:
    """The share of told intervals that hold what came, and on which side the others miss."""
    told = []
    for looks in (0, *sorted({one.looks for one in expected})):
        some = [one for one in expected if looks in (0, one.looks)]
        held = sum(one.low <= one.share <= one.high for one in some)
        poorer = sum(one.share < one.low for one in some)
        told.append(f"{f'after {looks}' if looks else 'all'}: {held} of {len(some)}, poorer than told in {poorer}")
    return "The interval that the page tells (90 %) held the next hundred. " + "; ".join(told)


def _shown(rows: list[list[int]]) -> NDArray[np.int64]:
    return np.array(rows, dtype=np.int64)[:, SHOWN]


def _mean(rows: list[list[int]], at: int) -> float:
    return float(np.array(rows)[:, at].mean())


def _table(cells: dict[str, list[str]]) -> str:
    heads = [FIGURES[at].head for at in SHOWN]
    lines = [f"| order | {' | '.join(heads)} |", f"| --- |{' --- |' * len(heads)}"]
    return "\n".join([*lines, *(f"| {way} | {' | '.join(told)} |" for way, told in cells.items())])


def _with_range(values: NDArray[np.int64]) -> str:
    return f"{values.mean():.1f} ({values.min()} to {values.max()})"


def _with_interval(mean: float, half: float) -> str:
    text = f"{mean:+.1f}" if np.isnan(half) else f"{mean:+.1f} ± {half:.1f}"
    return f"**{text}**" if abs(mean) > half else text


def _ratio(own: NDArray[Any], best: NDArray[Any]) -> str:
    def over(a: NDArray[Any], b: NDArray[Any], axis: int = -1) -> Any:
        return a.mean(axis=axis) / np.maximum(b.mean(axis=axis), 1e-9)

    if own.size < 2:
        return f"{over(own, best):.2f}"
    resampled = bootstrap((own, best), over, paired=True, method="percentile", rng=np.random.default_rng(0))
    interval = resampled.confidence_interval
    return f"{over(own, best):.2f} ({interval.low:.2f} to {interval.high:.2f})"
