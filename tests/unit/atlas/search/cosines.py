"""The oracle of searches, in numpy."""

from __future__ import annotations

import numpy as np

from atlas.search.index import SearchSetting

ENGINES = ("scann", "faiss", "exact")


THOROUGH = SearchSetting(leaves=40, candidates=400)


def cosines(embeddings, query):
    """Products in float64 over both lengths."""
    wide, query = np.asarray(embeddings, dtype=np.float64), np.asarray(query, dtype=np.float64)
    length = np.linalg.norm(wide, axis=1) * np.linalg.norm(query)
    return wide @ query / np.where(length > 0, length, 1)


def oracle(embeddings, query, k, allowed=None):
    """Rows and cosines by float64 products and a full sort, ties by row."""
    scores = cosines(embeddings, query).astype(np.float32)
    rows = np.arange(len(scores)) if allowed is None else np.asarray(allowed)
    order = rows[np.lexsort((rows, -scores[rows]))][:k]
    return order, scores[order]
