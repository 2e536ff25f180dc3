"""Costs of selections beside their prices: `python -m benchmarks.prices ATLAS`.

Prints nanoseconds of all cores a row, and operations a row as `atlas.queries.price` reckons them: the first should stay
near or below the second.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from atlas import Atlas
from atlas.queries.price import price
from atlas.queries.selection import Category, Cone, Expression, MapPolygon, Range, Selection, canonical


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("atlas")
    atlas = Atlas.open(parser.parse_args().atlas)
    for name, selection in selections(atlas):
        atlas.mask(selection)
        start = time.process_time()
        atlas.mask(selection)
        taken = (time.process_time() - start) / atlas.n_rows * 1e9
        print(f"{name:28s} {taken:8.1f} ns {price(selection, atlas.n_rows) / atlas.n_rows:8.1f} operations")


def selections(atlas: Atlas) -> Iterator[tuple[str, Selection]]:
    """One of each kind, by name."""
    columns = atlas.columns(atlas.default_space)
    x = next(c.name for c in columns if c.kind == "number" and c.dtype == "float32")
    yield "range", Range(x, 0, 20)
    yield "cone of the sky", Cone(10, 0, 180 * 3600)
    for column in columns:
        if column.kind == "category":
            yield "category", Category(column.name, column.vocabulary[:2])
            break
    for name, term in (("sum", f"{x} + 1"), ("power", f"{x} ** 1.5"), ("log10", f"log10({x})"), ("exp", f"exp({x})")):
        yield f"three of {name}", canonical(Expression(f"{term} + {term} + {term} > 1"))
    frame = atlas.space().plane.frame
    middle = np.array([(frame.x0 + frame.x1) / 2, (frame.y0 + frame.y1) / 2])
    around = np.linspace(0, 2 * np.pi, 100, endpoint=False)
    circle = np.column_stack([np.cos(around), np.sin(around)]) * min(frame.width, frame.height) / 2

    def lasso(corners: NDArray[np.float64]) -> Selection:
        return canonical(MapPolygon(atlas.default_space, tuple((float(x), float(y)) for x, y in corners + middle)))

    yield "circle of 100 corners", lasso(circle)
    yield "star of 100 corners", lasso(circle * np.where(np.arange(100) % 2, 0.05, 1)[:, None])
    yield "100 corners at random", lasso(np.random.default_rng(1).uniform(-1, 1, (100, 2)) * np.abs(circle).max(axis=0))


if __name__ == "__main__":
    main()
