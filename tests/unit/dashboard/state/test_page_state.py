"""The state of the page: how events change it, what a link holds, which panels a change concerns."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from atlas.catalog.columns import Columns
from atlas.errors import InputError
from atlas.queries.selection import (
    All,
    And,
    Category,
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
from dashboard.cache.content_store import KeptFiles
from dashboard.state import url as links
from dashboard.state.events import (
    Change,
    Clear,
    ClearExamples,
    ClearFilters,
    Drawn,
    Example,
    Express,
    Focus,
    Group,
    Invert,
    Keep,
    Open,
    OpenCluster,
    SetAxes,
    SetFilter,
    SetTable,
    ViewMap,
    WithSubset,
    reduce,
)
from dashboard.state.page_state import (
    MOST_SUBSETS,
    Axes,
    Galaxy,
    Shading,
    SkyView,
    State,
    Subset,
    Table,
    Viewport,
    active,
    has_examples,
    is_narrowed,
    is_step,
    parts,
)
from dashboard.views.choices import order_shown, orders

A, B = Galaxy("1-2-3", 10.0, -5.0), Galaxy("1-2-4", 11.0, -5.5)
TRIANGLE = ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0))
TAN = Projection("tan", 53.0, -27.0)

full_states = st.builds(
    State,
    focus=st.sampled_from([None, A, B]),
    wanted=st.sampled_from([(), (A,), (A, B)]),
    unwanted=st.sampled_from([(), (B,)]),
    group=st.sampled_from([None, Cluster("v1", 3), And((MapPolygon("v1", TRIANGLE), Range("mag_r", high=18)))]),
    selection=st.sampled_from([All(), MapPolygon("v1", TRIANGLE), SkyPolygon(TAN, TRIANGLE), Cluster("v1", 3)]),
    order=st.sampled_from(["most", "least", "anomaly_knn", "random"]),
    exact=st.booleans(),
    within=st.booleans(),
    shown=st.sampled_from([16, 24, 100]),
    map=st.sampled_from([None, Viewport(0, 1, 0, 1)]),
    sky=st.sampled_from([None, SkyView(TAN, Viewport(-1, 1, -1, 1))]),
    filters=st.sampled_from([(), (Range("mag_r", 14.0, 18.0),), (Category("type", ("DEV",)), Range("z", None, 0.3))]),
    expression=st.sampled_from(["", "mag_r < 18 & z_phot > 0.1"]),
    subsets=st.sampled_from([(), (Subset("mergers", Cluster("v1", 2), 1),)]),
    axes=st.sampled_from([None, Axes("z_phot", "mag_r")]),
    paint=st.sampled_from(["points", "mean"]),
    listing=st.sampled_from(["gallery", "table"]),
    table=st.sampled_from([Table(), Table(("mag_r", "z_phot"), "mag_r", True)]),
    color=st.sampled_from(["density", "z_phot"]),
    shading=st.sampled_from(
        [Shading(), Shading("magma", True, 90, -1e-17, 1e43, False), Shading(low=str(2**60), high=str(2**60 + 1))]
    ),
    light=st.booleans(),
    enlarged=st.sampled_from(["", "map"]),
)


@given(full_states)
def test_a_link_holds_the_whole_state(state: State) -> None:
    token = links.to_token(state)
    assert links.from_token(token) == state
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def test_colours_are_chosen_for_a_column_and_a_link_without_them_opens() -> None:
    chosen = Shading("cividis", reversed=True, span=50, low=1.0, log=True)
    state = reduce(State(color="z_phot"), Change(shading=chosen))
    assert state.shading == chosen and not is_step(State(color="z_phot"), state)
    assert reduce(state, Change(color="z_phot")).shading == chosen
    assert reduce(state, Change(color="mag_r")).shading == Shading("cividis", reversed=True, span=50)
    assert parts(state)["map"].shading == parts(state)["sky"].shading == chosen
    assert parts(state)["gallery"].shading == parts(replace(state, color="density"))["map"].shading == Shading()
    assert links.from_json('{"color":"z_phot"}').shading == Shading()


@given(full_states)
def test_a_long_state_is_kept_and_found_by_its_hash(tmp_path_factory: pytest.TempPathFactory, state: State) -> None:
    kept = KeptFiles(tmp_path_factory.getbasetemp() / "kept", 1000)
    link = links.to_link(state, kept, 20)
    assert len(link) <= 25
    assert links.from_link(link, kept) == state
    assert links.to_link(state, kept, 6000) == links.to_token(state)


def test_a_link_to_what_is_not_kept_is_refused_in_words(tmp_path: Path) -> None:
    kept = KeptFiles(tmp_path / "kept", 1000)
    for link in ("~" + "0" * 24, "~", "~../../etc/passwd", "~xyz"):
        with pytest.raises(InputError, match="kept"):
            links.from_link(link, kept)
    name = kept.put(b"{}")
    (tmp_path / "kept" / f"{name}.kept").write_bytes(b"forged")
    with pytest.raises(InputError, match="kept"):
        kept.get(name)


def test_kept_states_are_bounded_and_the_longest_unused_go(tmp_path: Path) -> None:
    kept = KeptFiles(tmp_path / "kept", 40)
    first = kept.put(b"first")
    for i in range(100):
        kept.put(str(i).encode())
    assert len(list((tmp_path / "kept").iterdir())) <= 44
    with pytest.raises(InputError):
        kept.get(first)
    assert kept.get(kept.put(b"99")) == b"99"


@given(full_states)
def test_opening_a_state_forgets_the_one_before(state: State) -> None:
    assert reduce(State(focus=B, color="z_phot"), Open(state)) == reduce(State(), Open(state))
    assert parts(reduce(State(focus=B), Open(state)))["map"] == parts(state)["map"]


@pytest.mark.parametrize("token", ["x", "!!!", "AAAA", "é", links.to_token(State(focus=A))[:-4], "S0pNTi0BAA" * 50])
def test_a_damaged_link_is_refused_in_words(token: str) -> None:
    with pytest.raises(InputError):
        links.from_token(token)


def test_a_link_cannot_unpack_to_more_than_a_state_may_be() -> None:
    import base64
    import zlib

    bomb = zlib.compress(b" " * 50_000_000, wbits=-15)
    with pytest.raises(InputError, match="too long"):
        links.from_token(base64.urlsafe_b64encode(bomb).rstrip(b"=").decode())


def test_the_page_as_it_opens_needs_no_token() -> None:
    assert links.to_token(State()) == ""
    assert links.from_token("") == State()


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


OTHER = ((5.0, 5.0), (6.0, 5.0), (5.0, 6.0))
ONE, TWO = MapPolygon("v1", TRIANGLE), MapPolygon("v1", OTHER)


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


def test_another_plane_opens_with_its_own_view() -> None:
    state = State(map=Viewport(0, 1, 0, 1))
    against = reduce(state, SetAxes(Axes("z_phot", "mag_r")))
    assert (against.axes, against.map) == (Axes("z_phot", "mag_r"), None)
    assert reduce(state, SetAxes(None)) == state
    assert is_step(state, against)


def test_sorting_the_table_needs_no_new_table() -> None:
    state = State(listing="table")
    after = reduce(state, SetTable(Table((), "mag_r", True)))
    assert parts(after)["table"] == parts(state)["table"]
    assert parts(reduce(state, SetTable(Table(("mag_r",)))))["table"] != parts(state)["table"]
    assert parts(State())["table"] == parts(State(focus=A))["table"], "a gallery's page makes no tables"


def test_panning_is_no_step_of_the_history_and_a_new_question_is() -> None:
    state = State(focus=A)
    assert not is_step(state, reduce(state, ViewMap(Viewport(0, 1, 0, 1))))
    assert not is_step(state, reduce(state, Change(light=True)))
    assert is_step(state, reduce(state, Drawn(MapPolygon("v1", TRIANGLE))))
    assert is_step(state, reduce(state, Focus(B)))


def test_a_panel_is_concerned_only_by_what_it_depends_on() -> None:
    def concerned(before: State, after: State) -> set[str]:
        old, new = parts(before), parts(after)
        return {name for name in new if new[name] != old[name]}

    state = State(focus=A)
    assert "map" not in concerned(state, reduce(state, Focus(B)))
    assert concerned(state, reduce(state, ViewMap(Viewport(0, 1, 0, 1)))) == {"map"}
    assert {"map", "sky", "gallery"} <= concerned(state, reduce(state, Drawn(MapPolygon("v1", TRIANGLE))))
    assert concerned(state, reduce(state, Change(enlarged="map"))) == {"page"}


def test_clear_drops_the_selection_first_and_then_all_else_that_narrows() -> None:
    filtered = State(filters=(Range("mag_r", None, 1.0),), expression="mag_r < 2")
    lassoed = reduce(filtered, Drawn(MapPolygon("v1", TRIANGLE)))
    assert (once := reduce(lassoed, Clear())).filters == filtered.filters and once.selection == All()
    assert active(reduce(once, Clear())) == All()
