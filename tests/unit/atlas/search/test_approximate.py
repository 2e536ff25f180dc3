"""Search against numpy: re-scoring, and every engine behind the same protocol."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.errors import FormatError, InputError, ResourceError
from atlas.search import exact as scan
from atlas.search.approximate import candidate_rows, distinct, search
from atlas.search.engines.scann_process import CHANNELS
from atlas.search.exact import exact_scores
from atlas.search.index import DESCRIPTION, ISOLATED, SearchSetting
from atlas.search.open_index import ExactIndex, open_index
from precompute.config import BuildConfig
from precompute.stages.index.stage import build_index
from tests.unit.groups import grouped_embeddings

from .cosines import ENGINES, THOROUGH, cosines, oracle


@pytest.fixture(scope="module")
def indexed(embeddings, tmp_path_factory):
    """Folder of an index of each engine."""
    root = tmp_path_factory.mktemp("indexes")
    for engine in ENGINES:
        build_index(embeddings, root / engine, engine=engine, config=BuildConfig(threads=2))
    return root


@pytest.fixture(scope="module", params=ENGINES)
def index(request, indexed, embeddings):
    return open_index(indexed / request.param, embeddings)


@pytest.fixture(scope="module")
def apart(indexed, embeddings):
    return open_index(indexed / "scann", embeddings, apart=True)


class TestSearch:
    def test_finds_what_numpy_finds_with_exact_scores(self, index, embeddings):
        recall = []
        for row in range(0, len(embeddings), 60):
            query = np.asarray(embeddings[row], dtype=np.float32)
            rows, scores = search(index, embeddings, query, 50, THOROUGH)
            expected, _ = oracle(embeddings, query, 50)
            recall.append(np.isin(expected, rows).mean())
            assert len(set(rows.tolist())) == rows.size == 50
            np.testing.assert_allclose(scores, cosines(embeddings[rows], query), atol=1e-6)
            assert (np.diff(scores) <= 0).all()
        assert np.mean(recall) >= 0.97

    def test_skips_and_still_returns_as_many_as_asked(self, index, embeddings):
        query = np.asarray(embeddings[100], dtype=np.float32)
        rows, _ = search(index, embeddings, query, 30, THOROUGH, skip=[100, 100, 7])
        assert rows.size == 30
        assert not np.isin([100, 7], rows).any()

    def test_searches_on_where_the_leaves_hold_too_few(self, index, embeddings):
        rows, _ = search(index, embeddings, embeddings[0], len(embeddings), SearchSetting(1, 10))
        np.testing.assert_array_equal(np.sort(rows), np.arange(len(embeddings)))

    @pytest.mark.parametrize("engine", ["scann", "faiss"])
    def test_finds_every_outlier_however_little_it_searches(self, engine, tmp_path):
        # Galaxies share a direction, outliers do not: they are least similar to everything, and their codes are poor.
        rows, _ = grouped_embeddings([750, 750, 750, 750])
        rows[:, 0] += 1
        rows[-12:] = np.random.default_rng(5).standard_normal((12, rows.shape[1]))
        stored = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)
        outliers = np.arange(len(stored) - 12, len(stored))
        build_index(stored, tmp_path / engine, engine=engine, config=BuildConfig())
        index = open_index(tmp_path / engine, stored)
        missed_by_codes = 0
        for row in range(0, 1000, 40):
            query = -np.asarray(stored[row], dtype=np.float32)
            expected, _ = oracle(stored, query, 20)
            expected = expected[np.isin(expected, outliers)]
            rows, _ = search(index, stored, query, 20, SearchSetting(10, 100))
            assert np.isin(expected, rows).all()
            missed_by_codes += (~np.isin(expected, index.candidates(query[None], SearchSetting(10, 100)))).sum()
        assert missed_by_codes > 0, "the engine finds outliers by itself: isolated rows are needed no more"

    def test_refuses_a_query_that_is_not_finite(self, index, embeddings):
        with pytest.raises(InputError, match="not finite"):
            search(index, embeddings, np.full(embeddings.shape[1], np.nan), 5, THOROUGH)

    def test_proposes_to_one_query_what_it_proposes_to_it_among_others(self, index, embeddings):
        queries = embeddings[::100].astype(np.float32)
        missed = []
        for setting in (SearchSetting(1, 50), SearchSetting(4, 300), THOROUGH):
            for query, line in zip(queries, index.candidates(queries, setting), strict=True):
                alone = index.candidates(query[None], setting)[0]
                assert alone.shape == line.shape
                missed.append((~np.isin(line, alone)).mean())
        # ScaNN sums products of many queries in another order: of two leaves as near it may take the other.
        assert np.mean(missed) < 0.02

    def test_gives_eight_threads_what_it_gives_one(self, index, embeddings):
        queries = embeddings[::40].astype(np.float32)

        def ask(query):
            return search(index, embeddings, query, 20, SearchSetting(6, 100))

        alone = [ask(query) for query in queries]
        with ThreadPoolExecutor(8) as pool:
            together = list(pool.map(ask, queries))
        for (rows, scores), (other_rows, other_scores) in zip(alone, together, strict=True):
            np.testing.assert_array_equal(rows, other_rows)
            np.testing.assert_array_equal(scores, other_scores)


def carefully(index, embeddings, query, k, setting, skip):
    """What `search` promises, without a short cut: every candidate scored exactly, then a full sort."""
    found = index.candidates(query[None], setting)[0]
    rows = np.union1d(found[found >= 0], index.isolated)
    rows = rows[~np.isin(rows, skip)]
    scores = exact_scores(embeddings, rows, query)
    order = np.lexsort((rows, -scores))[:k]
    return rows[order], scores[order]


@pytest.fixture(scope="module", params=["scann", "faiss"])
def crowded(request, tmp_path_factory):
    """Embeddings that repeat and nearly repeat, isolated ones among them, and an index of some; by dtype."""
    rng = np.random.default_rng(6)
    rows, _ = grouped_embeddings([400, 300, 200, 60], dimension=3)
    near = rows[:40] + 1e-4 * rng.standard_normal((40, rows.shape[1]))
    rows = np.concatenate([rows, rows[::2], rows[::5], near])
    rows = rng.permutation(np.concatenate([rows, rng.standard_normal((20, rows.shape[1]))]))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    folder = tmp_path_factory.mktemp("crowded") / request.param
    build_index(rows.astype(np.float16), folder, engine=request.param, config=BuildConfig(leaves=30))
    return {dtype: (open_index(folder, rows.astype(dtype)), rows.astype(dtype)) for dtype in ("float16", "float32")}


class TestShortCuts:
    """Rough scores decide only what cannot be in the answer; the answer is that of the careful way, bit by bit."""

    @settings(max_examples=150, deadline=None)
    @given(
        dtype=st.sampled_from(["float16", "float32"]),
        kind=st.sampled_from(["row", "least", "between", "zero"]),
        row=st.integers(0, 1_000),
        length=st.sampled_from([1.0, 3e-42, 1e-20, 0.37, 1e5]),
        k=st.sampled_from([1, 2, 15, 100, 400]),
        leaves=st.sampled_from([1, 4, 30]),
        skipped=st.integers(0, 60),
    )
    def test_give_the_answer_of_the_careful_way(self, crowded, dtype, kind, row, length, k, leaves, skipped):
        index, stored = crowded[dtype]
        wide = stored.astype(np.float64)
        query = {"row": wide[row], "least": -wide[row], "between": wide[row] + wide[row // 2], "zero": 0 * wide[row]}
        query = (length * query[kind]).astype(np.float32)
        skip = [row, *range(skipped)]
        setting = SearchSetting(leaves, 500)
        expected = carefully(index, stored, query, k, setting, skip)
        if index.candidates(query[None], setting).size < 500 and expected[0].size < k:
            return  # `search` looks further there
        rows, scores = search(index, stored, query, k, setting, skip=skip)
        np.testing.assert_array_equal(rows, expected[0])
        np.testing.assert_array_equal(scores, expected[1])

    def test_hold_where_a_float16_query_would_mix_up_near_ties(self):
        # As for `top_k_exact`; here the candidates come in two blocks that overlap.
        rng = np.random.default_rng(1)
        stored = rng.standard_normal((60_000, 3))
        stored = (stored / np.linalg.norm(stored, axis=1, keepdims=True)).astype(np.float16)
        first, second = np.arange(40_000), np.arange(25_000, 60_000)
        for seed in range(10):
            query = np.random.default_rng(seed).standard_normal(3).astype(np.float32)
            rows, scores = scan.top_k_of_blocks(
                [(first, stored[first]), (second, stored[second])], query, 3_000, np.array([7, 30_000, 59_999])
            )
            allowed = np.setdiff1d(np.arange(60_000), [7, 30_000, 59_999])
            expected_rows, expected_scores = oracle(stored, query, 3_000, allowed)
            np.testing.assert_array_equal(rows, expected_rows)
            np.testing.assert_array_equal(scores, expected_scores)

    def test_score_few_more_rows_than_were_asked_for(self, embeddings, monkeypatch):
        widened = []
        einsum = np.einsum
        monkeypatch.setattr(scan.np, "einsum", lambda s, rows, q: (widened.append(len(rows)), einsum(s, rows, q))[1])
        everything = [(np.arange(len(embeddings)), embeddings)]
        for row in range(0, 1_000, 50):
            scan.top_k_of_blocks(everything, embeddings[row].astype(np.float32), 50, np.array([row]))
        assert len(widened) == 20
        assert max(widened) < 100


class TestIsolatedRows:
    def test_are_in_memory_as_they_are_stored(self, indexed, embeddings, tmp_path):
        np.save(tmp_path / "e.npy", embeddings)
        stored = np.load(tmp_path / "e.npy", mmap_mode="r")
        for engine in ("scann", "faiss"):
            index = open_index(indexed / engine, stored)
            assert index.isolated.size > 100
            np.testing.assert_array_equal(index.isolated_embeddings, embeddings[index.isolated])
            assert not np.shares_memory(index.isolated_embeddings, stored)

    def test_may_be_told_in_any_order_and_twice(self, indexed, embeddings, tmp_path):
        folder = Path(shutil.copytree(indexed / "scann", tmp_path / "index"))
        np.save(folder / ISOLATED, np.array([900, 5, 5, 7, 900], dtype=np.uint32))
        np.testing.assert_array_equal(open_index(folder, embeddings).isolated, [5, 7, 900])


@pytest.mark.parametrize("size", [0, 1, 2, 900])
def test_distinct_rows_are_those_of_numpy(size):
    rows = np.random.default_rng(size).integers(0, 500, size)
    np.testing.assert_array_equal(distinct(rows), np.unique(rows))


class TestPadding:
    """An engine that finds less than it was asked for fills up; with row 0, in ScaNN's case."""

    @pytest.mark.parametrize("engine", ["scann", "faiss"])
    def test_never_becomes_an_answer(self, engine, tmp_path):
        # Two opposite heaps: row 0 lies in one, the query in the other.
        rng = np.random.default_rng(0)
        stored = 0.05 * rng.standard_normal((400, 16)).astype(np.float32)
        stored[:, 0] += np.where(np.arange(400) < 200, 1, -1)
        stored = (stored / np.linalg.norm(stored, axis=1, keepdims=True)).astype(np.float16)
        build_index(stored, tmp_path / engine, engine=engine, config=BuildConfig(leaves=20))
        np.save(tmp_path / engine / ISOLATED, np.empty(0, dtype=np.uint32))  # they are candidates with good reason
        index = open_index(tmp_path / engine, stored)
        query = np.asarray(stored[399], dtype=np.float32)
        if engine == "scann":
            found, _ = index._searcher.search_batched(query[None], 300, 300, 1)
            assert (found == 0).sum() > 1, "ScaNN no longer pads with row 0: the test has lost its point"
        alone = index.candidates(query[None], SearchSetting(leaves=1, candidates=300))[0]
        together = index.candidates(np.stack([query, query]), SearchSetting(leaves=1, candidates=300))
        for found in (alone, *together):
            assert found.shape == (300,)
            assert (found == -1).any()
            assert (found != 0).all()
        proposed = candidate_rows(index, query, SearchSetting(1, 300))
        assert proposed.min() >= 200, "only rows of the query's own heap"

    def test_repeated_and_missing_candidates_are_dropped(self, embeddings):
        class Stutter(ExactIndex):
            def candidates(self, queries, setting):
                found = super().candidates(queries, setting)
                return np.concatenate([found, found, np.full_like(found, -1)], axis=1)

        rows, _ = search(Stutter(embeddings), embeddings, embeddings[3], 15, SearchSetting(1, 20))
        np.testing.assert_array_equal(rows, oracle(embeddings, embeddings[3], 15)[0])


class TestOpening:
    @pytest.fixture
    def copy(self, indexed, tmp_path):
        return Path(shutil.copytree(indexed / "scann", tmp_path / "index"))

    def test_a_folder_without_description_is_no_index(self, copy, embeddings):
        (copy / DESCRIPTION).unlink()
        with pytest.raises(FormatError, match=r"index\.json is missing"):
            open_index(copy, embeddings)

    @pytest.mark.parametrize("text", ["", "{}", '{"engine": "annoy"}', "[1, 2]"])
    def test_a_foreign_description_is_refused(self, copy, embeddings, text):
        (copy / DESCRIPTION).write_text(text)
        with pytest.raises(FormatError, match="does not describe a neighbour index"):
            open_index(copy, embeddings)

    def test_an_index_of_other_embeddings_is_refused(self, copy, embeddings):
        with pytest.raises(FormatError, match="indexes 3,000 rows of 48 numbers"):
            open_index(copy, embeddings[:100])

    @pytest.mark.parametrize(
        "file", ["hashed_dataset.npy", "datapoint_to_token.npy", "serialized_partitioner.pb", "scann_assets.pbtxt"]
    )
    def test_a_missing_file_is_named(self, copy, embeddings, file):
        (copy / file).unlink()
        with pytest.raises(FormatError, match=file):
            open_index(copy, embeddings)

    @pytest.mark.parametrize("file", ["hashed_dataset.npy", "datapoint_to_token.npy", ISOLATED])
    def test_a_truncated_array_is_refused(self, copy, embeddings, file):
        (copy / file).write_bytes((copy / file).read_bytes()[:-100])
        with pytest.raises(FormatError, match="truncated"):
            open_index(copy, embeddings)

    def test_codes_of_another_number_of_rows_are_refused(self, copy, embeddings):
        codes = np.load(copy / "hashed_dataset.npy")
        np.save(copy / "hashed_dataset.npy", codes[:-1])
        with pytest.raises(FormatError, match="hashed_dataset"):
            open_index(copy, embeddings)

    def test_isolated_rows_beyond_the_last_are_refused(self, copy, embeddings):
        np.save(copy / ISOLATED, np.array([len(embeddings)], dtype=np.uint32))
        with pytest.raises(FormatError, match="does not hold rows"):
            open_index(copy, embeddings)

    def test_a_planted_pickle_is_refused_unopened(self, copy, embeddings):
        (copy / "scann_docids.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
        with pytest.raises(FormatError, match="pickles are never opened"):
            open_index(copy, embeddings)

    def test_assets_elsewhere_are_refused(self, copy, embeddings):
        assets = copy / "scann_assets.pbtxt"
        assets.write_text(assets.read_text().replace('"hashed_dataset.npy"', '"/etc/hashed_dataset.npy"'))
        with pytest.raises(FormatError, match="names"):
            open_index(copy, embeddings)

    @pytest.mark.parametrize(("engine", "module"), [("scann", "scann.scann_ops.py"), ("faiss", "faiss")])
    def test_a_missing_engine_is_named(self, indexed, embeddings, engine, module, monkeypatch):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(FormatError, match="not installed"):
            open_index(indexed / engine, embeddings)

    def test_a_foreign_faiss_file_is_refused(self, indexed, embeddings, tmp_path):
        folder = Path(shutil.copytree(indexed / "faiss", tmp_path / "index"))
        (folder / "index.faiss").write_bytes(b"not an index at all")
        with pytest.raises(FormatError, match="faiss cannot read"):
            open_index(folder, embeddings)

    def test_nothing_names_the_machine_that_built_it(self, indexed):
        for file in (indexed / "scann").iterdir():
            assert str(indexed).encode() not in file.read_bytes()
        assert json.loads((indexed / "scann" / DESCRIPTION).read_text())["engine"] == "scann"


class TestIndexApart:
    """The same index in a process of its own."""

    @pytest.mark.parametrize("queries", [1, 7])
    @pytest.mark.parametrize("setting", [SearchSetting(3, 20), THOROUGH, SearchSetting(1000, 5000)])
    def test_proposes_what_the_index_proposes(self, apart, indexed, embeddings, queries, setting):
        here = open_index(indexed / "scann", embeddings)
        asked = np.asarray(embeddings[5 : 5 + queries], dtype=np.float32)
        np.testing.assert_array_equal(apart.candidates(asked, setting), here.candidates(asked, setting))
        assert (apart.name, apart.n_rows, apart.leaves) == (here.name, here.n_rows, here.leaves)
        np.testing.assert_array_equal(apart.isolated, here.isolated)

    def test_answers_many_at_once_each_its_own(self, apart, embeddings):
        def nearest(row):
            return search(apart, embeddings, embeddings[row], 5, THOROUGH)[0].tolist()

        rows = list(range(0, 3000, 50))
        with ThreadPoolExecutor(2 * CHANNELS) as pool:
            assert list(pool.map(nearest, rows)) == [nearest(row) for row in rows]

    def test_loads_no_scann_into_this_process(self, indexed, embeddings, tmp_path):
        np.save(tmp_path / "embeddings.npy", embeddings)
        code = (
            "import sys, numpy as np\nfrom pathlib import Path\n"
            "from atlas.search.index import SearchSetting\nfrom atlas.search.open_index import open_index\n"
            f"embeddings = np.load({str(tmp_path / 'embeddings.npy')!r})\n"
            f"index = open_index(Path({str(indexed / 'scann')!r}), embeddings, apart=True)\n"
            "found = index.candidates(embeddings[:1].astype('f4'), SearchSetting(40, 10))\n"
            "print(0 in found, 'scann' in sys.modules)"
        )
        result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert result.stdout.split() == ["True", "False"]

    def test_says_what_is_wrong_with_its_files(self, indexed, embeddings, tmp_path):
        shutil.copytree(indexed / "scann", tmp_path / "index")
        (tmp_path / "index" / "hashed_dataset.npy").write_bytes(b"no array")
        with pytest.raises(FormatError) as here:
            open_index(tmp_path / "index", embeddings)
        with pytest.raises(FormatError) as apart:
            open_index(tmp_path / "index", embeddings, apart=True)
        assert str(apart.value) == str(here.value)

    def test_says_so_when_its_process_is_gone(self, indexed, embeddings):
        apart = open_index(indexed / "scann", embeddings, apart=True)
        assert not apart.ended
        os.kill(apart.process_id, signal.SIGKILL)
        with pytest.raises(ResourceError, match="is gone"):
            for _ in range(100):  # until the signal has come
                apart.candidates(np.asarray(embeddings[:1], dtype=np.float32), THOROUGH)
        deadline = time.monotonic() + 60
        while not apart.ended:
            assert time.monotonic() < deadline
