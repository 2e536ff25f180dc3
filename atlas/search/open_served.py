"""Opens the index of a search server, by the engine that was filled."""

from __future__ import annotations

from atlas.errors import FormatError
from atlas.search.exact import EmbeddingArray
from atlas.search.index import NeighborIndex
from atlas.search.served_index import ServedIndex


def open_served(url: str, served: ServedIndex, embeddings: EmbeddingArray) -> NeighborIndex:
    """Open the index of a server.

    Raises
    ------
    SearchAwayError
        If it does not answer, or holds other galaxies.
    FormatError
        If its client is not installed here, or it was filled with other embeddings.
    """
    if (served.n_rows, served.dimensions) != embeddings.shape:
        raise FormatError(
            f"{served.name} holds {served.n_rows:,} rows of {served.dimensions} numbers, "
            f"the embeddings have shape {embeddings.shape}: fill the server again"
        )
    if served.engine == "pgvector":
        from atlas.search.engines.pgvector import PgvectorIndex

        return PgvectorIndex.open(url, served, embeddings)
    from atlas.search.engines.milvus import MilvusIndex

    return MilvusIndex.open(url, served, embeddings)
