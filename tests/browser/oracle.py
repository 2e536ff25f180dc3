"""What the page has to show for a state, found over all rows by numpy alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from atlas import Atlas
from atlas.expressions.parser import normalised
from atlas.queries.selection import (
    All,
    And,
    Bits,
    Category,
    Cluster,
    ColumnPolygon,
    Expression,
    MapPolygon,
    Not,
    Or,
    Range,
    Selection,
    SkyPolygon,
    canonical_vertices,
)
from dashboard.state.page_state import Viewport

Truth = NDArray[np.bool_]
CONDITIONS: dict[str, Callable[[Callable[[str], NDArray[np.float64]]], Truth]] = {
    "anomaly_knn > 0.5": lambda column: column("anomaly_knn") > 0.5,
    "cluster == 1 | cluster == 2": lambda column: np.isin(column("cluster"), (1, 2)),
    "map_x ** 2 + map_y ** 2 < 30": lambda column: column("map_x") ** 2 + column("map_y") ** 2 < 30,
    "not (trust < 0.4)": lambda column: ~(column("trust") < 0.4),
    "abs(dec + 27.78) < 0.02": lambda column: np.abs(column("dec") + 27.78) < 0.02,
}
"""Conditions that hold for some galaxies of any atlas, and what each means."""

MEANINGS = {normalised(text): meaning for text, meaning in CONDITIONS.items()}


class Oracle:
    """Answers about one atlas, each by a pass over all rows; masks of the last states are kept."""

    def __init__(self, atlas: Atlas) -> None:
        self.atlas = atlas
        self.columns = atlas.columns(atlas.default_space)
        self._kept: dict[Selection, Truth] = {}

    def column(self, name: str) -> NDArray[np.float64]:
        return np.asarray(self.columns.array(name), dtype=np.float64)

    def mask(self, selection: Selection) -> Truth:
        """Which rows a selection holds."""
        if selection not in self._kept:
            if len(self._kept) > 64:
                self._kept.clear()
            self._kept[selection] = self._mask(selection)
        return self._kept[selection]

    def _mask(self, selection: Selection) -> Truth:
        match selection:
            case All():
                return np.ones(self.atlas.n_rows, dtype=bool)
            case And(of):
                return np.logical_and.reduce([self.mask(one) for one in of])
            case Or(of):
                return np.logical_or.reduce([self.mask(one) for one in of])
            case Not(inner):
                return ~self.mask(inner)
            case Cluster(_, label):
                return self.column("cluster") == label
            case Range(name, low, high):
                values = np.asarray(self.columns.array(name))
                held = np.isfinite(values)
                if low is not None:
                    held &= values.astype(np.float64) >= low
                if high is not None:
                    held &= values.astype(np.float64) <= high
                return held
            case Category(name, words):
                vocabulary = self.columns.describe(name).vocabulary
                return np.isin(self.columns.array(name), [vocabulary.index(word) for word in words])
            case Bits(name, on, off):
                values = np.asarray(self.columns.array(name)).astype(np.int64)
                must, must_not = sum(1 << bit for bit in on), sum(1 << bit for bit in off)
                return ((values & must) == must) & ((values & must_not) == 0)
            case Expression(text):
                return MEANINGS[normalised(text)](self.column)
            case MapPolygon(_, vertices):
                return self._inside(vertices, self.column("map_x"), self.column("map_y"))
            case ColumnPolygon() as drawn:
                along_x = self.along(drawn.x, drawn.x_log, drawn.x_zero, drawn.x_unit)
                along_y = self.along(drawn.y, drawn.y_log, drawn.y_zero, drawn.y_unit)
                return self._inside(drawn.vertices, along_x, along_y, one_unit=False)
            case SkyPolygon(projection, vertices):
                return self._inside(vertices, *projection.forward(self.column("ra"), self.column("dec")))
        raise NotImplementedError(selection)

    def along(self, name: str, log: bool, zero: float, unit: float) -> NDArray[np.float64]:
        """Where galaxies lie along an axis that shows a column; NaN where they do not."""
        with np.errstate(all="ignore"):
            values = np.log10(self.column(name)) if log else self.column(name)
        return (values - zero) / unit

    @staticmethod
    def _inside(vertices: object, x: NDArray[np.float64], y: NDArray[np.float64], *, one_unit: bool = True) -> Truth:
        """Rows that an outline goes round, whichever way: where it crosses itself its middle is inside."""
        corners = canonical_vertices(vertices, one_unit=one_unit)  # type: ignore[arg-type]
        turns = np.zeros(x.shape, dtype=np.int32)
        for (ax, ay), (bx, by) in zip(corners, (*corners[1:], corners[0]), strict=True):
            left = (bx - ax) * (y - ay) - (x - ax) * (by - ay)
            turns += ((ay <= y) & (by > y) & (left > 0)).astype(np.int32)
            turns -= ((ay > y) & (by <= y) & (left < 0)).astype(np.int32)
        return turns != 0

    def in_view(self, x: NDArray[np.float64], y: NDArray[np.float64], box: Viewport, mask: Truth) -> tuple[int, int]:
        """Least and greatest count of rows in a view: its edges reach the page in a limited number of digits."""

        def count(slack: float) -> int:
            dx, dy = slack * (box.x1 - box.x0), slack * (box.y1 - box.y0)
            held = (x >= box.x0 - dx) & (x <= box.x1 + dx) & (y >= box.y0 - dy) & (y <= box.y1 + dy)
            return int(np.count_nonzero(held & mask))

        return count(-1e-5), count(1e-5)

    def similarity(self, focus: int) -> NDArray[np.float32]:
        """Similarity of every row to one."""
        embeddings = self.atlas.space().embeddings
        query = embeddings[focus].astype(np.float32)
        parts = [
            embeddings[start : start + 100_000].astype(np.float32) @ query
            for start in range(0, self.atlas.n_rows, 100_000)
        ]
        return np.concatenate(parts)
