"""`fill`: the embeddings of an atlas go to a search server, and what it finds of the true nearest is measured there.

The atlas is not changed but for the small file that says so (`atlas.search.served_index`), written last: until then a
dashboard searches with the atlas's own index. A run that was interrupted is gone on with.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import msgspec
import numpy as np
from msgspec.structs import replace
from tqdm import tqdm

from atlas.build import OpenBuild
from atlas.search.open_served import open_served
from atlas.search.served_index import ServedIndex, engine_of, served_path
from atlas.space import OpenSpace
from atlas.storage import layout

from ..stages.index.stage import leaf_count
from ..stages.measure import RECALL_AT, ladder_of, make_queries, measure_recall
from . import milvus, pgvector

LIST_ROWS = 1_000_000
"""Rows that lists are counted for at most: Milvus keeps about so many in a segment, with lists of its own."""

QUERIES = 50
"""Of each kind that recall is measured with: a query goes over the network."""


def fill_server(
    root: Path, url: str, *, space: str = "", anew: bool = False, queries: int = QUERIES, quiet: bool = False
) -> ServedIndex:
    """Fill a search server from the current build of an atlas.

    Parameters
    ----------
    root : Path
        Folder of the atlas.
    url : str
        http://… or https://… of a Milvus, postgresql://… of a database with pgvector.
    space : str
        Embedding space; the first by default.
    anew : bool
        Whether to drop what is there already.
    queries : int
        Queries of each kind that recall is measured with.
    quiet : bool
        Show no progress.

    Raises
    ------
    FormatError
        If there is no atlas, or the engine's client is not installed.
    ResourceError
        If the server does not answer.
    """
    engine = engine_of(url)
    build = OpenBuild.open(root)
    opened = build.space(space or None)
    embeddings = opened.embeddings
    name = f"galaxy_finder_{build.build_id}_{re.sub(r'[^A-Za-z0-9_]', '_', opened.described.name)}"
    leaves = leaf_count(0, min(len(embeddings), LIST_ROWS) if engine == "milvus" else len(embeddings))
    path = served_path(root, build.build_id, opened.described.name, engine)
    path.unlink(missing_ok=True)
    write = milvus.fill_milvus if engine == "milvus" else pgvector.fill_postgresql
    with _bar(len(embeddings), "rows", quiet) as bar:
        write(url, name, embeddings, leaves, bar.update, first=anew)
    n, dimensions = embeddings.shape
    served = ServedIndex(engine=engine, name=name, n_rows=n, dimensions=dimensions, leaves=leaves)
    served = _measured(opened, url, served, queries, quiet)
    path.parent.mkdir(exist_ok=True)
    layout.write_atomically(path, msgspec.json.format(msgspec.json.encode(served)))
    return served


def _measured(space: OpenSpace, url: str, served: ServedIndex, queries: int, quiet: bool) -> ServedIndex:
    embeddings = space.embeddings
    index = open_served(url, served, embeddings)
    known = np.arange(len(embeddings), dtype=np.uint32) if space.known_rows is None else space.known_rows
    centroids = np.array([one.centroid for one in space.clusters], dtype=np.float32).reshape(-1, embeddings.shape[1])
    kinds = make_queries(embeddings, known, space.neighbors, centroids, queries, np.random.default_rng(1))
    searches = sum(len(q.embeddings) for q in kinds.values()) * len(ladder_of(index, RECALL_AT[-1]))
    with _bar(searches, "queries", quiet) as bar:
        return replace(served, recall=measure_recall(index, embeddings, kinds, bar.update))


def _bar(total: int, unit: str, quiet: bool) -> tqdm[None]:
    return tqdm(total=total, unit=f" {unit}", unit_scale=True, desc="fill", disable=quiet, file=sys.stderr, leave=False)
