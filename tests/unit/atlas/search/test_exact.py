"""Exact scores and scans against numpy."""

from __future__ import annotations

import numpy as np
import pytest

from atlas.errors import InputError
from atlas.search import exact as scan
from atlas.search.approximate import search
from atlas.search.exact import exact_scores, top_k_exact, top_k_exact_many
from atlas.search.open_index import open_index
from precompute.config import BuildConfig
from precompute.stages.index.stage import build_index

from .cosines import ENGINES, THOROUGH, cosines, oracle


class TestExactScores:
    def test_equal_the_cosines_of_the_stored_rows(self, embeddings):
        query = np.asarray(embeddings[3], dtype=np.float32)
        rows = np.array([7, 2, 2999, 0, 7])
        np.testing.assert_allclose(exact_scores(embeddings, rows, query), cosines(embeddings[rows], query), atol=1e-6)

    def test_do_not_depend_on_the_company_of_a_row(self, embeddings):
        query = np.asarray(embeddings[3], dtype=np.float32)
        together = exact_scores(embeddings, np.arange(len(embeddings)), query)
        for row in (0, 1, 1500, len(embeddings) - 1):
            assert exact_scores(embeddings, np.array([row]), query)[0] == together[row]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_copies_are_alike_by_exactly_one_and_nothing_by_more(dtype, engine, embeddings, tmp_path):
    rng = np.random.default_rng(4)
    stored = embeddings.astype(np.float32)
    stored = (stored / np.linalg.norm(stored, axis=1, keepdims=True)).astype(dtype)
    originals = rng.choice(len(stored), 40, replace=False)
    copies = np.setdiff1d(np.arange(len(stored)), originals)[:40]
    stored[copies] = stored[originals]
    assert len({float(x) for x in np.linalg.norm(stored[copies].astype(np.float64), axis=1)}) > 1
    build_index(stored, tmp_path, engine=engine, config=BuildConfig(threads=2))
    opened = open_index(tmp_path, stored)
    queries = stored[originals].astype(np.float32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    for query, copy in zip(queries, copies, strict=True):
        for rows, scores in (search(opened, stored, query, 5, THOROUGH), top_k_exact(stored, query, 5)):
            assert scores.max() == 1.0 and scores[rows.tolist().index(copy)] == 1.0
        assert exact_scores(stored, np.array([copy]), -query)[0] == -1.0
    rows, scores = top_k_exact_many(stored, queries, 5)
    assert (scores[:, :2] == 1).all() and scores.max() == 1 and (rows == copies[:, None]).any(axis=1).all()


class TestTopKExact:
    @pytest.mark.parametrize("dtype", [np.float16, np.float32])
    @pytest.mark.parametrize("step", [64, scan.SCAN_ROWS])
    def test_equals_numpy_whatever_the_step(self, embeddings, dtype, step, monkeypatch):
        monkeypatch.setattr(scan, "SCAN_ROWS", step)
        stored = embeddings.astype(dtype)
        rng = np.random.default_rng(0)
        for _ in range(5):
            query = rng.standard_normal(stored.shape[1]).astype(np.float32) * 7
            rows, scores = top_k_exact(stored, query, 50)
            expected_rows, expected_scores = oracle(stored, query, 50)
            np.testing.assert_array_equal(rows, expected_rows)
            np.testing.assert_array_equal(scores, expected_scores)

    def test_is_exact_where_a_float16_query_would_mix_up_near_ties(self):
        # On a sphere the scores of 60,000 rows lie 3e-5 apart, and rounding the query moves them by 1e-4.
        rng = np.random.default_rng(1)
        stored = rng.standard_normal((60_000, 3))
        stored = (stored / np.linalg.norm(stored, axis=1, keepdims=True)).astype(np.float16)
        mixed_up = 0
        for _ in range(10):
            query = rng.standard_normal(3).astype(np.float32)
            expected, _ = oracle(stored, query, 3_000)
            np.testing.assert_array_equal(top_k_exact(stored, query, 3_000)[0], expected)
            rounded, _ = oracle(stored, query.astype(np.float16), 3_000)
            mixed_up += set(rounded) != set(expected)
        assert mixed_up > 0, "the test has lost its point: rounding the query changes nothing"

    def test_mask_and_rows_give_the_same_answer_as_the_subset(self, embeddings, monkeypatch):
        monkeypatch.setattr(scan, "SCAN_ROWS", 500)
        query = np.asarray(embeddings[11], dtype=np.float32)
        rng = np.random.default_rng(2)
        for share in (0.002, 0.03, 0.5):  # gathered, and scanned whole
            mask = rng.random(len(embeddings)) < share
            expected = oracle(embeddings, query, 20, np.flatnonzero(mask))
            for found in (
                top_k_exact(embeddings, query, 20, mask=mask),
                top_k_exact(embeddings, query, 20, rows=np.flatnonzero(mask).astype(np.uint32)),
            ):
                np.testing.assert_array_equal(found[0], expected[0])
                np.testing.assert_array_equal(found[1], expected[1])

    def test_an_empty_mask_finds_nothing(self, embeddings):
        rows, scores = top_k_exact(embeddings, embeddings[0], 5, mask=np.zeros(len(embeddings), dtype=bool))
        assert rows.size == scores.size == 0

    def test_equal_rows_come_in_order_of_row(self, embeddings):
        stored = embeddings.copy()
        stored[[5, 900, 2000, 2900]] = stored[42]
        rows, scores = top_k_exact(stored, stored[42], 4)
        np.testing.assert_array_equal(rows, [5, 42, 900, 2000])
        assert len(set(scores)) == 1

    def test_a_zero_query_ties_everything(self, embeddings):
        rows, scores = top_k_exact(embeddings, np.zeros(embeddings.shape[1]), 6)
        np.testing.assert_array_equal(rows, np.arange(6))
        assert not scores.any()

    def test_skipped_rows_are_replaced_by_the_next_best(self, embeddings):
        query = np.asarray(embeddings[8], dtype=np.float32)
        skip = oracle(embeddings, query, 3)[0]
        rows, _ = top_k_exact(embeddings, query, 10, skip=[int(r) for r in skip])
        np.testing.assert_array_equal(rows, oracle(embeddings, query, 13)[0][3:])

    def test_asking_for_more_than_there_is_returns_all(self, embeddings):
        rows, _ = top_k_exact(embeddings[:30], embeddings[0], 100)
        np.testing.assert_array_equal(np.sort(rows), np.arange(30))

    def test_reads_a_memory_map(self, embeddings, tmp_path):
        np.save(tmp_path / "e.npy", embeddings)
        stored = np.load(tmp_path / "e.npy", mmap_mode="r")
        np.testing.assert_array_equal(top_k_exact(stored, embeddings[1], 9)[0], oracle(embeddings, embeddings[1], 9)[0])

    @pytest.mark.parametrize("bad", [np.full(48, np.nan), np.full(48, np.inf), np.ones(47), np.ones((1, 48))])
    def test_refuses_a_query_that_does_not_fit(self, embeddings, bad):
        with pytest.raises(InputError, match=r"not finite|shape"):
            top_k_exact(embeddings, bad, 3)


@pytest.mark.parametrize("k", [1, 15, 700])
def test_many_exact_queries_equal_one_at_a_time(embeddings, k, monkeypatch):
    monkeypatch.setattr(scan, "BATCH_ROWS", 256)
    monkeypatch.setattr(scan, "BATCH_QUERIES", 16)
    queries = np.random.default_rng(3).standard_normal((40, embeddings.shape[1])).astype(np.float32)
    rows, scores = top_k_exact_many(embeddings, queries, k)
    for i, query in enumerate(queries):
        expected = oracle(embeddings, query, k)
        np.testing.assert_array_equal(rows[i], expected[0])
        np.testing.assert_array_equal(scores[i], expected[1])


def test_many_exact_queries_are_sorted_a_few_times_whatever_the_rows(embeddings, monkeypatch):
    monkeypatch.setattr(scan, "BATCH_ROWS", 64)
    stored = np.concatenate([embeddings] * 8)[np.random.default_rng(0).permutation(8 * len(embeddings))]
    merges, merge = [], scan._merge
    monkeypatch.setattr(scan, "_merge", lambda *a: (merges.append(1), merge(*a))[1])
    top_k_exact_many(stored, embeddings[:20].astype(np.float32), 100)
    assert len(stored) // 64 > 100
    assert len(merges) < 15
