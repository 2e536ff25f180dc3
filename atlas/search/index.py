"""Neighbour index, whoever made it, and the file that says so.

index/index.json     engine, its version, number of rows and dimensions, leaves, parameters   (`IndexDescription`)
      isolated.npy   uint32, rows that the engine's codes describe worst
      …              the engine's own files                                (`atlas.search.engines.scann`, `.faiss`)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from atlas.errors import FormatError, shorten
from atlas.search.exact import EmbeddingArray

DESCRIPTION = "index.json"
ISOLATED = "isolated.npy"


class SearchSetting(msgspec.Struct, frozen=True):
    """Effort of an approximate search.

    Attributes
    ----------
    leaves : int
        Leaves of the index's tree that are searched.
    candidates : int
        Best approximate candidates that are re-scored exactly.
    """

    leaves: int
    candidates: int


class IndexDescription(msgspec.Struct, frozen=True, kw_only=True):
    """Content of `index.json`.

    Attributes
    ----------
    engine : {"scann", "faiss", "exact"}
    version : str
        Of the engine that wrote the files; empty for "exact".
    n_rows, dimensions : int
        Shape of the embeddings that were indexed.
    leaves : int
        Leaves of the tree; 1 for "exact".
    parameters : dict
        What the engine was built with, for the record.
    """

    engine: Literal["scann", "faiss", "exact"]
    version: str
    n_rows: int
    dimensions: int
    leaves: int
    parameters: dict[str, Any] = {}


class NeighborIndex(Protocol):
    """An opened index. Safe to share between threads.

    Attributes
    ----------
    name : str
        "scann", "faiss", "exact", or that of a server ("milvus", "pgvector").
    n_rows : int
    leaves : int
        Leaves of the tree: a setting that searches as many searches everything.
    isolated : ndarray of shape (i,), int64
        Rows that the codes describe worst: candidates of every query, whether the engine proposes them or not. Each
        once.
    isolated_embeddings : ndarray of shape (i, d), float16 or float32
        Theirs, in memory: every query reads them.
    ended : bool
        Whether it can no longer be searched and has to be opened again; of an index in a process of its own.
    """

    @property
    def name(self) -> str: ...

    @property
    def n_rows(self) -> int: ...

    @property
    def leaves(self) -> int: ...

    @property
    def isolated(self) -> NDArray[np.int64]: ...

    @property
    def isolated_embeddings(self) -> EmbeddingArray: ...

    @property
    def ended(self) -> bool: ...

    def candidates(self, queries: NDArray[np.float32], setting: SearchSetting) -> NDArray[np.int64]:
        """Rows that are probably among the nearest, by inner product.

        Parameters
        ----------
        queries : ndarray of shape (q, d), float32
        setting : SearchSetting

        Returns
        -------
        ndarray of shape (q, ≤ setting.candidates), int64
            No order is promised; −1 pads lines that found less.
        """
        ...


def read_index_description(directory: Path) -> IndexDescription:
    """Read an index's `index.json`.

    Raises
    ------
    FormatError
        If the file is missing or is not the description of an index.
    """
    path = directory / DESCRIPTION
    try:
        return msgspec.json.decode(path.read_bytes(), type=IndexDescription)
    except FileNotFoundError:
        raise FormatError(f"{path} is missing: the folder holds no neighbour index") from None
    except msgspec.DecodeError as e:
        raise FormatError(f"{path} does not describe a neighbour index: {shorten(e, 200)}") from e
