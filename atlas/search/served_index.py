"""Index that a server of its own holds: what outgrows one machine, chosen by an address and filled from an atlas.

    <atlas>/search/<build>-<space>-<engine>.json     `ServedIndex`: where the embeddings lie, how often it is right

`python -m precompute fill` writes the file last, so that nobody asks a server that holds a part of the galaxies. Such
an index proposes candidates like any other; their scores come from the embeddings of the atlas.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from atlas.errors import FormatError, ResourceError, shorten
from atlas.search.quality import Recall

FOLDER = "search"
ServedEngine = Literal["milvus", "pgvector"]
SCHEMES: dict[str, ServedEngine] = {
    "http": "milvus",
    "https": "milvus",
    "postgresql": "pgvector",
}
"""Beginnings of addresses, and what answers there."""


class SearchAwayError(ResourceError):
    """The server that holds the index does not answer; the same may be asked again in a moment."""


class ServedIndex(msgspec.Struct, frozen=True, kw_only=True):
    """Content of the file.

    Attributes
    ----------
    engine : {"milvus", "pgvector"}
    name : str
        Of the collection or table.
    n_rows, dimensions : int
        Shape of the embeddings that it holds.
    leaves : int
        Lists that they are dealt to.
    recall : tuple of Recall
        Measured through the server, by kind of query.
    """

    engine: ServedEngine
    name: str
    n_rows: int
    dimensions: int
    leaves: int
    recall: tuple[Recall, ...] = ()


def engine_of(url: str) -> ServedEngine:
    """Engine that answers at an address.

    Raises
    ------
    ResourceError
        If none is known for it.
    """
    engine = SCHEMES.get(url.partition("://")[0])
    if engine is None:
        raise ResourceError(
            f"no index is known at {shorten(url)!r}: allowed are http://…, https://… and postgresql://…"
        )
    return engine


def served_path(root: Path, build_id: str, space: str, engine: str) -> Path:
    """Place of the file."""
    return root / FOLDER / f"{build_id}-{space}-{engine}.json"


def read_served(root: Path, build_id: str, space: str, url: str) -> ServedIndex | None:
    """Content of a server of a space; None where it was not filled from this build.

    Raises
    ------
    FormatError
        If the file cannot be read.
    """
    path = served_path(root, build_id, space, engine_of(url))
    try:
        return msgspec.json.decode(path.read_bytes(), type=ServedIndex)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as e:
        raise FormatError(f"{path} cannot be read: {shorten(e, 200)}; fill the server again") from e
