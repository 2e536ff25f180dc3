"""The cost of a stage from the sizes of a build: seconds, memory and disk, and what several stages share of it.

Memory and disk follow from rows, dimensions and parameters. Times are rates that were measured on one machine with
simulated surveys of 0.1 to 10 million galaxies (`python -m benchmarks.build`).
"""

from __future__ import annotations

import msgspec

from atlas.search.index import SearchSetting
from atlas.storage import layout

from ..config import BuildConfig

PRODUCTS_A_SECOND = 5e10
"""Multiplications and additions of float32 that one core did in a second, with all that surrounds them."""

NEIGHBORS_BYTES = 8 * layout.KNN_NEIGHBORS
"""Nearest of one row, and their similarities."""


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes of a build.

    Attributes
    ----------
    n, d : int
        Rows, and numbers of an embedding as it is stored.
    anchors, known : int
        Rows that UMAP sees; those whose nearest are looked for with care.
    columns, images, measured : int
        Of the catalogue; those that are stored; those whose artefacts are measured.
    leaves : int
        Of the index's tree.
    exact : bool
        Whether every search is exact, so that there is no index.
    config : BuildConfig
    """

    n: int
    d: int
    anchors: int
    known: int
    columns: int
    images: int
    measured: int
    leaves: int
    exact: bool
    config: BuildConfig


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """Cost of a stage.

    Attributes
    ----------
    alone, shared : float
        Seconds of one core that cannot be shared, and seconds that threads share.
    memory : int
        Bytes that no file backs, beside what every stage takes.
    disk : int
        Bytes of its outputs.
    """

    alone: float = 0.0
    shared: float = 0.0
    memory: int = 0
    disk: int = 0


def product_seconds(s: Sizes, rows: int, others: int) -> float:
    """Seconds for the inner products of `rows` with `others` embeddings on one core."""
    return rows * others * s.d / PRODUCTS_A_SECOND


def search_seconds(s: Sizes, rows: int, setting: SearchSetting) -> float:
    """Seconds for the ten nearest of some rows on one core."""
    if s.exact:
        return product_seconds(s, rows, s.n) * 2
    scanned = min(setting.leaves, s.leaves) * s.n / s.leaves
    return rows * (6e-7 * setting.candidates * s.d / 128 + s.leaves * 4e-9 * s.d / 128 + scanned * 3.5e-9)


def opened_index(s: Sizes) -> int:
    """Bytes of an index while it is opened: its files, and the codes packed."""
    return 0 if s.exact else s.n * (s.d * 3 // 4 + 8) + s.leaves * s.d * 200
