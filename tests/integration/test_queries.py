"""Questions to a real atlas with a real index, each beside its oracle in numpy or astropy."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
import shapely
from astropy.coordinates import SkyCoord

from atlas import (
    All,
    And,
    Atlas,
    Bits,
    ByColumn,
    Category,
    Cluster,
    Cone,
    Expression,
    Given,
    InputError,
    MapPolygon,
    Not,
    Or,
    Query,
    Range,
    Rows,
    Shuffled,
    Similar,
    SimilarToGroup,
    SkyPolygon,
    Typical,
)
from atlas.errors import NothingNearError
from atlas.mask import Mask
from atlas.queries import planner
from atlas.queries.by_value import top_of_column
from atlas.queries.feedback import embedding_of_examples
from atlas.queries.planner import OVER_FETCH, SUBSET_ROWS
from atlas.queries.query import canonical_query
from atlas.queries.selection import Selection, encode_selection
from atlas.queries.selection import canonical as canonical_selection
from atlas.search.approximate import candidate_rows
from atlas.search.index import SearchSetting
from atlas.sky.projection import Projection


def cosines(atlas: Atlas, q: np.ndarray, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
    """Similarity of stored rows to a query."""
    stored = np.asarray(atlas.space().embeddings[rows], dtype=np.float32)
    return stored @ q / (np.linalg.norm(stored, axis=1) * np.linalg.norm(q))


def truth(
    atlas: Atlas, q: np.ndarray, k: int, inside: np.ndarray | None = None, skip: tuple[int, ...] = ()
) -> np.ndarray:
    scores = cosines(atlas, q)
    if inside is not None:
        scores[~inside] = -np.inf
    scores[list(skip)] = -np.inf
    return np.lexsort((np.arange(scores.size), -scores))[:k]


def embedding(atlas: Atlas, row: int) -> np.ndarray:
    return np.asarray(atlas.space().embeddings[row], dtype=np.float32)


def query(ranking: object, **more: object) -> Query:
    return Query(space="v1", ranking=ranking, **more)  # type: ignore[arg-type]


def test_scores_are_cosines_sorted_and_no_row_comes_twice(small: Atlas) -> None:
    rng = np.random.default_rng(0)
    for row in rng.choice(small.n_rows, 40, replace=False).tolist():
        result = small.run(query(Similar((row,)), limit=300))
        assert result.method == "index"
        assert np.allclose(
            result.scores, cosines(small, embedding(small, row), result.rows.astype(np.int64)), atol=1e-5
        )
        assert (np.diff(result.scores) <= 0).all()
        assert np.unique(result.rows).size == result.rows.size == 300
        assert row not in result.rows


@pytest.mark.parametrize("k", [10, 100, 1_000])
def test_a_search_of_as_many_as_were_measured_is_judged_by_that(small: Atlas, k: int) -> None:
    # Its own example is no part of the answer, nor was it of those measured.
    result = small.run(Query(space="v1", ranking=Similar((5,)), limit=k))
    assert result.recall is not None and result.recall.k == k


def test_recall_is_what_the_manifest_says(small: Atlas) -> None:
    """Over fresh queries, not those that were measured; exact search is the truth."""
    rng = np.random.default_rng(99)
    k = 100
    hits, said = [], set()
    for row in rng.choice(small.n_rows, 150, replace=False).tolist():
        result = small.run(query(Similar((row,)), limit=k - 1, with_examples=False))
        best = truth(small, embedding(small, row), k - 1, skip=(row,))
        hits.append(np.isin(best, result.rows).mean())
        assert result.recall is not None
        said.add(result.recall.mean)
    assert len(said) == 1
    assert abs(float(np.mean(hits)) - said.pop()) < 0.02


def test_exact_equals_numpy(small: Atlas) -> None:
    rng = np.random.default_rng(1)
    for row in rng.choice(small.n_rows, 10, replace=False).tolist():
        result = small.run(query(Similar((row,)), limit=200, exact=True))
        assert result.exact and result.recall is None
        best = truth(small, embedding(small, row), 200, skip=(row,))
        expected = cosines(small, embedding(small, row), best)
        assert np.allclose(result.scores, expected, atol=1e-5)
        assert np.isin(best, result.rows).mean() > 0.99  # ties within float32's rounding may swap at the end


def test_least_similar_turns_the_order_round(small: Atlas) -> None:
    result = small.run(query(Similar((7,), least=True), limit=50, exact=True))
    best = truth(small, -embedding(small, 7), 50)
    assert np.allclose(result.scores, cosines(small, embedding(small, 7), best), atol=1e-5)
    assert (np.diff(result.scores) >= 0).all()


def test_examples_are_the_mean_of_the_wanted_turned_from_the_unwanted(small: Atlas) -> None:
    wanted, unwanted = (5, 9, 30), (100, 7)
    good, bad = (np.array([embedding(small, r) for r in rows]) for rows in (wanted, unwanted))
    result = small.run(query(Similar(wanted, unwanted), limit=50, exact=True))
    best = truth(small, embedding_of_examples(good, bad), 50, skip=wanted + unwanted)
    assert np.isin(best, result.rows).mean() > 0.97
    assert not set(wanted + unwanted) & set(result.rows.tolist())


def test_a_group_counts_as_one_example_by_its_mean(small: Atlas) -> None:
    group, brighter = Cluster("v1", 0), Range("mag_r", high=19)
    held = np.asarray(small.mask(group).dense)
    q = np.asarray(small.space().embeddings, dtype=np.float64)[held].mean(axis=0)
    alone = small.run(query(SimilarToGroup((), group=group), selection=Not(group) & brighter, limit=60, exact=True))
    inside = small.mask(brighter).dense & ~held
    assert np.isin(truth(small, q.astype(np.float32), 60, inside), alone.rows).mean() > 0.97
    assert alone.total == inside.sum() and not held[alone.rows].any()
    both = SimilarToGroup((5,), (9,), group=group)
    mean = q / np.linalg.norm(q)
    asked = embedding_of_examples(np.stack([mean, embedding(small, 5)]), embedding(small, 9)[None])
    found = small.run(query(both, limit=60, exact=True)).rows
    assert np.isin(truth(small, asked, 60, skip=(5, 9)), found).mean() > 0.97
    with pytest.raises(InputError, match="holds none"):
        small.run(query(SimilarToGroup((), group=Range("mag_r", high=-100))))


def test_examples_that_say_nothing_are_refused_in_words(small: Atlas) -> None:
    with pytest.raises(InputError, match="row 5 is both wanted and unwanted"):
        small.run(query(Similar((5, 6), (5,))))
    with pytest.raises(InputError, match="at least one"):
        small.run(query(Similar(())))
    with pytest.raises(InputError, match="does not exist"):
        small.run(query(Similar((small.n_rows,))))


def test_a_given_embedding_must_have_the_right_width(small: Atlas) -> None:
    with pytest.raises(InputError, match="128 numbers, 3 were given"):
        small.run(query(Given((1.0, 2.0, 3.0))))
    result = small.run(query(Given(tuple(embedding(small, 3).tolist())), limit=1, exact=True))
    assert result.rows.tolist() == [3]


def test_a_cluster_lists_its_members_most_typical_first(small: Atlas) -> None:
    info = small.space().clusters[0]
    result = small.run(query(Typical(0), selection=Cluster("v1", 0), limit=100))
    labels = small.columns("v1").array("cluster")
    assert (labels[result.rows] == 0).all()
    assert result.total == info.size == int((labels == 0).sum())
    best = truth(small, np.asarray(info.centroid, dtype=np.float32), 100, inside=np.asarray(labels) == 0)
    assert np.isin(best, result.rows).mean() > 0.98
    assert int(result.rows[0]) == info.medoid


def test_similarity_inside_a_selection_is_right_at_any_selectivity(large: Atlas) -> None:
    """From a handful of rows to most of them, and where the query's neighbours all lie outside."""
    row = 12_345
    # Compared as numpy compares: a bound is rounded to the column's own precision.
    z = np.asarray(large.columns().array("mag_r"))
    everything = cosines(large, embedding(large, row))
    far = float(np.quantile(everything, 0.3))
    selections: list[tuple[Selection, np.ndarray]] = [
        (Range("mag_r", None, float(np.quantile(z, q))), z <= float(np.quantile(z, q))) for q in (1e-5, 1e-3, 0.05, 0.6)
    ]
    # The farthest 30 %: none of the query's 64,000 nearest is among them.
    farthest = np.flatnonzero(everything < far)
    for selection, inside in selections:
        result = large.run(query(Similar((row,)), selection=selection, limit=50))
        scores = np.where(inside, everything, -np.inf)
        scores[row] = -np.inf
        best = np.argsort(-scores, kind="stable")[:50]
        best = best[np.isfinite(scores[best])]
        assert np.isin(result.rows, np.flatnonzero(inside)).all()
        assert np.isin(best, result.rows).mean() >= 0.97
        assert result.total == int(inside.sum()) - int(inside[row])
    mask = np.zeros(large.n_rows, dtype=bool)
    mask[farthest] = True
    assert farthest.size > SUBSET_ROWS
    result = large.run(query(Similar((row,)), selection=Not(All()), limit=50), Mask.from_dense(mask))
    best = farthest[np.argsort(-everything[farthest], kind="stable")[:50]]
    assert result.method == "exact"
    assert np.isin(best, result.rows).mean() >= 0.98


@pytest.mark.parametrize("subset_rows", [SUBSET_ROWS, 1_000])
@pytest.mark.parametrize("share", [0.001, 0.01, 0.1, 0.5, 0.7])
def test_the_rows_least_like_the_query_are_ranked_as_numpy_ranks_them(
    large: Atlas, monkeypatch: pytest.MonkeyPatch, share: float, subset_rows: int
) -> None:
    """On the selected rows alone, and where the index is tried first: none of its 64,000 candidates is selected."""
    monkeypatch.setattr(planner, "SUBSET_ROWS", subset_rows)
    row, wanted = 12_345, 50
    scores = cosines(large, embedding(large, row))
    order = np.argsort(scores, kind="stable")
    least = order[: int(share * large.n_rows)]
    nearest = candidate_rows(large.space().index, embedding(large, row), SearchSetting(2_000, OVER_FETCH[-1]))
    own = np.setdiff1d(nearest, large.space().index.isolated)
    assert own.size > 60_000 and not np.isin(own, least).any()
    mask = Mask.from_rows(least, large.n_rows)
    result = large.run(query(Similar((row,)), selection=Range("ra"), limit=wanted), mask)
    best = least[np.lexsort((least, -scores[least]))][:wanted]
    assert result.method == ("exact on the selection" if least.size <= subset_rows else "exact")
    assert result.total == least.size and result.recall is None
    assert np.allclose(result.scores, scores[best], atol=1e-5)
    assert (result.scores[np.isin(result.rows, best, invert=True)] <= scores[best[-1]] + 1e-5).all()
    assert np.isin(result.rows, least).all()


def test_selections_are_exact_over_all_rows(small: Atlas) -> None:
    columns = small.columns()
    mag = np.asarray(columns.array("mag_r"))
    z_spec = np.asarray(columns.array("z_spec"))
    kind = columns.describe("source_type")
    codes = np.asarray(columns.array("source_type"))
    bright = mag < 17
    rex = codes == kind.vocabulary.index("REX")
    cases: list[tuple[Selection, np.ndarray]] = [
        (All(), np.ones(small.n_rows, dtype=bool)),
        (Rows((5, 3, 5, 19_999)), np.isin(np.arange(small.n_rows), [3, 5, 19_999])),
        (Range("mag_r", high=float(np.nextafter(np.float32(17), np.float32(0)))), bright),
        (Range("z_spec"), ~np.isnan(z_spec)),
        (Category("source_type", ("REX",)), rex),
        (And((Range("mag_r", None, 16.9), Category("source_type", ("REX",)))), (mag <= 16.9) & rex),
        (Or((Range("mag_r", None, 16.9), Category("source_type", ("REX",)))), (mag <= 16.9) | rex),
        (Not(Category("source_type", ("REX",))), ~rex),
        (Expression('mag_r < 17 & source_type == "REX" | missing(z_spec)'), bright & rex | np.isnan(z_spec)),
        (And((Expression("mag_r < 17"), Not(Expression('source_type == "REX"')))), bright & ~rex),
    ]
    for selection, expected in cases:
        mask = small.mask(selection)
        assert mask.count == expected.sum(), selection
        assert np.array_equal(mask.dense, expected), selection


def test_columns_of_the_default_space_select_too(small: Atlas) -> None:
    columns = small.columns("v1")
    trust, anomaly, label = (np.asarray(columns.array(name)) for name in ("trust", "anomaly_knn", "cluster"))
    bound = float(np.median(anomaly))
    cases: list[tuple[Selection, np.ndarray]] = [
        (Range("anomaly_knn", low=bound), anomaly >= np.float32(bound)),
        (Range("trust", high=0.5), trust <= 0.5),
        (Expression(f"anomaly_knn >= {bound!r} & trust <= 0.5 & cluster != -1"),
         (anomaly >= np.float32(bound)) & (trust <= 0.5) & (label != -1)),
    ]  # fmt: skip
    for selection, expected in cases:
        assert np.array_equal(small.mask(selection).dense, expected), selection
        assert 0 < expected.sum() < small.n_rows


def test_a_lasso_on_the_map_counts_every_row_not_the_sample(large: Atlas) -> None:
    columns = large.columns("v1")
    x, y = (np.asarray(columns.array(name), dtype=np.float64) for name in ("map_x", "map_y"))
    middle_x, middle_y = np.median(x), np.median(y)
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    radius = np.quantile(np.hypot(x - middle_x, y - middle_y), 0.5) * (1 + 0.3 * np.sin(5 * angle))
    vertices = tuple(
        zip((middle_x + radius * np.cos(angle)).tolist(), (middle_y + radius * np.sin(angle)).tolist(), strict=True)
    )
    mask = large.mask(MapPolygon("v1", vertices))
    asked = canonical_query(query(Shuffled(), selection=MapPolygon("v1", vertices)))
    polygon = shapely.Polygon(asked.selection.vertices)  # type: ignore[union-attr]
    assert mask.count > 300_000
    assert mask.count == int(shapely.contains_xy(polygon, x, y).sum())


def test_a_cone_finds_what_astropy_finds(small: Atlas) -> None:
    ra, dec = np.asarray(small.columns().array("ra")), np.asarray(small.columns().array("dec"))
    sky = SkyCoord(ra * u.deg, dec * u.deg)
    seam = int(np.argmin(np.minimum(ra, 360 - ra)))
    top = int(np.argmax(np.abs(dec)))
    for row, radius in ((0, 600.0), (seam, 7200.0), (top, 36_000.0), (17, 5.0)):
        separation = sky.separation(sky[row]).arcsec
        mask = small.mask(Cone(float(ra[row]), float(dec[row]), radius))
        assert np.array_equal(mask.dense, separation <= radius)


def test_a_lasso_on_the_sky_finds_what_its_projection_says(small: Atlas) -> None:
    ra, dec = np.asarray(small.columns().array("ra")), np.asarray(small.columns().array("dec"))
    projection = Projection("tan", float(ra[0]), float(dec[0]))
    vertices = ((-6.0, -4.0), (5.0, -5.0), (7.0, 3.0), (-2.0, 6.0))
    x, y = projection.forward(ra, dec)
    inside = shapely.contains_xy(shapely.Polygon(vertices), np.nan_to_num(x, nan=1e9), np.nan_to_num(y, nan=1e9))
    mask = small.mask(SkyPolygon(projection, vertices))
    assert mask.count > 10
    assert np.array_equal(mask.dense, inside)


def test_equal_questions_have_one_form_and_one_receipt(small: Atlas) -> None:
    a, b = Range("mag_r", None, 17.0), Category("source_type", ("REX", "DEV"))
    triangle = ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0))
    turned = (triangle[1], triangle[2], triangle[0])
    same = [
        (And((a, b)), And((b, a, a))),
        (And((a, And((b, All())))), And((a, b))),
        (Not(Not(a)), a),
        (Or((a, Not(All()))), a),
        (And((a, Not(All()))), Not(All())),
        (MapPolygon("v1", triangle), MapPolygon("v1", turned)),
        (MapPolygon("v1", triangle), MapPolygon("v1", triangle[::-1])),
        (Category("source_type", ("DEV", "REX")), b),
        (Expression("mag_g-mag_r>.8 and (z_phot)<0.3"), Expression("mag_g - mag_r > 0.8 & z_phot < 0.3")),
    ]
    for one, other in same:
        first, second = (canonical_query(query(Similar((3, 1)), selection=s)) for s in (one, other))
        assert encode_selection(first.selection) == encode_selection(second.selection)
    one, other = (small.run(query(Similar(rows), limit=5)) for rows in ((1, 3), (3, 1)))
    assert one.receipt == other.receipt
    assert small.run(query(Similar((1, 3)), limit=6)).receipt != one.receipt


def test_what_the_atlas_does_not_have_is_named(small: Atlas) -> None:
    for selection, message in (
        (Range("mag_x"), "did you mean"),
        (Category("source_type", ("XYZ",)), "it has"),
        (Rows((10**6,)), "does not exist"),
        (Range("source_type"), "not numbers"),
        (MapPolygon("v9", ((0, 0), (1, 0), (0, 1))), "no space"),
        (Range("mag_r", 5, 1), "reversed"),
        (Expression("mag_x < 3"), "did you mean"),
        (Expression("mag_r <"), "ends where a value"),
    ):
        with pytest.raises(InputError, match=message):
            small.mask(selection)


def test_a_column_orders_rows_missing_last_ties_by_row(small: Atlas) -> None:
    z = np.asarray(small.columns().array("z_spec"), dtype=np.float64)
    for descending in (True, False):
        result = small.run(query(ByColumn("z_spec", descending), limit=500))
        key = np.where(np.isnan(z), np.inf, -z if descending else z)
        assert np.array_equal(result.rows, np.lexsort((np.arange(z.size), key))[:500])
    values = np.array([1, 1, np.nan, 3, 1, 2], dtype=np.float32)
    rows, found = top_of_column(values, 6, descending=False, mask=None)
    assert rows.tolist() == [0, 1, 4, 5, 3, 2]
    assert np.isnan(found[-1])


def test_pages_join_without_gap_or_overlap(small: Atlas) -> None:
    whole = small.run(query(Similar((11,)), limit=90)).rows
    parts = [small.run(query(Similar((11,)), offset=i, limit=30)).rows for i in (0, 30, 60)]
    assert np.array_equal(np.concatenate(parts), whole)


def test_a_shuffle_is_fair_and_repeats(small: Atlas) -> None:
    one, again, other = (small.run(query(Shuffled(seed), limit=4000)).rows for seed in (1, 1, 2))
    assert np.array_equal(one, again) and not np.array_equal(one, other)
    assert np.unique(one).size == 4000
    assert abs(float((one < small.n_rows / 2).mean()) - 0.5) < 0.03


def test_an_empty_selection_answers_with_nothing(small: Atlas) -> None:
    for ranking in (Similar((0,)), ByColumn("mag_r"), Shuffled()):
        result = small.run(query(ranking, selection=Range("mag_r", 90, 91)))
        assert result.rows.size == 0 and result.total == 0


def test_the_notebook_takes_positions_ids_and_rows(demo: Atlas) -> None:
    ra, dec = demo.position(3)
    by_position = demo.similar(ra_deg=ra, dec_deg=dec, k=10)
    by_text = demo.similar(f"{ra:.7f} {dec:+.7f}", k=10)
    by_id = demo.similar(id=demo.identity.name(3), k=10)
    assert by_position.index.tolist() == by_text.index.tolist() == by_id.index.tolist()
    assert by_position["similarity"].is_monotonic_decreasing
    assert {"ra", "dec", "cluster"} <= set(by_position.columns)


def test_nothing_near_says_how_far_the_nearest_is(demo: Atlas) -> None:
    ra, dec = demo.position(0)
    with pytest.raises(NothingNearError, match="away") as error:
        demo.nearest(ra, dec + 0.2, 5.0)
    assert error.value.row is not None and error.value.separation_arcsec is not None
    with pytest.raises(NothingNearError, match="° away") as error:
        demo.nearest(ra + 90, -dec, 5.0)
    columns = demo.columns()
    sky = SkyCoord(np.asarray(columns.array("ra")) * u.deg, np.asarray(columns.array("dec")) * u.deg)
    separation = sky.separation(SkyCoord((ra + 90) * u.deg, -dec * u.deg)).arcsec
    assert error.value.separation_arcsec == pytest.approx(float(separation.min()))
    assert error.value.row == int(np.argmin(separation))


@pytest.mark.parametrize(
    ("on", "off", "text"),
    [
        ((1,), (), "bit(maskbits, 1)"),
        ((), (11,), "~bit(maskbits, 11)"),
        ((11,), (1, 12), "bit(maskbits, 11) & ~bit(maskbits, 1) & ~bit(maskbits, 12)"),
        ((), (1, 11, 12), "maskbits == 0"),
        ((5,), (), "maskbits < 0"),
    ],
)
def test_bits_of_flags_are_those_of_numpy_and_of_the_condition(
    small: Atlas, on: tuple[int, ...], off: tuple[int, ...], text: str
) -> None:
    values = np.asarray(small.columns().array("maskbits")).astype(np.int64)
    expected = np.ones(small.n_rows, dtype=bool)
    for bits, wanted in ((on, 1), (off, 0)):
        for bit in bits:
            expected &= (values >> bit & 1) == wanted
    found = small.mask(Bits("maskbits", on, off))
    assert np.array_equal(found.dense, expected)
    assert np.array_equal(found.packed, small.mask(Expression(text)).packed)
    assert np.array_equal(small.mask(~Bits("maskbits", on, off)).dense, ~expected)


def test_bits_have_one_form_and_say_what_is_wrong(small: Atlas) -> None:
    assert canonical_selection(Bits("m", (3, 1, 3), (2,))) == Bits("m", (1, 3), (2,))
    assert canonical_selection(Bits("m")) == All()
    for wrong, told in (
        (Bits("maskbits", (1,), (1,)), "bit 1 of 'maskbits' cannot be both set and not set"),
        (Bits("maskbits", (40,)), "this column has bits 0 to 15"),
        (Bits("mag_r", (1,)), "whole numbers"),
        (Bits("maskbit", (1,)), "did you mean 'maskbits'"),
    ):
        with pytest.raises(InputError, match=told):
            small.mask(wrong)
