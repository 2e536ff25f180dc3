"""Milvus: an index of SCANN's codes on servers of its own (Wang et al. 2021, SIGMOD), for what outgrows one machine.

A leaf is one of its lists (`nprobe`), candidates are what it re-ranks (`reorder_k`) and returns; scores come from the
embeddings of the atlas all the same. It keeps the rows in segments, each with as many lists: more than that many leaves
are no use.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.errors import FormatError, shorten
from atlas.search.engines.base import ServerIndex
from atlas.search.exact import EmbeddingArray
from atlas.search.index import SearchSetting
from atlas.search.served_index import SearchAwayError, ServedIndex

FIELD, KEY = "embedding", "row"
MOST_CANDIDATES = 16_384
"""What Milvus returns of one query at most."""

ANSWER_S = 5.0
LOAD_S = 600.0


@contextmanager
def answering() -> Iterator[None]:
    """Say `SearchAwayError` where Milvus fails to do what is asked within the block."""
    from pymilvus.exceptions import MilvusException

    try:
        yield
    except MilvusException as e:
        raise SearchAwayError(f"Milvus does not answer: {shorten(e, 200)}") from e


def connect_milvus(url: str, timeout: float = ANSWER_S) -> Any:
    """Client of a server.

    Raises
    ------
    FormatError
        If pymilvus is not installed.
    SearchAwayError
        If nobody answers.
    """
    try:
        from pymilvus import MilvusClient
    except ImportError as e:
        raise FormatError("pymilvus is not installed: pip install 'galaxy-finder[milvus]'") from e
    with answering():
        return MilvusClient(uri=url, timeout=timeout)


class MilvusIndex(ServerIndex):
    """A collection of Milvus. Use `open`."""

    name = "milvus"

    def __init__(self, client: Any, served: ServedIndex, embeddings: EmbeddingArray) -> None:
        super().__init__(served, embeddings)
        self._client = client
        self._collection = served.name

    @classmethod
    def open(cls, url: str, served: ServedIndex, embeddings: EmbeddingArray) -> MilvusIndex:
        """Have the server read the collection into its memory, if that is not done.

        Raises
        ------
        FormatError
            If pymilvus is not installed.
        SearchAwayError
            If the server does not answer, or lacks the collection or galaxies of it.
        """
        client = connect_milvus(url)
        with answering():
            if not client.has_collection(served.name, timeout=ANSWER_S):
                raise SearchAwayError(f"Milvus at {url} has no collection {served.name}: fill it again")
            client.load_collection(served.name, timeout=LOAD_S)
            counted = client.query(served.name, filter="", output_fields=["count(*)"], timeout=LOAD_S)
        if counted[0]["count(*)"] != served.n_rows:
            raise SearchAwayError(
                f"{served.name} of Milvus at {url} holds {counted[0]['count(*)']:,} galaxies, "
                f"expected {served.n_rows:,}: fill it again"
            )
        return cls(client, served, embeddings)

    def candidates(self, queries: NDArray[np.float32], setting: SearchSetting) -> NDArray[np.int64]:
        """See `NeighborIndex.candidates`.

        Raises
        ------
        SearchAwayError
            If the server does not answer; the index has to be opened again.
        """
        wanted = min(setting.candidates, self.n_rows, MOST_CANDIDATES)
        parameters = {"nprobe": min(setting.leaves, self.leaves), "reorder_k": wanted}
        try:
            with answering():
                found = self._client.search(
                    self._collection,
                    np.ascontiguousarray(queries).tolist(),
                    anns_field=FIELD,
                    limit=wanted,
                    search_params={"metric_type": "IP", "params": parameters},
                    consistency_level="Bounded",  # nothing is written any more, so nobody waits
                    timeout=ANSWER_S,
                )
        except SearchAwayError:
            self.ended = True
            raise
        rows = np.full((len(queries), wanted), -1, dtype=np.int64)
        for line, hits in zip(rows, found, strict=True):
            line[: len(hits)] = [hit["id"] for hit in hits]
        return rows
