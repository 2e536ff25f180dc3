"""What becomes of the state of the page as things happen to it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from atlas.catalog.columns import Columns
from atlas.errors import InputError
from atlas.queries.selection import (
    All,
    And,
    Cluster,
    Expression,
    MapPolygon,
    Not,
    Or,
    Range,
    SkyPolygon,
    canonical,
)
from atlas.sky.projection import Projection
from atlas.storage.manifest import Column
from dashboard.events.filters import ClearFilters, Express, SetFilter
from dashboard.events.galaxies import ClearExamples, Example, Focus, Weighed
from dashboard.events.page import Change
from dashboard.events.planes import SetTable
from dashboard.events.registry import reduce
from dashboard.events.selections import Clear, Drawn, Group, Invert, OpenCluster
from dashboard.events.subsets import Keep, WithSubset
from dashboard.state.page_state import (
    MOST_SUBSETS,
    Galaxy,
    State,
    Table,
    active,
    has_examples,
    is_narrowed,
)
from dashboard.views.choices import order_shown, orders

A, B, C = (Galaxy(f"1-2-{3 + i}", 10.0 + i, -5.0 - i / 2) for i in range(3))
TRIANGLE = ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0))
TAN = Projection("tan", 53.0, -27.0)
OTHER = ((5.0, 5.0), (6.0, 5.0), (5.0, 6.0))
ONE, TWO = MapPolygon("v1", TRIANGLE), MapPolygon("v1", OTHER)


def test_choosing_a_galaxy_from_the_anomalies_asks_what_is_like_it() -> None:
    after = reduce(State(order="anomaly_knn"), Focus(A))
    assert (after.focus, after.order) == (A, "most")


def test_choosing_a_galaxy_among_the_least_similar_keeps_that_order() -> None:
    assert reduce(State(order="least", focus=B), Focus(A)).order == "least"


def test_an_example_is_wanted_or_unwanted_but_never_both() -> None:
    state = reduce(reduce(State(), Example(A, 1)), Example(A, -1))
    assert (state.wanted, state.unwanted) == ((), (A,))
    assert reduce(state, Example(A, 0)) == State()
    both = reduce(reduce(State(), Example(A, 1)), Example(B, -1))
    assert reduce(both, ClearExamples()) == State()


def test_the_galaxy_that_a_list_is_like_stays_an_example_beside_the_first_that_is_marked_in_it() -> None:
    alike = State(focus=A)
    assert reduce(alike, Example(B, 1)).wanted == (A, B)
    assert (reduce(alike, Example(B, -1)).wanted, reduce(alike, Example(B, -1)).unwanted) == ((A,), (B,))
    assert reduce(alike, Example(A, -1)).wanted == ()
    assert reduce(reduce(reduce(alike, Example(B, 1)), Example(A, 0)), Example(C, 1)).wanted == (B, C)
    assert reduce(State(focus=A, order="anomaly"), Example(B, 1)).wanted == (B,), "no list of what is like it"


def test_an_example_counts_as_often_as_was_said_and_is_dropped_at_once() -> None:
    state = State(wanted=(A, B), unwanted=(C,))
    heavy = reduce(state, Weighed(A.id, 3))
    assert heavy.wanted == (A, A, A, B) and heavy.unwanted == (C,)
    assert reduce(heavy, Weighed(A.id, 1)) == state
    assert reduce(heavy, Weighed("another", 2)) == heavy
    assert reduce(heavy, Example(A, 0)).wanted == (B,)


def test_a_lasso_replaces_the_selection_and_clear_removes_it() -> None:
    state = reduce(State(focus=A), Drawn(MapPolygon("v1", TRIANGLE)))
    state = reduce(state, Drawn(SkyPolygon(TAN, TRIANGLE)))
    assert state.selection == SkyPolygon(TAN, TRIANGLE)
    assert reduce(state, Clear()).selection == All()


def test_a_lasso_without_a_galaxy_shows_a_sample_of_it() -> None:
    assert reduce(State(), Drawn(MapPolygon("v1", TRIANGLE))).order == "random"
    assert reduce(State(focus=A), Drawn(MapPolygon("v1", TRIANGLE))).order == "most"


def test_an_order_that_has_lost_its_ground_gives_way() -> None:
    lasso = Drawn(MapPolygon("v1", TRIANGLE))
    without = reduce(reduce(reduce(State(), Example(A, 1)), lasso), ClearExamples())
    assert without.order == "random"
    assert reduce(reduce(State(), OpenCluster("v1", 2)), lasso).order == "random"
    assert reduce(reduce(State(), OpenCluster("v1", 2)), Change(order="most")).order == "random"


def test_a_sample_that_was_asked_for_stays_beside_a_galaxy() -> None:
    state = reduce(State(focus=A), Change(order="random"))
    assert state.order == "random"
    assert reduce(state, Drawn(MapPolygon("v1", TRIANGLE))).order == "random"
    assert reduce(reduce(state, Drawn(MapPolygon("v1", TRIANGLE))), Clear()).order == "random"
    alone = reduce(State(), Change(order="random"))
    assert (alone.order, reduce(alone, Clear()).order) == ("random", "most")


def test_the_order_that_was_chosen_last_is_the_one_that_holds() -> None:
    state = reduce(State(focus=A, listing="table"), SetTable(Table(("snr",), "snr", True)))
    assert order_shown(state) == "column"
    assert {"value": "column", "label": "By snr, high first"} in orders(state)
    snr = Column(name="snr", file="snr.npy", dtype="float32", kind="number", low="noisier", high="clearer")
    assert {"value": "column", "label": "By snr, clearer first"} in orders(state, Columns(Path(), (snr,), 1))
    state = reduce(state, Change(order="least"))
    assert (state.table, order_shown(state)) == (Table(("snr",)), "least")
    assert order_shown(State(listing="table")) == "catalogue"


def test_a_cluster_opens_with_its_most_typical_members() -> None:
    state = reduce(State(drawer="clusters", focus=A), OpenCluster("v1", 4))
    assert (state.selection, state.order, state.focus) == (Cluster("v1", 4), "typical", None)
    assert state.drawer == "clusters", "one click after the other"
    assert reduce(state, Clear()).order == "most"


def test_a_change_touches_only_what_it_names() -> None:
    before = State(focus=A, light=True)
    assert reduce(before, Change(exact=True)) == msgspec.structs.replace(before, exact=True)
    assert reduce(before, Change(light=False)).light is False


def test_shift_adds_a_lasso_and_alt_takes_it_away() -> None:
    first = reduce(State(), Drawn(ONE))
    assert reduce(first, Drawn(TWO, "add")).selection == canonical(Or((ONE, TWO)))
    assert reduce(first, Drawn(TWO, "subtract")).selection == canonical(And((ONE, Not(TWO))))
    assert reduce(State(), Drawn(ONE, "add")).selection == ONE
    assert reduce(State(), Drawn(ONE, "subtract")).selection == canonical(Not(ONE))


def test_all_that_is_selected_becomes_one_example_and_no_longer_narrows() -> None:
    narrowed = reduce(
        reduce(State(focus=A), Drawn(MapPolygon("v1", TRIANGLE))), SetFilter("mag_r", Range("mag_r", high=18))
    )
    grouped = reduce(narrowed, Group(True))
    assert grouped.group == canonical(active(narrowed)) and not is_narrowed(grouped)
    assert has_examples(replace(grouped, focus=None))
    assert reduce(grouped, Group(False)).group is None
    assert reduce(grouped, ClearExamples()).group is None
    with pytest.raises(InputError, match="nothing is selected"):
        reduce(State(), Group(True))


def test_a_selection_is_inverted_and_inverted_back() -> None:
    first = reduce(State(), Drawn(ONE))
    assert reduce(first, Invert()).selection == canonical(Not(ONE))
    assert reduce(reduce(first, Invert()), Invert()).selection == canonical(ONE)


def test_filters_expression_and_selection_are_joined_and_dropped_apart() -> None:
    bright, near = Range("mag_r", None, 18.0), Range("z_phot", 0.0, 0.1)
    state = reduce(reduce(State(), SetFilter("z_phot", near)), SetFilter("mag_r", bright))
    assert state.filters == (bright, near), "in order of their columns, so that equal filters are equal states"
    state = reduce(reduce(state, Express("snr > 5")), Drawn(ONE))
    assert active(state) == And((ONE, bright, near, Expression("snr > 5")))
    assert active(reduce(state, SetFilter("mag_r"))) == And((ONE, near, Expression("snr > 5")))
    assert active(reduce(state, ClearFilters())) == ONE
    assert active(reduce(reduce(state, ClearFilters()), Clear())) == All()
    assert reduce(state, SetFilter("mag_r", Range("mag_r", 15.0, 16.0))).filters[0] == Range("mag_r", 15.0, 16.0)


def test_a_filter_alone_shows_a_sample_of_what_passes_it() -> None:
    state = reduce(State(), SetFilter("mag_r", Range("mag_r", None, 18.0)))
    assert state.order == "random"
    assert reduce(state, ClearFilters()).order == "most"


def test_what_is_kept_has_a_colour_of_its_own_and_joins_the_selection() -> None:
    state = reduce(reduce(State(), Drawn(ONE)), Keep("one"))
    state = reduce(reduce(state, Drawn(TWO)), Keep("two"))
    assert [s.name for s in state.subsets] == ["one", "two"]
    assert len({s.color for s in state.subsets}) == 2
    assert state.color == "subsets"
    assert reduce(state, WithSubset(0, "select")).selection == canonical(ONE)
    assert reduce(state, WithSubset(0, "unite")).selection == canonical(Or((ONE, TWO)))
    assert reduce(state, WithSubset(0, "intersect")).selection == canonical(And((ONE, TWO)))
    assert reduce(state, WithSubset(0, "subtract")).selection == canonical(And((TWO, Not(ONE))))
    assert reduce(state, WithSubset(1, "show")).subsets[1].shown is False
    assert reduce(state, WithSubset(1, "rename", " spirals ")).subsets[1].name == "spirals"
    assert reduce(state, WithSubset(1, "rename", "  ")).subsets[1].name == "two"
    dropped = reduce(reduce(state, WithSubset(0, "drop")), WithSubset(0, "drop"))
    assert (dropped.subsets, dropped.color) == ((), "density")
    assert reduce(state, WithSubset(7, "drop")) == state


def test_a_subset_holds_its_filters_and_replaces_the_present_ones() -> None:
    bright = Range("mag_r", None, 18.0)
    state = reduce(reduce(reduce(State(), SetFilter("mag_r", bright)), Drawn(ONE)), Keep("bright ones"))
    state = reduce(state, WithSubset(0, "select"))
    assert (state.filters, state.selection) == ((), canonical(And((ONE, bright))))


def test_nothing_and_too_much_cannot_be_kept() -> None:
    with pytest.raises(InputError, match="nothing is selected"):
        reduce(State(), Keep("all"))
    state = reduce(State(), Drawn(ONE))
    for i in range(MOST_SUBSETS):
        state = reduce(state, Keep(f"number {i}"))
    with pytest.raises(InputError, match="drop one"):
        reduce(state, Keep("one more"))
    again = reduce(reduce(state, WithSubset(3, "drop")), Keep("in its place"))
    assert again.subsets[-1].color == 3, "a colour that became free is taken"


def test_clear_drops_the_selection_first_and_then_all_else_that_narrows() -> None:
    filtered = State(filters=(Range("mag_r", None, 1.0),), expression="mag_r < 2")
    lassoed = reduce(filtered, Drawn(MapPolygon("v1", TRIANGLE)))
    assert (once := reduce(lassoed, Clear())).filters == filtered.filters and once.selection == All()
    assert active(reduce(once, Clear())) == All()
