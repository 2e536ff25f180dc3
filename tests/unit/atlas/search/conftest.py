"""Embeddings to search."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.groups import grouped_embeddings


@pytest.fixture(scope="module")
def embeddings():
    rows, _ = grouped_embeddings([900, 700, 500, 300, 300, 200, 60, 40])
    return rows.astype(np.float16)
