"""The state of the page: how events change it, what a link holds, which panels a change concerns."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.errors import InputError
from atlas.projection import Projection
from atlas.selection import All, Cluster, MapPolygon, SkyPolygon
from dashboard import links
from dashboard.state import (
    Box,
    Change,
    Clear,
    ClearExamples,
    Example,
    Focus,
    Galaxy,
    LassoMap,
    LassoSky,
    Open,
    OpenCluster,
    SkyView,
    State,
    ViewMap,
    is_step,
    parts,
    reduce,
)

A, B = Galaxy("1-2-3", 10.0, -5.0), Galaxy("1-2-4", 11.0, -5.5)
TRIANGLE = ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0))
TAN = Projection("tan", 53.0, -27.0)

full_states = st.builds(
    State,
    focus=st.sampled_from([None, A, B]),
    wanted=st.sampled_from([(), (A,), (A, B)]),
    unwanted=st.sampled_from([(), (B,)]),
    selection=st.sampled_from([All(), MapPolygon("v1", TRIANGLE), SkyPolygon(TAN, TRIANGLE), Cluster("v1", 3)]),
    order=st.sampled_from(["most", "least", "anomaly_knn", "random"]),
    exact=st.booleans(),
    within=st.booleans(),
    shown=st.sampled_from([16, 24, 100]),
    map=st.sampled_from([None, Box(0, 1, 0, 1)]),
    sky=st.sampled_from([None, SkyView(TAN, Box(-1, 1, -1, 1))]),
    color=st.sampled_from(["density", "z_phot"]),
    light=st.booleans(),
    enlarged=st.sampled_from(["", "map"]),
)


@given(full_states)
def test_a_link_holds_the_whole_state(state: State) -> None:
    token = links.to_token(state)
    assert links.from_token(token) == state
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


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
    state = reduce(State(focus=A), LassoMap("v1", TRIANGLE))
    state = reduce(state, LassoSky(TAN, TRIANGLE))
    assert state.selection == SkyPolygon(TAN, TRIANGLE)
    assert reduce(state, Clear()).selection == All()


def test_a_lasso_without_a_galaxy_shows_a_sample_of_it() -> None:
    assert reduce(State(), LassoMap("v1", TRIANGLE)).order == "random"
    assert reduce(State(focus=A), LassoMap("v1", TRIANGLE)).order == "most"


def test_an_order_that_has_lost_its_ground_gives_way() -> None:
    lasso = LassoMap("v1", TRIANGLE)
    without = reduce(reduce(reduce(State(), Example(A, 1)), lasso), ClearExamples())
    assert without.order == "random"
    assert reduce(reduce(State(), OpenCluster("v1", 2)), lasso).order == "random"
    assert reduce(reduce(State(), OpenCluster("v1", 2)), Change(order="most")).order == "random"


def test_a_cluster_opens_with_its_most_typical_members() -> None:
    state = reduce(State(drawer="clusters"), OpenCluster("v1", 4))
    assert (state.selection, state.order, state.drawer) == (Cluster("v1", 4), "typical", "")
    assert reduce(state, Clear()).order == "most"


def test_a_change_touches_only_what_it_names() -> None:
    before = State(focus=A, light=True)
    assert reduce(before, Change(exact=True)) == msgspec.structs.replace(before, exact=True)
    assert reduce(before, Change(light=False)).light is False


def test_panning_is_no_step_of_the_history_and_a_new_question_is() -> None:
    state = State(focus=A)
    assert not is_step(state, reduce(state, ViewMap(Box(0, 1, 0, 1))))
    assert not is_step(state, reduce(state, Change(light=True)))
    assert is_step(state, reduce(state, LassoMap("v1", TRIANGLE)))
    assert is_step(state, reduce(state, Focus(B)))


def test_a_panel_is_concerned_only_by_what_it_depends_on() -> None:
    def concerned(before: State, after: State) -> set[str]:
        old, new = parts(before), parts(after)
        return {name for name in new if new[name] != old[name]}

    state = State(focus=A)
    assert "map" not in concerned(state, reduce(state, Focus(B)))
    assert concerned(state, reduce(state, ViewMap(Box(0, 1, 0, 1)))) == {"map"}
    assert {"map", "sky", "gallery"} <= concerned(state, reduce(state, LassoMap("v1", TRIANGLE)))
    assert concerned(state, reduce(state, Change(enlarged="map"))) == {"page"}
