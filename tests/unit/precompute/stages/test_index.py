"""Indexes built out of core: the same as in one shot, within a budget of memory, from where a killed run ended."""

from __future__ import annotations

import os
import pickle
import re
import signal
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from scann.scann_ops.py import scann_ops_pybind

from atlas.errors import ResourceError
from atlas.search.engines import scann as engine
from atlas.search.exact import pair_scores, top_k_exact_many, top_of_each
from atlas.search.index import SearchSetting
from atlas.search.open_index import open_index
from precompute.config import BuildConfig
from precompute.native_code import quiet_native_code
from precompute.stages.index import faiss as faiss_build
from precompute.stages.index import scann as scann_build
from precompute.stages.index import scann_encoding as scann_pieces
from precompute.stages.index import stage as index
from precompute.stages.index.leaf_finder import LeafFinder, products_a_row
from tests.unit.groups import grouped_embeddings

N = 3_000
ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture(scope="module")
def embeddings():
    rows, _ = grouped_embeddings([1_000, 900, 600, 400, 100])
    return rows.astype(np.float16)


def plan(n_rows, dimensions, **changes):
    plan = index.index_plan(n_rows, dimensions, BuildConfig(threads=2))
    return scann_build.Plan(**{**{name: getattr(plan, name) for name in plan.__struct_fields__}, **changes})


def one_shot(embeddings, directory, leaves):
    """An index as ScaNN builds it itself, of all rows at once."""
    directory.mkdir()
    with quiet_native_code():
        scann_ops_pybind.builder(embeddings.astype(np.float32), 10, "dot_product").tree(
            num_leaves=leaves,
            num_leaves_to_search=leaves,
            training_sample_size=len(embeddings),
            min_partition_size=scann_build.MIN_PARTITION,
        ).score_ah(
            scann_build.DIMENSIONS_A_BLOCK,
            anisotropic_quantization_threshold=scann_build.ANISOTROPIC_THRESHOLD,
            training_sample_size=len(embeddings),
        ).build().serialize(str(directory), relative_path=True)


def equal_but_for_ties(leaf, expected, centroids, embeddings):
    """Check that rows lie in the same leaves, or in others that are as near; tells which lie in the same.

    Two centroids may coincide, and a matrix product of another shape rounds in another way: which of them is nearer is
    then decided by the last bit of a float32.
    """
    rows, centroids = embeddings.astype(np.float64), centroids.astype(np.float64)
    away, away_expected = (np.linalg.norm(rows - centroids[leaves], axis=1) for leaves in (leaf, expected))
    np.testing.assert_allclose(away, away_expected, rtol=0, atol=1e-5)
    same = leaf == expected
    assert same.mean() > 0.98
    return same


class TestLayout:
    """What `scann_build` assumes of files that ScaNN does not document."""

    def test_the_version_is_the_pinned_one(self):
        pinned = re.search(r"^scann==([\d.]+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
        assert pinned is not None
        assert metadata.version("scann") == pinned[1], "check the layout again, then this test"

    @pytest.mark.parametrize("d", [48, pytest.param(47, marks=pytest.mark.soak)])
    @pytest.mark.parametrize("piece_leaves", [scann_build.PIECE_LEAVES, 7, pytest.param(1, marks=pytest.mark.soak)])
    def test_pieces_laid_end_to_end_are_the_codes_of_one_shot(self, tmp_path, embeddings, d, piece_leaves, monkeypatch):
        stored = np.ascontiguousarray(embeddings[:, :d])
        shot, ours = tmp_path / "shot", tmp_path / "ours"
        one_shot(stored, shot, leaves=40 if piece_leaves > 1 else 12)
        assert {file.name for file in shot.iterdir()} == engine.FILES
        codes, leaf = (np.load(shot / name) for name in (engine.CODES, engine.LEAF_OF_ROW))
        assert (codes.dtype, codes.shape) == (np.uint8, (N, -(-d // 2)))
        assert (leaf.dtype, leaf.shape) == (np.int32, (N,))
        centroids = scann_pieces.Tree(shot).centroids
        assert centroids.shape == (40 if piece_leaves > 1 else 12, d)
        np.testing.assert_array_equal(LeafFinder(centroids).nearest(stored), leaf)

        # The same tree and codebook, as if training had ended a moment ago: two pieces and a short one, or many.
        ours.mkdir()
        for name in (*engine.FILES - {engine.CODES, engine.LEAF_OF_ROW},):
            (ours / name).write_bytes((shot / name).read_bytes())
        np.save(ours / engine.LEAF_OF_ROW, np.full_like(leaf, 7))
        (ours / scann_build.PROGRESS).write_text("{}")
        monkeypatch.setattr(scann_build, "PIECE_LEAVES", piece_leaves)
        steps = []
        pieces = plan(N, d, piece_rows=1_199, encoders=2)
        scann_build.build_scann(stored, ours, pieces, seed=0, threads=2, step=steps.append)
        scann_build.finish(ours)
        assert {file.name for file in ours.iterdir()} == engine.FILES
        np.testing.assert_array_equal(np.load(ours / engine.CODES), codes)
        np.testing.assert_array_equal(np.load(ours / engine.LEAF_OF_ROW), leaf)
        assert sum(steps) == scann_build.PASSES * N


class TestLevelCentroids:
    @staticmethod
    def loose_and_tight():
        """Groups that differ in how far their members lie apart, as galaxies of different kinds do."""
        rng = np.random.default_rng(5)
        centres = rng.normal(size=(40, 32))
        spread = rng.uniform(0.2, 1.2, 40)
        group = rng.integers(0, 40, 20_000)
        rows = centres[group] / np.linalg.norm(centres[group], axis=1)[:, None]
        rows = rows + spread[group, None] * rng.normal(size=rows.shape) / np.sqrt(32)
        return (rows / np.linalg.norm(rows, axis=1)[:, None]).astype(np.float16)

    def test_all_lie_at_one_distance_and_keep_their_directions(self, tmp_path, embeddings):
        one_shot(embeddings, tmp_path / "shot", leaves=40)
        before = scann_pieces.Tree(tmp_path / "shot").centroids
        scann_pieces.Tree(tmp_path / "shot").write_level(tmp_path / "shot" / scann_pieces.TREE)
        after = scann_pieces.Tree(tmp_path / "shot").centroids
        lengths = np.linalg.norm(before, axis=1)
        np.testing.assert_allclose(np.linalg.norm(after, axis=1), lengths.mean(), rtol=1e-5)
        np.testing.assert_allclose(after * lengths[:, None] / lengths.mean(), before, atol=1e-6)

    def test_a_search_finds_more_in_as_many_leaves(self, tmp_path, monkeypatch):
        stored = self.loose_and_tight()
        queries = stored[::40].astype(np.float32)
        truth = top_k_exact_many(stored, queries, 50)[0]
        config, recall = BuildConfig(threads=2, leaves=280), {}
        for name in ("level", "as trained"):
            if name == "as trained":
                monkeypatch.setattr(scann_pieces.Tree, "write_level", lambda tree, path: None)
            index.build_index(stored, tmp_path / name, engine="scann", config=config)
            opened = open_index(tmp_path / name, stored)
            for leaves in (14, 280):
                found = opened.candidates(queries, SearchSetting(leaves, 1_000))
                kept = [np.isin(nearest, rows).mean() for nearest, rows in zip(truth, found, strict=True)]
                recall[name, leaves] = float(np.mean(kept))
        # A tenth or more of what was missed is found; the codes are as good as before.
        missed = {name: 1 - recall[name, 14] for name in ("level", "as trained")}
        assert missed["level"] < 0.9 * missed["as trained"]
        assert recall["level", 280] == pytest.approx(recall["as trained", 280], abs=0.003)


class TestLeaves:
    def test_leaves_of_many_are_all_but_always_the_nearest(self):
        rng = np.random.default_rng(3)
        rows, _ = grouped_embeddings([4_000, 3_000, 2_000, 1_000], d=32, dimension=10)
        centroids = rows[rng.choice(len(rows), 900, replace=False)].astype(np.float32)
        distance = np.square(rows).sum(1)[:, None] + np.square(centroids).sum(1) - 2 * rows @ centroids.T
        found, exact = LeafFinder(centroids).nearest(rows.astype(np.float16)), distance.argmin(axis=1)
        each = np.arange(len(rows))
        assert (found == exact).mean() > 0.995
        assert (distance[each, found] - distance[each, exact]).max() < 0.2 * distance[each, exact].mean()

    @pytest.mark.parametrize("leaves", [1, 2, 143, 144, 168])
    def test_leaves_of_few_are_the_nearest(self, leaves):
        rng = np.random.default_rng(leaves)
        centroids, rows = (rng.normal(size=(n, 8)).astype(np.float32) for n in (leaves, 500))
        exact = (np.square(centroids).sum(1) - 2 * rows @ centroids.T).argmin(axis=1)
        finder = pickle.loads(pickle.dumps(LeafFinder(centroids)))  # as it goes to another machine
        np.testing.assert_array_equal(finder.nearest(rows), exact)

    def test_leaves_whose_centroids_are_mostly_the_same_are_the_nearest(self):
        rng = np.random.default_rng(0)
        few = rng.normal(size=(20, 8)).astype(np.float32)
        centroids, rows = few[rng.integers(0, 20, 900)], rng.normal(size=(500, 8)).astype(np.float32)
        found = centroids[LeafFinder(centroids).nearest(rows)]
        exact = few[(np.square(few).sum(1) - 2 * rows @ few.T).argmin(axis=1)]
        assert (found == exact).all(axis=1).mean() > 0.95

    def test_products_grow_with_the_root_of_the_leaves(self):
        assert products_a_row(100) == 100
        assert products_a_row(13_003) < 0.12 * 13_003

    def test_leaves_without_rows_and_rows_of_one_leaf_are_cut_into_pieces(self, monkeypatch):
        monkeypatch.setattr(scann_build, "PIECE_LEAVES", 10)
        leaf = np.repeat([0, 3, 40, 41], [5, 2, 30, 3]).astype(np.int32)
        pieces = [*scann_build.piece_slices(leaf, 0, 12)]
        assert [(part.start, part.stop) for part in pieces] == [(0, 7), (7, 19), (19, 31), (31, 40)]
        assert [*scann_build.piece_slices(leaf, 33, 12)] == [slice(33, 40)]
        assert [*scann_build.piece_slices(leaf, 40, 12)] == []


def test_recall_is_that_of_one_shot(tmp_path):
    stored, _ = grouped_embeddings([20_000, 15_000, 10_000, 4_500, 500], d=32, dimension=10)
    stored = stored.astype(np.float16)
    leaves, sample = 200, 15_000
    folders = {name: tmp_path / name for name in ("shot", "all", "sampled")}
    one_shot(stored, folders["shot"], leaves)
    for name, size in (("all", len(stored)), ("sampled", sample)):
        config = BuildConfig(threads=2, leaves=leaves, tree_sample=size, codebook_sample=size)
        described = index.build_index(stored, folders[name], engine="scann", config=config)
        assert described.parameters["tree_sample"] == size
    for name in ("index.json", "isolated.npy"):
        (folders["shot"] / name).write_bytes((folders["sampled"] / name).read_bytes())
    queries = stored[::50].astype(np.float32)
    truth = top_k_exact_many(stored, queries, 100)[1][:, -1]
    recall = {}
    for name, path in folders.items():
        opened = open_index(path, stored)
        for leaves_searched in (5, 20, 40):
            found = opened.candidates(queries, SearchSetting(leaves_searched, 500))
            _, scores = top_of_each(found, pair_scores(stored, found, queries), 100)
            recall[name, leaves_searched] = float((scores >= truth[:, None] - 1e-6).mean())
    assert recall["sampled", 20] > 0.97
    # Trained on the same rows, encoding in pieces loses nothing anywhere.
    for leaves_searched in (5, 20, 40):
        assert recall["all", leaves_searched] == pytest.approx(recall["shot", leaves_searched], abs=0.005)
    # A tree of a sample, 75 rows a leaf, is another tree: held to this where a search is thorough enough to be used.
    for leaves_searched in (20, 40):
        assert recall["sampled", leaves_searched] == pytest.approx(recall["shot", leaves_searched], abs=0.005)


class TestResume:
    def test_a_killed_run_goes_on_at_its_piece_and_trains_nothing_again(self, tmp_path, embeddings, monkeypatch):
        encoded, run_apart = [], scann_build.run_apart

        def killed(work, piece):
            if len(encoded) == 1:
                raise KeyboardInterrupt
            run_apart(work, piece)
            encoded.append(piece.name)

        pieces = plan(N, embeddings.shape[1], piece_rows=1_000, encoders=1)
        monkeypatch.setattr(scann_build, "run_apart", killed)
        with pytest.raises(KeyboardInterrupt):
            scann_build.build_scann(embeddings, tmp_path, pieces, seed=0, threads=1)
        assert scann_build.is_begun(tmp_path)
        tree = (tmp_path / scann_pieces.TREE).read_bytes()
        encoded.clear()
        monkeypatch.setattr(scann_build, "run_apart", lambda *a: (run_apart(*a), encoded.append(a[1].name)))
        rows = []
        # With less memory, other pieces: they go on where the first one ended.
        fewer = plan(N, embeddings.shape[1], piece_rows=800, encoders=1)
        scann_build.build_scann(embeddings, tmp_path, fewer, seed=0, threads=1, step=rows.append)
        assert encoded == ["piece-1000", "piece-1800", "piece-2600"]
        assert rows == [3000, 1000, 800, 800, 400]
        assert (tmp_path / scann_pieces.TREE).read_bytes() == tree
        scann_build.finish(tmp_path)
        assert {file.name for file in tmp_path.iterdir()} == engine.FILES
        centroids, leaf = scann_pieces.Tree(tmp_path).centroids, np.load(tmp_path / engine.LEAF_OF_ROW)
        equal_but_for_ties(leaf, LeafFinder(centroids).nearest(embeddings), centroids, embeddings)
        # Killed halfway, it is what a run without a break makes of the same tree.
        codes = np.load(tmp_path / engine.CODES)
        for name in (engine.CODES, engine.LEAF_OF_ROW):
            np.save(tmp_path / name, np.zeros_like(np.load(tmp_path / name)))
        (tmp_path / scann_build.PROGRESS).write_text("{}")
        scann_build.build_scann(embeddings, tmp_path, pieces, seed=0, threads=1)
        same = equal_but_for_ties(np.load(tmp_path / engine.LEAF_OF_ROW), leaf, centroids, embeddings)
        np.testing.assert_array_equal(np.load(tmp_path / engine.CODES)[same], codes[same])

    def test_a_run_killed_while_leaves_are_found_goes_on_there(self, tmp_path, embeddings, monkeypatch):
        found, nearest = [], LeafFinder.nearest

        def killed(finder, rows):
            if len(found) == 2:
                raise KeyboardInterrupt
            found.append(len(rows))
            return nearest(finder, rows)

        pieces = plan(N, embeddings.shape[1])
        for name, rows in (("PASS_ROWS", 500), ("KEEP_EVERY", 500)):
            monkeypatch.setattr(scann_build, name, rows)
        monkeypatch.setattr(LeafFinder, "nearest", killed)
        with pytest.raises(KeyboardInterrupt):
            scann_build.build_scann(embeddings, tmp_path, pieces, seed=0, threads=1)
        monkeypatch.setattr(LeafFinder, "nearest", nearest)
        rows = []
        leaf = scann_build.build_scann(embeddings, tmp_path, pieces, seed=0, threads=1, step=rows.append)
        assert rows[0] == 1_000 and sum(rows) == 2 * N
        centroids = scann_pieces.Tree(tmp_path).centroids
        equal_but_for_ties(leaf, nearest(LeafFinder(centroids), embeddings), centroids, embeddings)

    def test_a_run_killed_once_its_codes_are_in_order_computes_none_again(self, tmp_path, embeddings, monkeypatch):
        def killed(*args, **kwargs):
            raise KeyboardInterrupt

        isolated, directory = index.isolated_rows, tmp_path / "index"
        config = BuildConfig(threads=1)
        monkeypatch.setattr(index, "isolated_rows", killed)
        with pytest.raises(KeyboardInterrupt):
            index.build_index(embeddings, directory, engine="scann", config=config)
        codes = np.load(directory / engine.CODES)
        assert (directory / scann_build.CODES_BY_LEAF).exists()
        monkeypatch.setattr(index, "isolated_rows", isolated)
        monkeypatch.setattr(scann_build, "run_apart", killed)
        index.build_index(embeddings, directory, engine="scann", config=config)
        np.testing.assert_array_equal(np.load(directory / engine.CODES), codes)
        assert not (directory / scann_build.CODES_BY_LEAF).exists()
        assert open_index(directory, embeddings).n_rows == N

    def test_a_finished_index_is_built_anew(self, tmp_path, embeddings):
        config = BuildConfig(threads=1)
        for rows in (embeddings, embeddings[:2_000]):
            index.build_index(rows, tmp_path / "index", engine="scann", config=config)
            assert open_index(tmp_path / "index", rows).n_rows == len(rows)

    def test_an_encoder_that_the_system_ends_is_told_with_a_way_out(self, tmp_path):
        with pytest.raises(ResourceError, match="memory_gib"):
            scann_pieces.run_apart(_end_oneself, tmp_path)


def _end_oneself(_):
    os.kill(os.getpid(), signal.SIGKILL)


class TestBudget:
    @pytest.mark.parametrize("n_rows", [1_000, 1_000_000, 10_000_000, 42_272_646])
    def test_a_survey_of_128_numbers_fits_eight_gib(self, n_rows):
        ours = index.index_plan(n_rows, 128, BuildConfig(threads=2))
        assert max(ours.train_bytes, ours.encode_bytes) <= 8 << 30
        assert 4 * 128 * ours.piece_rows <= 512 << 20
        # Two encode at once whatever the leaves: they are in the order of the leaves.
        assert ours.encoders == min(2, -(-n_rows // ours.piece_rows))

    def test_less_memory_means_smaller_pieces_and_fewer_encoders_and_the_same_index(self):
        wide, narrow = (index.index_plan(10_000_000, 128, BuildConfig(threads=8, memory_gib=gib)) for gib in (32, 1))
        assert wide.encoders > narrow.encoders == 1
        assert wide.piece_rows > narrow.piece_rows
        assert (wide.leaves, wide.tree_sample) == (narrow.leaves, narrow.tree_sample)

    def test_parameters_of_the_index_follow_its_size_unless_they_are_given(self):
        small, large = (index.index_plan(n, 128, BuildConfig()) for n in (1_000_000, 42_272_646))
        assert (small.leaves, small.tree_sample) == (2_000, 250_000)
        assert (large.leaves, large.tree_sample) == (13_003, 64 * 13_003)
        given = index.index_plan(1_000_000, 128, BuildConfig(leaves=77, tree_sample=9_000, codebook_sample=5_000))
        assert (given.leaves, given.tree_sample, given.codebook_sample) == (77, 9_000, 5_000)


def test_faiss_takes_rows_in_chunks(tmp_path, embeddings, monkeypatch):
    opened = []
    for rows in (N, 700):
        monkeypatch.setattr(faiss_build, "ADD_ROWS", rows)
        done = []
        directory = tmp_path / str(rows)
        index.build_index(
            embeddings, directory, engine="faiss", config=BuildConfig(threads=1, leaves=30), step=done.append
        )
        assert (max(done), sum(done)) == (rows, N)
        opened.append(open_index(directory, embeddings))
    queries = embeddings[:50].astype(np.float32)
    once, chunked = (np.sort(i.candidates(queries, SearchSetting(10, 100))) for i in opened)
    np.testing.assert_array_equal(once, chunked)
