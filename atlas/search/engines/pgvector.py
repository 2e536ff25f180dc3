"""PostgreSQL with pgvector: the lists of an inverted file (IVFFlat) in a table, where a site has a PostgreSQL already.

A leaf is one of its lists (`ivfflat.probes`), candidates are the rows that it returns; it keeps the embeddings
themselves, as half floats. It outgrows a machine no more than its PostgreSQL does.
"""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from atlas.errors import shorten
from atlas.postgresql import bounded_connection
from atlas.search.engines.base import ServerIndex
from atlas.search.exact import EmbeddingArray
from atlas.search.index import SearchSetting
from atlas.search.served_index import SearchAwayError, ServedIndex

CONNECTIONS = 8
ANSWER_MS = 5_000
CONNECT_S = 3


def connect_postgresql(url: str, answer_ms: int = ANSWER_MS) -> Engine:
    """Pool of connections to a database; none is open yet. No statement takes longer than `answer_ms` (0: any time)."""
    return create_engine(
        url.replace("postgresql://", "postgresql+psycopg://", 1),
        poolclass=QueuePool,
        pool_size=CONNECTIONS,
        pool_pre_ping=True,
        connect_args={**bounded_connection(CONNECT_S), "options": f"-c statement_timeout={answer_ms}"},
    )


def vector_text(embedding: NDArray[Any]) -> str:
    """An embedding as pgvector reads it."""
    return "[" + ",".join(f"{value:.7g}" for value in embedding.tolist()) + "]"


class PgvectorIndex(ServerIndex):
    """A table of embeddings. Use `open`."""

    name = "pgvector"

    def __init__(self, engine: Engine, served: ServedIndex, embeddings: EmbeddingArray) -> None:
        super().__init__(served, embeddings)
        self._engine = engine
        weakref.finalize(self, engine.dispose)
        # The name was made of a build's id and a space's name, and is no one's input.
        self._nearest = text(
            f'SELECT row FROM "{served.name}" ORDER BY embedding <#> CAST(:q AS halfvec) LIMIT :k'  # noqa: S608
        )

    @classmethod
    def open(cls, url: str, served: ServedIndex, embeddings: EmbeddingArray) -> PgvectorIndex:
        """Look whether the table is there.

        Raises
        ------
        SearchAwayError
            If the server does not answer, or lacks the table or galaxies of it.
        """
        engine = connect_postgresql(url)
        try:
            with engine.connect() as connection:
                last = connection.execute(text(f'SELECT max(row) FROM "{served.name}"')).scalar()  # noqa: S608
        except DBAPIError as e:
            engine.dispose()
            raise SearchAwayError(f"PostgreSQL does not answer of {served.name}: {shorten(e.orig, 200)}") from e
        if last != served.n_rows - 1:
            engine.dispose()
            raise SearchAwayError(f"{served.name} lacks galaxies: its last row is {last}; fill it again")
        return cls(engine, served, embeddings)

    def candidates(self, queries: NDArray[np.float32], setting: SearchSetting) -> NDArray[np.int64]:
        """See `NeighborIndex.candidates`.

        Raises
        ------
        SearchAwayError
            If the server does not answer; the index has to be opened again.
        """
        wanted = min(setting.candidates, self.n_rows)
        rows = np.full((len(queries), wanted), -1, dtype=np.int64)
        try:
            with self._engine.begin() as connection:
                connection.execute(text(f"SET LOCAL ivfflat.probes = {min(int(setting.leaves), self.leaves)}"))
                for line, query in zip(rows, queries, strict=True):
                    found = connection.execute(self._nearest, {"q": vector_text(query), "k": wanted}).scalars().all()
                    line[: len(found)] = found
        except DBAPIError as e:
            self.ended = True
            raise SearchAwayError(f"PostgreSQL does not answer: {shorten(e.orig, 200)}") from e
        return rows
