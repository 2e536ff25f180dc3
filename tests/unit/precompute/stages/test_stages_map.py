"""The stages that make the map: subsample, umap, place, clusters, anomalies; and all of them in a row."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.manifold import trustworthiness
from sklearn.metrics import adjusted_mutual_info_score

from atlas.catalog.anomalies import PERCENTILES
from atlas.search.open_index import ExactIndex, open_index
from atlas.search.quality import read_quality
from atlas.storage import layout
from precompute.config import BuildConfig
from precompute.stages import anomalies, cluster_scales, clusters, knn, measure, place, subsample, umap
from precompute.stages import row_passes as chunks
from precompute.stages.index import stage as index
from precompute.stages.stage import StageContext
from tests.unit.groups import grouped_embeddings

STAGES = (index, knn, subsample, umap, place, clusters, anomalies, measure)
SIZES = [420, 380, 340, 300, 260, 200, 70]
OUTLIERS = 30
N = sum(SIZES) + OUTLIERS
SIZE = 700


@pytest.fixture(scope="module")
def survey():
    """Embeddings as they are stored, and the true group of each row; −1 marks the outliers, which are the last rows."""
    rows, groups = grouped_embeddings(SIZES, seed=4)
    rng = np.random.default_rng(9)
    outliers = rng.standard_normal((OUTLIERS, rows.shape[1]))
    rows = np.concatenate([rows, outliers / np.linalg.norm(outliers, axis=1, keepdims=True)])
    return rows.astype(np.float16), np.concatenate([groups, np.full(OUTLIERS, -1)])


def build(folder, embeddings, **parameters) -> StageContext:
    """Run all stages; returns the last context."""
    ctx = StageContext(folder, BuildConfig(**parameters), name="start", quiet=True)
    ctx.save(ctx.space / layout.EMBEDDINGS, embeddings)
    for module in STAGES:
        ctx = StageContext(folder, BuildConfig(**parameters), name=module.STAGE.name, quiet=True)
        module.STAGE.run(ctx)
    return ctx


@pytest.fixture(scope="module")
def built(tmp_path_factory, survey):
    """The space's folder after all stages, with ScaNN, and fewer anchors than rows."""
    folder = tmp_path_factory.mktemp("built")
    return build(folder, survey[0], engine="scann", subsample=SIZE, recall_queries=40, threads=2).space


def positions(space):
    return np.stack([np.load(space / f"columns/map_{axis}.npy") for axis in "xy"], axis=1)


class TestWhole:
    def test_writes_the_files_that_the_format_names(self, built):
        expected = {
            "knn/rows.npy": (np.uint32, (N, 10)),
            "knn/similarity.npy": (np.float32, (N, 10)),
            "map/subsample.npy": (np.uint32, (SIZE,)),
            "map/anchors_xy.npy": (np.float32, (SIZE, 2)),
            "map/nearest_anchor.npy": (np.uint32, (N,)),
            "map/outliers.npy": (np.uint32, (20,)),
            **{
                f"columns/{name}.npy": (np.float32, (N,))
                for name in ("map_x", "map_y", "anomaly_knn", *PERCENTILES, "trust")
            },
            "columns/stray.npy": (np.uint8, (N,)),
            **{f"columns/{name}.npy": (np.int16, (N,)) for name in ("cluster", "cluster_medium", "cluster_coarse")},
            "columns/cluster_place.npy": (np.uint8, (N,)),
        }
        for name, (dtype, shape) in expected.items():
            array = np.load(built / name, allow_pickle=False)
            assert (array.dtype, array.shape) == (dtype, shape), name
            assert np.isfinite(array).all(), name

    def test_each_stage_writes_exactly_what_it_declares(self, built):
        build_folder = built.parent.parent
        declared = {path for module in STAGES for path in module.STAGE.outputs}
        written = {file for file in build_folder.rglob("*") if file.is_file()}
        allowed = [build_folder / path.format(space="spaces/v1") for path in declared] + [built / layout.EMBEDDINGS]
        for file in written:
            assert any(file == path or path in file.parents for path in allowed), f"{file} is declared by no stage"
        for path in allowed:
            assert path.exists(), f"{path} was not written"

    def test_measures_every_kind_of_query(self, built):
        quality = read_quality(built)
        assert quality.engine == "scann"
        assert {line.kind for line in quality.recall} == {"row", "least similar", "examples", "cluster"}
        for kind in ("row", "least similar", "examples", "cluster"):
            assert max(line.mean for line in quality.recall if line.kind == kind and line.k == 100) >= 0.99

    def test_the_same_input_and_seed_give_the_same_bytes(self, survey, tmp_path):
        # With the exact engine: ScaNN has no seed.
        first, second = (
            build(tmp_path / name, survey[0][:900], engine="exact", subsample=300, recall_queries=10, threads=threads)
            for name, threads in (("first", 1), ("second", 2))
        )
        files = sorted(file.relative_to(first.space) for file in first.space.rglob("*.npy"))
        assert len(files) >= 17
        for file in files:
            assert (first.space / file).read_bytes() == (second.space / file).read_bytes(), file


class TestSubsample:
    def test_quotas_follow_the_square_root_and_sum_up(self):
        sizes = np.array([10_000, 2_500, 400, 100, 3, 0])
        quota = subsample.quotas(sizes, 400, 0)
        assert quota.sum() == 400
        np.testing.assert_allclose(quota[:4] / quota[0], [1, 0.5, 0.2, 0.1], atol=0.01)
        assert quota[5] == 0

    @pytest.mark.parametrize("total", [1, 50, 1_000, 12_000, 13_002])
    def test_quotas_never_exceed_a_group_nor_miss_the_total(self, total):
        sizes = np.array([10_000, 2_500, 400, 100, 3, 0])
        quota = subsample.quotas(sizes, total, 16)
        assert quota.sum() == total
        assert (quota <= sizes).all()
        if total >= 5 * 16:
            assert (quota[:4] >= 16).all()

    def test_draws_as_many_of_each_group_as_granted_without_repetition(self):
        groups = np.random.default_rng(0).integers(-1, 5, 2_000).astype(np.int32)
        quota = np.array([10, 0, 300, 1, 5])
        drawn = subsample.draw_by_group(groups, quota, np.random.default_rng(1))
        np.testing.assert_array_equal(np.bincount(groups[drawn], minlength=5), quota)
        assert len(np.unique(drawn)) == drawn.size

    def test_keeps_a_rare_class_that_a_uniform_subsample_would_erase(self, tmp_path):
        # A class of 4 in 10,000, and every tenth row an anchor: two or three uniform ones.
        n, rare, size = 60_000, 24, 6_000
        stored, groups = grouped_embeddings([n - rare - 20_000, 12_000, 8_000, rare], d=24, seed=2)
        ctx = StageContext(tmp_path, BuildConfig(subsample=size), name="subsample", quiet=True)
        ctx.save(ctx.space / layout.EMBEDDINGS, stored.astype(np.float16))
        # Nothing stands out by its distance: the groups alone must do it.
        ctx.save(ctx.space / "columns/anomaly_knn.npy", np.full(n, 0.1, dtype=np.float32))
        subsample.STAGE.run(ctx)
        rows = np.load(ctx.space / "map/subsample.npy")
        assert rows.size == size == len(np.unique(rows))
        assert (np.diff(rows.astype(int)) > 0).all()
        uniform = np.random.default_rng(0).choice(n, size, replace=False)
        assert (groups[uniform] == 3).sum() < 8
        assert (groups[rows] == 3).sum() >= 16, "enough for an island: n_neighbors + 1"

    def test_isolated_rows_are_anchors(self, built):
        isolated = np.argsort(-np.load(built / "columns/anomaly_knn.npy"))[:20]
        assert np.isin(isolated, np.load(built / "map/subsample.npy")).all()

    def test_a_small_atlas_is_its_own_subsample(self, tmp_path, survey):
        ctx = StageContext(tmp_path, BuildConfig(), name="subsample", quiet=True)
        ctx.save(ctx.space / layout.EMBEDDINGS, survey[0])
        subsample.STAGE.run(ctx)
        np.testing.assert_array_equal(np.load(ctx.space / "map/subsample.npy"), np.arange(N))


class TestMap:
    def test_keeps_neighbours_together(self, built, survey):
        stored = survey[0].astype(np.float32)
        ours = trustworthiness(stored, positions(built), n_neighbors=15, metric="cosine")
        flat = trustworthiness(stored, umap.pca_layout(stored), n_neighbors=15, metric="cosine")
        assert ours >= 0.93
        assert ours > flat + 0.05, "no better than principal components"
        assert read_quality(built).trustworthiness == pytest.approx(ours, abs=0.01)

    def test_placed_rows_are_as_trustworthy_as_the_anchors(self, built, survey):
        stored = survey[0].astype(np.float32)
        anchors = np.load(built / "map/subsample.npy")
        others = np.setdiff1d(np.arange(N), anchors)[: len(anchors)]
        of_anchors, of_others = (
            trustworthiness(stored[rows], positions(built)[rows], n_neighbors=10, metric="cosine")
            for rows in (anchors, others)
        )
        assert of_others >= of_anchors - 0.02

    def test_anchors_stay_where_umap_put_them(self, built):
        anchors = np.load(built / "map/subsample.npy")
        np.testing.assert_array_equal(positions(built)[anchors], np.load(built / "map/anchors_xy.npy"))

    def test_is_centred_and_of_standard_width(self, built):
        anchors = np.load(built / "map/anchors_xy.npy")
        np.testing.assert_allclose(np.median(anchors, axis=0), 0, atol=1e-5)
        low, high = np.percentile(anchors, (1, 99), axis=0)
        assert max(-low.min(), high.max()) == pytest.approx(10, rel=0.01)

    def test_strays_are_drawn_in_but_keep_their_order(self):
        rng = np.random.default_rng(0)
        heap = rng.uniform(-1, 1, (5_000, 2)).astype(np.float32)
        strays = np.array([[2, 0], [5, 0], [1_000, 0]], dtype=np.float32)
        placed = umap.normalise_map(np.concatenate([heap, strays]))
        radius = np.hypot(*placed.T)
        assert 15 < radius[-3] < radius[-2] < radius[-1] < 20
        # All others moved by one factor and one shift: nothing is bent.
        factor = (placed[1, 0] - placed[0, 0]) / (heap[1, 0] - heap[0, 0])
        np.testing.assert_allclose(placed[:-3] - placed[0], factor * (heap - heap[0]), atol=1e-3)

    def test_identical_anchors_get_one_finite_position(self):
        np.testing.assert_array_equal(umap.normalise_map(np.full((9, 2), 3.0, dtype=np.float32)), np.zeros((9, 2)))

    @pytest.mark.parametrize("n", [2, 3, 16])
    def test_too_few_rows_for_umap_are_laid_out_by_principal_components(self, tmp_path, survey, n):
        ctx = build(tmp_path, survey[0][:n], n_neighbors=15)
        assert np.isfinite(positions(ctx.space)).all()
        assert len(np.unique(positions(ctx.space), axis=0)) == n


class TestPlace:
    def test_the_median_is_what_an_optimiser_finds(self):
        rng = np.random.default_rng(0)
        points = rng.normal(size=(20, 15, 2)).astype(np.float32)
        weights = rng.uniform(0.2, 1, (20, 15)).astype(np.float32)
        medians = place.geometric_median(points, weights)

        def cost(at, own, weight):
            return (weight * np.linalg.norm(own - at, axis=1)).sum()

        for own, weight, median in zip(points, weights, medians, strict=True):
            best = minimize(cost, own.mean(axis=0), args=(own, weight), method="Nelder-Mead").fun
            assert cost(median, own, weight) <= 1.01 * best

    def test_a_row_between_two_islands_goes_to_the_one_with_more_weight(self):
        points = np.array([[[0, 0]] * 9 + [[10, 0]] * 6], dtype=np.float32)
        points += np.random.default_rng(0).normal(scale=0.1, size=points.shape).astype(np.float32)
        weights = np.ones((1, 15), dtype=np.float32)
        assert points.mean(axis=1)[0, 0] == pytest.approx(4, abs=0.2), "a mean would strand it in between"
        assert abs(place.geometric_median(points, weights)[0, 0]) < 2

    def test_weights_fall_with_distance_and_missing_anchors_weigh_nothing(self):
        similarity = np.array([[0.9, 0.8, 0.7, -np.inf], [0.5, 0.5, 0.5, 0.5]], dtype=np.float32)
        weights = place.anchor_weights(similarity)
        np.testing.assert_allclose(weights[0], [1, np.exp(-1), np.exp(-2), 0], rtol=1e-5)
        np.testing.assert_array_equal(weights[1], 1)

    def test_nearest_anchors_are_the_nearest(self, survey):
        stored = survey[0]
        anchors = stored[::5]
        found, similarity = place.nearest_anchors(ExactIndex(anchors), anchors, stored[:50], 15)
        own, others = (
            rows / np.linalg.norm(rows, axis=1, keepdims=True)
            for rows in (stored[:50].astype(float), anchors.astype(float))
        )
        products = own @ others.T
        np.testing.assert_allclose(similarity, -np.sort(-products, axis=1)[:, :15], atol=1e-6)
        np.testing.assert_allclose(np.take_along_axis(products, found, axis=1), similarity, atol=1e-6)

    def test_a_row_whose_anchors_lie_apart_is_a_stray_and_one_among_them_is_not(self):
        rng = np.random.default_rng(0)
        corners = np.array([[0, 0], [10, 0], [0, 10]], dtype=np.float32)
        apart = np.repeat(corners, 5, axis=0)
        together = np.repeat(corners, (10, 3, 2), axis=0)
        points = np.stack([apart, together]) + rng.normal(scale=0.1, size=(2, 15, 2)).astype(np.float32)
        weights = np.ones((2, 15), dtype=np.float32)
        own = place.geometric_median(points, weights)
        np.testing.assert_array_equal(place.is_stray(points, weights, own, np.ones(2, dtype=np.float32)), [True, False])

    def test_strays_are_few_and_no_anchor_is_one(self, built):
        stray = np.load(built / "columns/stray.npy")
        assert set(np.unique(stray)) <= {0, 1}
        assert stray.mean() < 0.05
        assert not stray[np.load(built / "map/subsample.npy")].any(), "anchors lie where UMAP put them"

    def test_a_killed_run_goes_on_where_it_was(self, built, survey, tmp_path, monkeypatch):
        monkeypatch.setattr(place, "CHUNK_ROWS", 100)
        monkeypatch.setattr(chunks, "KEEP_EVERY", 300)
        ctx = StageContext(tmp_path, BuildConfig(engine="exact", threads=1), name="place", quiet=True)
        ctx.save(ctx.space / layout.EMBEDDINGS, survey[0])
        for name in ("subsample.npy", "anchors_xy.npy"):
            ctx.save(ctx.space / "map" / name, np.load(built / "map" / name))
        place.STAGE.run(ctx)
        whole = positions(ctx.space)
        asked = []
        nearest = place.nearest_anchors

        def counted(*arguments):
            if len(asked) == 8:
                raise KeyboardInterrupt
            asked.append(1)
            return nearest(*arguments)

        monkeypatch.setattr(place, "nearest_anchors", counted)
        with pytest.raises(KeyboardInterrupt):
            place.STAGE.run(ctx)
        assert ctx.kept().rows == 600
        asked.clear()
        monkeypatch.setattr(place, "nearest_anchors", lambda *a: (asked.append(1), nearest(*a))[1])
        place.STAGE.run(ctx)
        assert len(asked) == -(-(N - 600) // 100), "600 rows were on disk"
        np.testing.assert_array_equal(positions(ctx.space), whole)


class TestClusters:
    def test_recover_the_groups(self, built, survey):
        labels, groups = np.load(built / "columns/cluster.npy"), survey[1]
        inside = (labels >= 0) & (groups >= 0)
        assert (labels >= 0).all(), "every row is in a cluster"
        assert inside.sum() > 0.8 * (groups >= 0).sum()
        assert adjusted_mutual_info_score(groups[inside], labels[inside]) > 0.9

    def test_are_numbered_by_size(self, built):
        labels, size = np.load(built / "columns/cluster.npy"), np.load(built / "clusters/size.npy")
        fine = np.bincount(labels)
        np.testing.assert_array_equal(fine, size[: fine.size])
        assert (np.diff(fine) <= 0).all()

    def test_scales_are_nested_and_their_columns_hold_their_numbers(self, built):
        tree, size = np.load(built / "clusters/tree.npy"), np.load(built / "clusters/size.npy")
        fine = np.load(built / "columns/cluster.npy")
        assert len(set(tree[0])) > len(set(tree[1])) > len(set(tree[2])) >= 2
        assert np.unique(tree).tolist() == list(range(size.size))
        for at, name in enumerate(("cluster", "cluster_medium", "cluster_coarse")):
            labels = np.load(built / f"columns/{name}.npy")
            np.testing.assert_array_equal(labels, tree[at][fine])
            present, count = np.unique(labels, return_counts=True)
            np.testing.assert_array_equal(size[present], count)
            assert (np.diff(size[present]) <= 0).all()
        for one in set(tree[1]):
            assert np.unique(tree[2][tree[1] == one]).size == 1

    def test_groups_that_stand_apart_are_stable(self, built):
        stability = np.load(built / "clusters/stability.npy")
        assert (stability[np.load(built / "clusters/tree.npy")[0]] > 0.75).all()
        np.testing.assert_allclose(cluster_scales.overlap(np.array([0, 0, 0, 1, -1]), np.array([1, 1, 0, 0, 2]), 3),
                                   [2 / 3, 1 / 2, 0])  # fmt: skip

    def test_noise_is_in_the_nearest_cluster_and_marked(self, built):
        assert set(np.load(built / "columns/cluster_place.npy")) <= {0, 1}
        places = np.array([[0, 0], [1, 0], [9, 0], [8.5, 0], [5.2, 0]], dtype=np.float32)
        labels = np.array([0, 0, 1, -1, -1], dtype=np.int16)
        assert cluster_scales.without_noise(places, labels).tolist() == [0, 0, 1, 1, 1]

    def test_centroids_and_medoids_are_what_numpy_finds(self, built, survey, monkeypatch):
        monkeypatch.setattr(clusters, "CHUNK_ROWS", 100)
        stored, labels = survey[0].astype(np.float64), np.load(built / "columns/cluster.npy")
        centroids, tree = np.load(built / "clusters/centroids.npy"), np.load(built / "clusters/tree.npy")
        medoids = np.load(built / "clusters/medoid.npy")
        for label, (centroid, medoid) in enumerate(zip(centroids, medoids, strict=True)):
            members = np.flatnonzero(tree[(tree == label).any(axis=1)][0][labels] == label)
            mean = stored[members].mean(axis=0)
            np.testing.assert_allclose(centroid, mean / np.linalg.norm(mean), atol=1e-6)
            assert medoid == members[np.argmax(stored[members] @ centroid)]
        np.testing.assert_array_equal(np.load(built / "clusters/map_xy.npy"), positions(built)[medoids])
        np.testing.assert_array_equal(clusters.cluster_medoids(survey[0], labels, centroids, tree), medoids)

    def test_no_cluster_is_most_of_the_map(self):
        # A continent of four countries and an island: by excess of mass alone the continent would be the cluster.
        rng = np.random.default_rng(0)
        countries = [rng.normal((2.6 * x, 2.6 * y), 0.6, (220, 2)) for x, y in ((0, 0), (1, 0), (0.5, 0.9), (1.5, 0.9))]
        positions = np.concatenate([*countries, rng.normal(20, 0.5, (80, 2))]).astype(np.float32)
        labels = clusters.cluster_anchors(positions, 25)
        assert labels.max() == 4
        for country in range(4):
            members = labels[220 * country : 220 * (country + 1)]
            assert np.bincount(members[members >= 0]).max() > 150

    def test_a_map_without_groups_has_no_clusters_and_still_builds(self, tmp_path, survey):
        ctx = build(tmp_path, survey[0][:12])
        assert (np.load(ctx.space / "columns/cluster.npy") == -1).all()
        assert np.load(ctx.space / "clusters/size.npy").shape == (0,)
        assert np.load(ctx.space / "clusters/centroids.npy").shape == (0, survey[0].shape[1])

    @pytest.mark.parametrize(
        ("asked", "anchors", "rows", "size"),
        [(0, 50_000, 1_000_000, 16), (0, 960, 960, 25), (0, 200, 200, 10), (0, 20, 20, 5), (7, 960, 960, 7)],
    )
    def test_the_smallest_cluster_is_an_island_that_the_subsample_grants(self, asked, anchors, rows, size):
        assert clusters.smallest_cluster(asked, anchors, rows, 15) == size


class TestAnomalies:
    def test_knn_score_is_the_mean_cosine_distance_to_the_ten_nearest(self, built, survey):
        stored = survey[0].astype(np.float64)
        stored /= np.linalg.norm(stored, axis=1, keepdims=True)
        products = stored @ stored.T
        np.fill_diagonal(products, -np.inf)
        expected = np.maximum(1 - np.sort(products, axis=1)[:, -10:], 0).mean(axis=1)
        # ScaNN misses a neighbour of a few rows.
        assert np.mean(np.abs(np.load(built / "columns/anomaly_knn.npy") - expected) < 1e-5) > 0.9

    def test_outliers_come_first(self, built):
        true = np.arange(N - OUTLIERS, N)
        by_knn = np.argsort(-np.load(built / "columns/anomaly_knn.npy"))
        assert np.isin(by_knn[:OUTLIERS], true).mean() > 0.95
        by_neighbors = np.argsort(-np.load(built / "columns/anomaly_neighbors.npy"))
        assert np.isin(by_neighbors[:OUTLIERS], true).mean() > 0.95
        by_default = np.argsort(-np.load(built / "columns/anomaly.npy"), kind="stable")
        assert np.isin(by_default[:OUTLIERS], true).mean() > 10 * OUTLIERS / N
        np.testing.assert_array_equal(np.load(built / "map/outliers.npy"), by_default[:20])

    def test_the_outlier_layer_holds_the_farthest_rows_in_order(self):
        distance = np.random.default_rng(0).random(10_000).astype(np.float32)
        np.testing.assert_array_equal(anomalies.outlier_rows(distance), np.argsort(-distance)[:50])
        assert anomalies.outlier_rows(distance[:960]).size == 20
        assert anomalies.outlier_rows(distance[:7]).size == 7
        assert anomalies.outlier_rows(np.zeros(2_000_000, dtype=np.float32)).size == 5_000

    def test_no_distance_is_negative_where_rounding_makes_a_row_more_than_equal(self):
        np.testing.assert_array_equal(knn.mean_distance(np.full((3, 10), 1.0004, dtype=np.float32)), 0)


def test_the_index_of_the_build_serves_searches(built, survey):
    opened = open_index(built / layout.INDEX, survey[0])
    assert (opened.name, opened.n_rows) == ("scann", N)
