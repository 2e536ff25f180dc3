"""Embeddings from elsewhere as examples of a search in a notebook."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from atlas import Atlas, InputError, Query, Similar


def test_an_embedding_finds_what_its_galaxy_finds(small: Atlas, tmp_path: Path) -> None:
    stored = np.asarray(small.space().embeddings[[7, 40, 900]], dtype=np.float32)
    one = small.similar(embedding=3 * stored[0], k=20, exact=True)
    assert one.index[0] == 7, "nothing is left out: the embedding may be of no galaxy here"
    assert one.index[1:].tolist() == small.similar(rows=7, k=19, exact=True).index.tolist()
    np.save(tmp_path / "two.npy", stored[:2])
    several = small.similar(embedding=tmp_path / "two.npy", unwanted=small.identity.name(900), k=20, exact=True)
    query = Query(space=small.default_space, ranking=Similar((7, 40), (900,)), limit=20, exact=True, with_examples=True)
    assert several.index.tolist() == small.run(query).rows.tolist()


def test_what_is_no_embedding_is_refused_with_what_is(small: Atlas, tmp_path: Path) -> None:
    pickled, promising = tmp_path / "pickled.npy", tmp_path / "promising.npy"
    np.save(pickled, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    np.save(promising, np.zeros((4, 128), dtype=np.float32))
    promising.write_bytes(promising.read_bytes().replace(b"(4, 128)", b"(9e9,1)"))
    for path in (pickled, promising, tmp_path / "missing.npy"):
        with pytest.raises(InputError, match="npy file of numbers"):
            small.similar(embedding=str(path))
    for wrong, told in (
        (np.ones(7), "128 numbers"),
        (np.ones((0, 128)), "1 to 1,000 rows"),
        (np.zeros(128), "no length"),
        (np.full(128, np.nan), "not finite"),
        (np.array(["a"] * 128), "real numbers"),
    ):
        with pytest.raises(InputError, match=told):
            small.similar(embedding=wrong)
    with pytest.raises(InputError, match="not both"):
        small.similar(rows=7, embedding=np.ones(128))
