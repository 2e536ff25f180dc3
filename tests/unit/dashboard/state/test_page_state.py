"""The state of the page: what a link holds, what a step is, which panels a change concerns."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from atlas.errors import InputError
from atlas.queries.selection import (
    All,
    And,
    Category,
    Cluster,
    MapPolygon,
    Range,
    SkyPolygon,
)
from atlas.sky.projection import Projection
from dashboard.cache.content_store import KeptFiles
from dashboard.events.galaxies import Focus
from dashboard.events.page import Change, Open
from dashboard.events.planes import SetAxes, SetTable, ViewMap
from dashboard.events.registry import reduce
from dashboard.events.selections import Drawn
from dashboard.state import url as links
from dashboard.state.image_look import ImageLook
from dashboard.state.page_state import (
    Axes,
    Galaxy,
    Shading,
    SkyView,
    State,
    Subset,
    Table,
    Viewport,
    is_step,
    parts,
)

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


def test_how_images_look_is_kept_in_links_and_asks_nothing() -> None:
    look = ImageLook("red", faint=2, contrast=-1, invert=True)
    state = reduce(State(), Change(look=look))
    assert state.look == look and not is_step(State(), state)
    assert parts(state) == parts(State())
    assert links.from_token(links.to_token(state)).look == look
    with pytest.raises(InputError):
        links.from_json('{"look": {"faint": 4}}')


def test_pinned_columns_and_captions_are_kept_in_links_and_concern_what_shows_them() -> None:
    pinned, captioned = reduce(State(), Change(pinned=("mag_r",))), reduce(State(), Change(captions=("z", "mag_r")))
    for state, shown in ((pinned, {"details"}), (captioned, {"gallery", "page"})):
        assert not is_step(State(), state) and links.from_token(links.to_token(state)) == state
        assert {name for name, part in parts(state).items() if part != parts(State())[name]} == shown
    assert reduce(pinned, Change(pinned=())) == State()
    with pytest.raises(InputError):
        links.from_json('{"captions": ["a", "b", "c", "d"]}')
