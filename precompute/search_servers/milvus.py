"""Milvus filled: a collection of rows and embeddings with a SCANN index.

It is indexed and loaded before it is filled, since Milvus answers what it holds of a loaded collection alone: so an
interrupted run is gone on with.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from atlas.search.engines.milvus import FIELD, KEY, answering, connect_milvus
from atlas.search.exact import EmbeddingArray
from atlas.storage.arrays import chunks

BATCH_ROWS = 10_000
PATIENCE_S = 600.0
LOOK_EVERY_S = 1.0


def fill_milvus(
    url: str, name: str, embeddings: EmbeddingArray, leaves: int, advance: Callable[[int], object], *, first: bool
) -> None:
    """Fill a collection, or go on with it.

    Parameters
    ----------
    url, name : str
    embeddings : ndarray of shape (n, d), float16 or float32
    leaves : int
        Lists of each segment.
    advance : callable
        Told rows that are there.
    first : bool
        Whether to begin anew.

    Raises
    ------
    SearchAwayError
        If the server does not answer; the same call goes on from there.
    """
    client = connect_milvus(url, PATIENCE_S)
    with answering():
        _fill(client, name, embeddings, leaves, advance, first=first)
    client.close()


def _fill(
    client: Any, name: str, embeddings: EmbeddingArray, leaves: int, advance: Callable[[int], object], *, first: bool
) -> None:
    if first and client.has_collection(name):
        client.drop_collection(name)
    if not client.has_collection(name):
        _create(client, name, embeddings.shape[1], leaves)
    client.load_collection(name)
    batches = chunks(len(embeddings), BATCH_ROWS)
    begun = _filled(client, name, batches)
    if begun < len(batches):
        client.delete(name, filter=f"{KEY} >= {batches[begun].start}")  # a batch may have come in part
    advance(batches[begun].start if begun < len(batches) else len(embeddings))
    for part in batches[begun:]:
        block = np.asarray(embeddings[part], dtype=np.float32)
        client.insert(name, [{KEY: part.start + i, FIELD: one} for i, one in enumerate(block)])
        advance(len(block))
    client.flush(name)
    _await_index(client, name, len(embeddings))
    # Rows that have just come are compared one by one; loaded anew, all are searched as they will be, and so measured.
    client.release_collection(name)
    client.load_collection(name)


def _await_index(client: Any, name: str, n_rows: int) -> None:
    """Wait until all rows are indexed: of those that have just come none may be pending yet."""
    while True:
        index = client.describe_index(name, FIELD)
        if int(index["indexed_rows"]) >= n_rows and not int(index["pending_index_rows"]):
            return
        time.sleep(LOOK_EVERY_S)


def _create(client: Any, name: str, dimensions: int, leaves: int) -> None:
    from pymilvus import DataType

    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field(KEY, DataType.INT64, is_primary=True)
    schema.add_field(FIELD, DataType.FLOAT_VECTOR, dim=dimensions)
    index = client.prepare_index_params()
    index.add_index(FIELD, index_type="SCANN", metric_type="IP", params={"nlist": leaves})
    client.create_collection(name, schema=schema, consistency_level="Strong")
    client.create_index(name, index)


def _filled(client: Any, name: str, batches: list[slice]) -> int:
    """Batches that are there as a whole: each is sent when the one before has come."""
    low, high = 0, len(batches)
    while low < high:
        middle = (low + high) // 2
        last = batches[middle].stop - 1
        if client.query(name, filter=f"{KEY} == {last}", output_fields=[KEY], consistency_level="Strong"):
            low = middle + 1
        else:
            high = middle
    return low
