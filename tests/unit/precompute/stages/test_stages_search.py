"""The stages that build and judge search: index, knn, measure."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pytest

from atlas.errors import InputError, ResourceError
from atlas.queries.feedback import embedding_of_examples
from atlas.search.index import SearchSetting
from atlas.search.open_index import ExactIndex, open_index
from atlas.search.quality import read_quality
from atlas.storage import layout
from precompute.config import BuildConfig
from precompute.parallel import run_chunks
from precompute.stages import knn, measure
from precompute.stages import row_passes as chunks
from precompute.stages.index import stage as index_stage
from precompute.stages.index.stage import choose_engine, isolated_rows, leaf_count
from precompute.stages.row_passes import sum_by_group
from precompute.stages.stage import StageContext
from tests.unit.groups import grouped_embeddings

N = 1_500


@pytest.fixture(scope="module")
def embeddings():
    rows, _ = grouped_embeddings([500, 400, 300, 200, 100])
    return rows.astype(np.float16)


def context(tmp_path, embeddings, stage, **parameters) -> StageContext:
    """A context for a stage, in a folder that holds the embeddings."""
    ctx = StageContext(tmp_path, BuildConfig(**parameters), name=stage.name, quiet=True)
    if not (ctx.space / layout.EMBEDDINGS).exists():
        ctx.save(ctx.space / layout.EMBEDDINGS, embeddings)
    return ctx


def unit(embeddings):
    wide = embeddings.astype(np.float64)
    return wide / np.linalg.norm(wide, axis=-1, keepdims=True)


def true_neighbors(embeddings, k):
    products = unit(embeddings) @ unit(embeddings).T
    np.fill_diagonal(products, -np.inf)
    order = np.argsort(-products, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(products, order, axis=1)


class TestEngine:
    def test_small_atlases_are_scanned_and_large_ones_are_not(self):
        assert choose_engine("auto", index_stage.EXACT_BELOW - 1) == "exact"
        assert choose_engine("auto", index_stage.EXACT_BELOW) == "scann"

    def test_faiss_serves_where_scann_is_missing(self, monkeypatch):
        monkeypatch.setattr(index_stage, "find_spec", lambda name: None if name == "scann" else object())
        assert choose_engine("auto", 1_000_000) == "faiss"
        with pytest.raises(ResourceError, match="'scann'"):
            choose_engine("scann", 1_000_000)

    def test_too_few_rows_to_train_codes_are_scanned_whatever_was_asked(self):
        assert choose_engine("scann", 15) == "exact"
        assert choose_engine("scann", 16) == "scann"

    def test_an_unknown_engine_is_refused(self):
        with pytest.raises(InputError, match="'annoy'"):
            choose_engine("annoy", 100)

    def test_leaves_follow_the_square_root_and_never_starve(self):
        assert leaf_count(0, 1_000_000) == 2_000
        assert leaf_count(500, 1_000_000) == 500
        assert leaf_count(500, 100) == 25
        assert leaf_count(0, 2) == 1

    @pytest.mark.parametrize("engine", ["scann", "faiss", "exact"])
    def test_the_stage_writes_an_index_that_opens(self, tmp_path, embeddings, engine):
        ctx = context(tmp_path, embeddings, index_stage.STAGE, engine=engine)
        index_stage.STAGE.run(ctx)
        index = open_index(ctx.space / layout.INDEX, embeddings)
        assert (index.name, index.n_rows) == (engine, N)
        assert ctx.measured["engine"] == engine

    def test_building_again_leaves_no_file_of_the_engine_before(self, tmp_path, embeddings):
        for engine in ("scann", "exact"):
            index_stage.STAGE.run(context(tmp_path, embeddings, index_stage.STAGE, engine=engine))
        assert [file.name for file in (tmp_path / "spaces/v1/index").iterdir()] == ["index.json"]

    def test_native_log_lines_stay_off_the_terminal(self, tmp_path, embeddings, capfd):
        index_stage.STAGE.run(context(tmp_path, embeddings, index_stage.STAGE, engine="scann"))
        print("still there", file=sys.stderr)
        assert capfd.readouterr().err == "still there\n"

    def test_isolated_rows_are_those_far_from_their_leaf(self, embeddings):
        stored = embeddings.copy()
        leaf = np.arange(N) % 7
        groups = np.random.default_rng(0).standard_normal((7, stored.shape[1]))
        stored[:] = groups[leaf] / np.linalg.norm(groups[leaf], axis=1, keepdims=True)
        stored[[3, 700, 1499]] = -stored[[3, 700, 1499]]
        np.testing.assert_array_equal(isolated_rows(stored, leaf, 3), [3, 700, 1499])


class TestKnn:
    @pytest.mark.parametrize("engine", ["scann", "exact"])
    def test_every_row_gets_its_ten_nearest_without_itself(self, tmp_path, embeddings, engine):
        index_stage.STAGE.run(context(tmp_path, embeddings, index_stage.STAGE, engine=engine))
        ctx = context(tmp_path, embeddings, knn.STAGE, threads=2)
        knn.STAGE.run(ctx)
        rows = np.load(ctx.space / "knn/rows.npy")
        similarity = np.load(ctx.space / "knn/similarity.npy")
        assert (rows.dtype, similarity.dtype, rows.shape) == (np.uint32, np.float32, (N, 10))
        assert {file.name for file in (ctx.space / "knn").iterdir()} == {"rows.npy", "similarity.npy"}
        distance = np.load(ctx.space / "columns/anomaly_knn.npy")
        np.testing.assert_allclose(distance, (1 - similarity).mean(axis=1), atol=1e-6)
        assert (rows != np.arange(N)[:, None]).all()
        assert (np.diff(similarity, axis=1) <= 0).all()
        expected, products = true_neighbors(embeddings, 10)
        recall = (rows[:, :, None] == expected[:, None, :]).any(axis=2).mean()
        assert recall >= (1 if engine == "exact" else 0.98)
        assert ctx.measured["recall_at_10"] == pytest.approx(recall, abs=0.01)
        own = np.einsum("nkd,nd->nk", unit(embeddings[rows]), unit(embeddings))
        np.testing.assert_allclose(similarity, own, atol=1e-5)
        if engine == "exact":
            np.testing.assert_allclose(similarity, products, atol=1e-6)

    def test_leaves_that_hold_too_few_never_pad(self, embeddings):
        class Shy(ExactIndex):
            def candidates(self, queries, setting):
                found = super().candidates(queries, setting)
                found[::3, 4:] = -1  # every third query finds four
                return found

        rows, similarity = knn.nearest_others(Shy(embeddings), embeddings, np.arange(30, 90), 10, SearchSetting(1, 40))
        expected, _ = true_neighbors(embeddings, 10)
        np.testing.assert_array_equal(rows, expected[30:90])
        assert np.isfinite(similarity).all()

    def test_equal_rows_are_each_others_neighbours_and_not_their_own(self, embeddings):
        stored = embeddings[:200].copy()
        stored[50:80] = stored[50]
        rows, _ = knn.nearest_others(ExactIndex(stored), stored, np.arange(200), 10, SearchSetting(1, 11))
        assert (rows != np.arange(200)[:, None]).all()
        assert np.isin(rows[50:80], np.arange(50, 80)).all()

    @pytest.mark.parametrize("dtype", [np.float16, np.float32])
    @pytest.mark.parametrize("d", [5, 48, 128])
    def test_scores_are_exact_and_depend_on_their_two_rows_alone(self, dtype, d):
        stored = grouped_embeddings([150, 150], d=d, seed=6)[0].astype(dtype)
        stored[200:] = stored[:100]
        found = np.random.default_rng(1).integers(0, 200, (150, 37))
        found[::3, 5] = -1
        scores = knn.stored_scores(stored, found, stored[:150])
        expected = np.einsum("qmd,qd->qm", unit(stored[found]), unit(stored[:150]))
        expected[found < 0] = -np.inf
        np.testing.assert_allclose(scores, expected, atol=3e-7)
        twins = np.where((found >= 0) & (found < 100), found + 200, found)
        order = np.argsort(np.random.default_rng(2).random(found.shape), axis=1)
        np.testing.assert_array_equal(
            knn.stored_scores(stored, np.take_along_axis(twins, order, axis=1), stored[:150]),
            np.take_along_axis(scores, order, axis=1),
        )
        np.testing.assert_array_equal(knn.stored_scores(stored, found[70:71, :1], stored[70:71]), scores[70:71, :1])

    def test_a_tiny_atlas_has_as_many_neighbours_as_there_are_others(self, tmp_path, embeddings):
        index_stage.STAGE.run(context(tmp_path, embeddings[:4], index_stage.STAGE))
        ctx = context(tmp_path, embeddings[:4], knn.STAGE)
        knn.STAGE.run(ctx)
        np.testing.assert_array_equal(np.load(ctx.space / "knn/rows.npy"), true_neighbors(embeddings[:4], 3)[0])

    def test_leaves_that_hold_too_few_are_joined_by_others_before_all_rows_are_searched(self, embeddings, monkeypatch):
        class Leafy(ExactIndex):
            """Row r lies in leaf r % 300; a search finds what the first leaves hold."""

            leaves = 300

            def candidates(self, queries, setting):
                asked.append(setting.leaves)
                found = super().candidates(queries, SearchSetting(1, self.n_rows))
                kept = np.where(found % self.leaves < setting.leaves, found, -1)
                return np.array([np.r_[line[line >= 0], line[line < 0]][: setting.candidates] for line in kept])

        asked = []
        monkeypatch.setattr(knn, "top_k_exact_many", lambda *_: pytest.fail("all rows were searched"))
        rows, similarity = knn.nearest_others(Leafy(embeddings), embeddings, np.arange(5), 10, SearchSetting(1, 40))
        assert asked == [1, 4], "a leaf holds five rows"
        assert np.isfinite(similarity).all()
        assert (rows % 300 < 4).all()

    def test_of_a_sample_the_nearest_are_kept_and_of_all_rows_the_distance(self, tmp_path, embeddings):
        index_stage.STAGE.run(context(tmp_path, embeddings, index_stage.STAGE, engine="scann"))
        ctx = context(tmp_path, embeddings, knn.STAGE, knn="sample", knn_sample=200)
        knn.STAGE.run(ctx)
        sampled = np.load(ctx.space / "knn/sampled.npy")
        rows = np.load(ctx.space / "knn/rows.npy")
        assert (sampled.dtype, sampled.shape, rows.shape) == (np.uint32, (200,), (200, 10))
        assert (np.diff(sampled.astype(int)) > 0).all()
        expected, products = true_neighbors(embeddings, 10)
        assert (rows[:, :, None] == expected[sampled][:, None, :]).any(axis=2).mean() >= 0.98
        distance = np.load(ctx.space / "columns/anomaly_knn.npy")
        true_distance = np.maximum(1 - products, 0).mean(axis=1)
        # A quick search can only miss neighbours, hence see the others farther.
        assert (distance >= true_distance - 1e-6).all()
        assert np.corrcoef(np.argsort(np.argsort(distance)), np.argsort(np.argsort(true_distance)))[0, 1] > 0.95
        assert ctx.measured["rank_correlation"] > 0.95
        assert 0.8 < ctx.measured["recall_at_10_quick"] <= ctx.measured["recall_at_10"]

    def test_the_sample_gives_every_leaf_its_share(self):
        leaf = np.random.default_rng(3).choice(20, 40_000, p=np.arange(1, 21) / 210)
        order = np.argsort(leaf, kind="stable").astype(np.uint32)
        sampled = knn.stratified_sample(order, 2_000, np.random.default_rng(0))
        assert len(np.unique(sampled)) == 2_000
        share = np.bincount(leaf[sampled], minlength=20) - np.bincount(leaf) / 20
        assert np.abs(share).max() <= 2, "a uniform sample would be off by ten"

    def test_a_sample_as_large_as_the_atlas_is_the_atlas(self, tmp_path, embeddings):
        index_stage.STAGE.run(context(tmp_path, embeddings, index_stage.STAGE))
        ctx = context(tmp_path, embeddings, knn.STAGE, knn="sample", knn_sample=N)
        knn.STAGE.run(ctx)
        assert not (ctx.space / "knn/sampled.npy").exists()
        assert np.load(ctx.space / "knn/rows.npy").shape == (N, 10)

    def test_a_killed_run_goes_on_where_it_was(self, tmp_path, embeddings, monkeypatch):
        monkeypatch.setattr(knn, "CHUNK_ROWS", 100)
        monkeypatch.setattr(chunks, "KEEP_EVERY", 300)
        index_stage.STAGE.run(context(tmp_path, embeddings, index_stage.STAGE))
        asked = []

        def counted(index, stored, rows, k, setting, *, fail_at=None):
            if fail_at is not None and rows[0] >= fail_at:
                raise KeyboardInterrupt
            asked.append(rows[0])
            return nearest(index, stored, rows, k, setting)

        nearest = knn.nearest_others
        monkeypatch.setattr(knn, "nearest_others", lambda *a: counted(*a, fail_at=800))
        ctx = context(tmp_path, embeddings, knn.STAGE, threads=1)
        with pytest.raises(KeyboardInterrupt):
            knn.STAGE.run(ctx)
        asked.clear()
        monkeypatch.setattr(knn, "nearest_others", counted)
        monkeypatch.setattr(knn, "_recall", lambda *_: [1.0, 1.0])
        knn.STAGE.run(ctx)
        assert asked == list(range(600, N, 100)), "600 rows were on disk"
        rows, expected = np.load(ctx.space / "knn/rows.npy"), true_neighbors(embeddings, 10)[1]
        # But for two whose similarity is the same to float32's last bits, and who may stand in for each other.
        own = np.einsum("nkd,nd->nk", unit(embeddings[rows]), unit(embeddings))
        np.testing.assert_allclose(own, expected, atol=5e-7)
        assert ctx.kept().rows == 0, "the record is gone"


class TestMeasure:
    def test_recall_of_a_sloppy_index_is_what_numpy_says(self, embeddings):
        class Sloppy(ExactIndex):
            """Finds even rows only."""

            name = "scann"
            leaves = 100

            def candidates(self, queries, setting):
                found = super().candidates(queries, SearchSetting(1, self.n_rows))
                kept = np.where(found % 2 == 0, found, -1)
                return np.array([np.r_[line[line >= 0], line[line < 0]][: setting.candidates] for line in kept])

        rows = np.arange(0, N, 50)
        queries = measure.Queries(embeddings[rows].astype(np.float32), rows[:, None])
        table = measure.measure_recall(Sloppy(embeddings), embeddings, {"row": queries})
        expected, _ = true_neighbors(embeddings, 100)
        for k in (10, 100):
            even = (expected[rows, :k] % 2 == 0).mean(axis=1)
            for line in (line for line in table if line.k == k):
                assert line.mean == pytest.approx(even.mean(), abs=1e-4)
                assert line.worst == pytest.approx(even.min(), abs=1e-4)
                assert line.queries == len(rows)

    def test_no_figure_is_given_for_more_than_half_the_rows_or_than_candidates(self, embeddings):
        queries = measure.Queries(embeddings[:3].astype(np.float32), np.arange(3)[:, None])
        small = measure.measure_recall(ExactIndex(embeddings[:150]), embeddings[:150], {"row": queries})
        assert {line.k for line in small} == {10}
        assert measure.measure_recall(ExactIndex(embeddings[:15]), embeddings[:15], {"row": queries}) == ()

    def test_examples_are_left_out_of_the_truth(self, embeddings):
        rows = np.arange(20)
        queries = measure.Queries(embeddings[rows].astype(np.float32), np.stack([rows, rows + 20], axis=1))
        other = measure.Queries(embeddings[:7].astype(np.float32), np.empty((7, 0), dtype=np.int64))
        before, scores = measure._scores_at(embeddings, [other, queries], [1, 10])
        np.testing.assert_array_equal(before[:, 0], 1)
        for row in rows:
            products = unit(embeddings) @ unit(embeddings[row])
            left = np.sort(np.delete(products, [row, row + 20]))[::-1]
            np.testing.assert_allclose(scores[row], left[[0, 9]], atol=1e-6)

    def test_every_kind_of_query_is_made_from_rows_that_it_leaves_out(self, embeddings):
        neighbors = true_neighbors(embeddings, 10)[0].astype(np.uint32)
        centroids = embeddings[:4].astype(np.float32)
        known = np.arange(0, N, 2, dtype=np.uint32)
        kinds = measure.make_queries(embeddings, known, neighbors[known], centroids, 50, np.random.default_rng(0))
        assert np.isin(kinds["row"].examples, known).all()
        first, *others = kinds["examples"].examples[:, :3].T
        alike = (np.stack(others, axis=1) == neighbors[first, :2]).all(axis=1)
        assert alike[::2].all() and not alike[1::2].any(), "alike, and of different kinds, by turns"
        assert {kind: len(q.embeddings) for kind, q in kinds.items()} == {
            "row": 50,
            "least similar": 50,
            "examples": 50,
            "cluster": 4,
        }
        examples = kinds["examples"]
        stored = embeddings.astype(np.float32)
        for asked, rows in zip(examples.embeddings, examples.examples, strict=True):
            np.testing.assert_array_equal(asked, embedding_of_examples(stored[rows[:3]], stored[rows[3:]]))
        np.testing.assert_array_equal(kinds["least similar"].embeddings, -kinds["row"].embeddings)

    def test_trust_is_the_share_of_neighbours_within_the_radius(self):
        own = np.zeros((2, 2), dtype=np.float32)
        neighbors = np.array([[[0, 1], [3, 4], [0, 0], [9, 9]], [[1, 0], [1, 1], [0, 1], [0.5, 0]]], dtype=np.float32)
        np.testing.assert_array_equal(
            measure.trust_of(own, neighbors, np.array([5, 1], dtype=np.float32)), [0.75, 0.75]
        )

    def test_surroundings_hold_the_share_that_they_promise(self):
        rng = np.random.default_rng(0)
        positions = rng.standard_normal((20_000, 2)).astype(np.float32)
        tree = measure.cKDTree(positions[rng.choice(20_000, 5_000, replace=False)])
        radius = measure.surroundings_radius(tree, positions[:200], 0.01)
        held = [(np.hypot(*(positions - p).T) <= r).mean() for p, r in zip(positions[:200], radius, strict=True)]
        assert np.mean(held) == pytest.approx(0.01, rel=0.05)

    def test_one_pass_over_all_rows_serves_every_kind_of_query(self, embeddings, monkeypatch):
        passes = []
        exact = measure.top_k_exact_many
        monkeypatch.setattr(measure, "top_k_exact_many", lambda *a: (passes.append(1), exact(*a))[1])
        known = np.arange(N, dtype=np.uint32)
        neighbors = true_neighbors(embeddings, 10)[0].astype(np.uint32)
        kinds = measure.make_queries(
            embeddings, known, neighbors, embeddings[:4].astype(np.float32), 20, np.random.default_rng(0)
        )
        assert len({line.kind for line in measure.measure_recall(ExactIndex(embeddings), embeddings, kinds)}) == 4
        assert len(passes) == 1

    def test_trust_is_missing_where_neighbours_were_not_looked_for(self, tmp_path, embeddings):
        stored = embeddings[:800]
        index_stage.STAGE.run(context(tmp_path, stored, index_stage.STAGE))
        knn.STAGE.run(context(tmp_path, stored, knn.STAGE, knn="sample", knn_sample=100))
        ctx = context(tmp_path, stored, measure.STAGE, recall_queries=5)
        for axis, values in zip("xy", stored[:, :2].astype(np.float32).T, strict=True):
            ctx.save(ctx.space / layout.COLUMNS / f"map_{axis}.npy", values)
        ctx.save(ctx.space / layout.CLUSTERS / "centroids.npy", stored[:0].astype(np.float32))
        measure.STAGE.run(ctx)
        trust = np.load(ctx.space / layout.COLUMNS / "trust.npy")
        np.testing.assert_array_equal(np.flatnonzero(np.isfinite(trust)), np.load(ctx.space / "knn/sampled.npy"))
        assert read_quality(ctx.space).trust_mean == pytest.approx(float(np.nanmean(trust)), abs=1e-4)

    def test_a_perfect_map_is_trusted_and_a_shuffled_one_is_not(self, tmp_path):
        # Galaxies on a circle, and the circle as the map.
        angle = np.random.default_rng(0).uniform(0, 2 * np.pi, 2_000)
        circle = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
        quality = {}
        for name, order in {"true": np.arange(2_000), "shuffled": np.random.default_rng(1).permutation(2_000)}.items():
            folder = tmp_path / name
            index_stage.STAGE.run(context(folder, circle, index_stage.STAGE))
            knn.STAGE.run(context(folder, circle, knn.STAGE))
            ctx = context(folder, circle, measure.STAGE, recall_queries=5)
            for axis, values in zip("xy", circle[order].T, strict=True):
                ctx.save(ctx.space / layout.COLUMNS / f"map_{axis}.npy", values)
            ctx.save(ctx.space / layout.CLUSTERS / "centroids.npy", circle[:0])
            measure.STAGE.run(ctx)
            quality[name] = read_quality(ctx.space)
            trust = np.load(ctx.space / layout.COLUMNS / "trust.npy")
            assert trust.shape == (2_000,)
            assert quality[name].trust_mean == pytest.approx(float(trust.mean()), abs=1e-4)
        assert quality["true"].trust_mean == 1
        assert quality["true"].trustworthiness > 0.999
        # By chance a neighbour lies within the radius as often as any row: 2.5 % here.
        assert quality["shuffled"].trust_share == 0.025
        assert quality["shuffled"].trust_mean == pytest.approx(0.025, abs=0.02)
        assert quality["shuffled"].trustworthiness < 0.6
        assert {line.kind for line in quality["true"].recall} == {"row", "least similar", "examples"}
        assert all(line.mean == 1 for line in quality["true"].recall), "the exact engine is exact"


def mapped_mib() -> int:
    """Pages of mapped files that count as this process's."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssFile:")[1].split()[0]) // 1024


class TestChunks:
    def test_a_pass_gives_back_the_pages_that_it_has_read_and_written(self, tmp_path, monkeypatch):
        monkeypatch.setattr(chunks, "KEEP_EVERY", 1 << 20)
        n = 8 << 20
        ctx = StageContext(tmp_path, BuildConfig(threads=1), name="some", quiet=True)
        ctx.save(tmp_path / "in.npy", np.arange(n, dtype=np.int64))
        values = ctx.load(tmp_path / "in.npy")
        out = ctx.open_or_create(tmp_path / "out.npy", (n,), np.int64)
        before, held = mapped_mib(), []

        def work(part):
            # Real work takes longer than to record it; this would be far ahead of the record on a busy machine.
            while part.start - ctx.kept().rows >= 2 << 20:
                time.sleep(0.001)
            held.append(mapped_mib() - before)
            return (3 * values[part],)

        chunks.fill_rows(ctx, work, n, 1 << 18, (out,))
        assert max(held) < 64, "of 128 MiB that were read and written"
        np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), 3 * np.arange(n))

    def test_a_killed_pass_goes_on_at_the_last_record(self, tmp_path, monkeypatch):
        monkeypatch.setattr(chunks, "KEEP_EVERY", 300)
        ctx = StageContext(tmp_path, BuildConfig(threads=1), name="some", quiet=True)
        seen = []

        def run(stop_at):
            out = ctx.open_or_create(tmp_path / "out.npy", (1_003,), np.int64)

            def work(part):
                if part.start >= stop_at:
                    raise KeyboardInterrupt
                seen.append(part.start)
                return (np.arange(part.start, part.stop),)

            chunks.fill_rows(ctx, work, 1_003, 100, (out,))

        with pytest.raises(KeyboardInterrupt):
            run(stop_at=800)
        assert ctx.kept().rows == 600
        seen.clear()
        run(stop_at=2_000)
        assert seen == list(range(600, 1_003, 100))
        np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), np.arange(1_003))
        seen.clear()
        run(stop_at=2_000)
        assert seen == [], "a stage killed after its pass does not begin anew"
        ctx.forget()
        run(stop_at=2_000)
        assert len(seen) == 11

    def test_finished_slices_come_in_order_and_cover_all_rows_once(self):
        count = np.zeros(1_003, dtype=int)

        def work(part: slice) -> None:
            count[part] += 1

        parts = list(run_chunks(work, 1_003, 100, 3, start=200))
        assert [part.start for part in parts] == list(range(200, 1_003, 100))
        np.testing.assert_array_equal(count, np.r_[np.zeros(200), np.ones(803)])

    def test_an_error_in_a_worker_reaches_the_caller(self):
        def work(part: slice) -> None:
            if part.start == 50:
                raise OSError("disk full")

        with pytest.raises(OSError, match="disk full"):
            list(run_chunks(work, 1_000, 10, 2))

    def test_sums_by_group_leave_out_minus_one(self, embeddings):
        groups = np.random.default_rng(0).integers(-1, 4, N)
        expected = [embeddings[groups == g].astype(np.float64).sum(axis=0) for g in range(5)]
        np.testing.assert_allclose(sum_by_group(embeddings, groups, 5), expected, atol=1e-9)
