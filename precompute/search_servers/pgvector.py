"""PostgreSQL filled: a table of rows and embeddings as half floats, and then its lists."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from atlas.errors import shorten
from atlas.search.engines.pgvector import connect_postgresql, vector_text
from atlas.search.exact import EmbeddingArray
from atlas.search.served_index import SearchAwayError
from atlas.storage.arrays import chunks

BATCH_ROWS = 10_000
MOST_LISTS = 32_768


def fill_postgresql(
    url: str, name: str, embeddings: EmbeddingArray, leaves: int, advance: Callable[[int], object], *, first: bool
) -> None:
    """Fill a table, or go on with it; a batch is a transaction, so none is there in part.

    Parameters
    ----------
    url, name : str
    embeddings : ndarray of shape (n, d), float16 or float32
    leaves : int
        Lists.
    advance : callable
        Told rows that are there.
    first : bool
        Whether to begin anew.

    Raises
    ------
    SearchAwayError
        If the server does not answer, or has no pgvector; the same call goes on from there.
    """
    engine = connect_postgresql(url, answer_ms=0)
    try:
        _fill(engine, name, embeddings, leaves, advance, first=first)
    except DBAPIError as e:
        raise SearchAwayError(f"PostgreSQL does not do it: {shorten(e.orig, 200)}") from e
    finally:
        engine.dispose()


def _fill(
    engine: Engine, name: str, embeddings: EmbeddingArray, leaves: int, advance: Callable[[int], object], *, first: bool
) -> None:
    width = embeddings.shape[1]
    with engine.begin() as connection:
        connection.execute(text("CREATE EXTENSION IF NOT EXISTS vector"))
        if first:
            connection.execute(text(f'DROP TABLE IF EXISTS "{name}"'))
        connection.execute(
            text(f'CREATE TABLE IF NOT EXISTS "{name}" (row integer PRIMARY KEY, embedding halfvec({width}))')
        )
        start = int(connection.execute(text(f'SELECT coalesce(max(row) + 1, 0) FROM "{name}"')).scalar_one())  # noqa: S608
    advance(start)
    for part in chunks(len(embeddings), BATCH_ROWS):
        if part.stop <= start:
            continue
        block = np.asarray(embeddings[part], dtype=np.float32)
        with engine.begin() as connection:
            cursor = connection.connection.cursor()
            with cursor.copy(f'COPY "{name}" (row, embedding) FROM STDIN') as copy:
                for i, one in enumerate(block):
                    copy.write_row((part.start + i, vector_text(one)))
        advance(len(block))
    with engine.begin() as connection:
        connection.execute(
            text(
                f'CREATE INDEX IF NOT EXISTS "{name}_lists" ON "{name}" '
                f"USING ivfflat (embedding halfvec_ip_ops) WITH (lists = {min(leaves, MOST_LISTS)})"
            )
        )
        connection.execute(text(f'ANALYZE "{name}"'))
