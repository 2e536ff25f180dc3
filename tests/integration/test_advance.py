"""Steps of the page on a real atlas, without a browser: events in, the next state out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from flask import Flask

from atlas import Atlas, Cluster
from atlas.catalog.position_text import format_position, iau_name
from atlas.queries.selection import And, ColumnPolygon, MapPolygon, Or
from atlas.sky.projection import Projection
from dashboard.cache.results import Cached
from dashboard.interaction.step import Step, advance
from dashboard.service import splitting
from dashboard.service.atlas_service import Service
from dashboard.service.galaxies import typed_examples
from dashboard.service.gallery_query import question_of
from dashboard.service.name_resolver import NameResolver
from dashboard.service.splitting import SplitParts, split_of
from dashboard.settings import load
from dashboard.state import url as links
from dashboard.state.page_state import Axes, Galaxy, State, Table, Viewport, active
from dashboard.views import sky


@pytest.fixture(scope="module")
def service(demo_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    settings = load({}, atlas=str(demo_path), cache_dir=str(tmp_path_factory.mktemp("cache") / "own"))
    server = Flask("test")
    with server.test_request_context("/"):
        yield Service(settings, Cached(server, settings))


def step(service: Service, *events: dict[str, Any], state: State | None = None) -> Step:
    return advance(service, None if state is None else links.to_json(state), list(events))


def test_a_galaxy_outside_the_view_is_brought_into_it(service: Service, demo: Atlas) -> None:
    columns = demo.columns("v1")
    x, y = (float(columns.array(name)[30]) for name in ("map_x", "map_y"))
    away = State(map=Viewport(x + 5, x + 6, y, y + 1))
    found = step(service, {"is": "find", "text": demo.identity.name(30)}, state=away)
    box = found.after.map
    assert box is not None and box.x0 < x < box.x1 and box.y0 < y < box.y1
    assert box.x1 - box.x0 == pytest.approx(1.0)
    assert found.moves["map"] == [box.x0, box.x1, box.y0, box.y1]
    near = State(map=Viewport(x - 1, x + 1, y - 1, y + 1))
    assert step(service, {"is": "find", "text": demo.identity.name(30)}, state=near).after.map == near.map


def test_an_event_that_fails_takes_no_other_with_it(service: Service, demo: Atlas) -> None:
    done = step(
        service,
        {"is": "change", "light": True},
        {"is": "find", "text": "nothing like this"},
        {"is": "change", "shown": 48},
        state=State(),
    )
    assert done.after.light is True and done.after.shown == 48
    assert "nothing like this" in done.message


def test_a_value_beyond_a_limit_is_refused_in_a_sentence_and_the_rest_is_done(service: Service) -> None:
    name = {"is": "keep", "name": "x" * 41}
    done = step(service, {"is": "change", "shown": 10**6}, name, {"is": "change", "light": True}, state=State())
    assert done.message == "the number of images must be at most 1,000"
    assert done.after == State(light=True)
    assert step(service, name, state=State()).message == "the name must be at most 40 characters"


def test_a_typed_position_says_which_galaxy_it_was_taken_for_and_how_far_away_that_is(
    service: Service, demo: Atlas
) -> None:
    ra_deg, dec_deg = demo.position(30)
    name = demo.identity.name(30)
    beside = step(service, {"is": "find", "text": f"{ra_deg} {dec_deg + 0.3 / 3600}"}, state=State())
    assert beside.after.focus is not None and beside.after.focus.id == name
    assert beside.notice.endswith(f"is {name}, 0.3″ away.") and not beside.message
    for text in (*(format_position(ra_deg, dec_deg, style) for style in ("deg", "sexagesimal")), name,
                 iau_name(ra_deg, dec_deg)):  # fmt: skip
        found = step(service, {"is": "find", "text": text}, state=State())
        assert found.after.focus is not None and found.after.focus.id == name and not found.notice, text


def test_a_position_of_another_frame_says_how_it_was_read(service: Service, demo: Atlas) -> None:
    there = SkyCoord(*demo.position(30), unit="deg")
    text = f"G {there.galactic.l.deg:.7f} {there.galactic.b.deg:+.7f}"
    found = step(service, {"is": "find", "text": text}, state=State())
    assert found.after.focus is not None and found.after.focus.id == demo.identity.name(30)
    assert found.notice.startswith(f"Read as galactic l {there.galactic.l.deg:.7f}°")
    assert found.notice.endswith(f"is {demo.identity.name(30)}, 0.0″ away.")
    hms, dms = format_position(*demo.position(30), "sexagesimal").split()
    short = step(service, {"is": "find", "text": f"J{hms[:2]}{hms[3:5]}{dms[:3]}{dms[4:6]}"}, state=State())
    assert short.after.focus is not None and "as the name is short" in short.notice and not short.message


@pytest.mark.parametrize("radius", ["12″", '12"', "0.2'", "12 arcsec"])
def test_a_radius_behind_a_position_selects_all_within_it(service: Service, demo: Atlas, radius: str) -> None:
    ra_deg, dec_deg = demo.position(30)
    done = step(service, {"is": "find", "text": f"{ra_deg} {dec_deg} {radius}"}, state=State())
    ra, dec = (np.asarray(demo.columns().array(name)) for name in ("ra", "dec"))
    away = SkyCoord(ra, dec, unit="deg").separation(SkyCoord(ra_deg, dec_deg, unit="deg")).arcsec
    mask = service.mask(active(done.after))
    assert mask is not None and set(mask.rows) == set(np.flatnonzero(away <= 12)) and mask.count > 1
    assert done.after.focus is not None and done.after.focus.id == demo.identity.name(30)
    assert "all within 12″" in done.notice.replace("0.2′", "12″")
    # All of the cone is in view, and the outline of it.
    assert done.after.sky is not None
    shown = sky.picture(service, done.after)
    x = [float(x) for x in re.findall(r"[ML] (-?[\d.e-]+),", shown.shapes[0]["path"])]
    assert done.after.sky.box.x0 < min(x) and max(x) < done.after.sky.box.x1
    assert (max(x) - min(x)) / 2 * 3600 == pytest.approx(12, rel=1e-3)


def test_a_name_leads_to_its_place(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    done = step(service, {"is": "find", "text": "NGC 1300"}, state=State())
    assert done.message.startswith("Read as NGC 1300 of OpenNGC, galaxy in Eri. No galaxy within 30″ of 49.92")
    assert done.nearest is not None
    monkeypatch.setattr(service, "names", NameResolver("http://127.0.0.1:9/"))
    unknown = step(service, {"is": "find", "text": "Abell 2744"}, state=State()).message
    assert "no galaxy 'Abell 2744' in this atlas" in unknown and unknown.endswith("Sesame does not answer")


def test_a_radius_without_a_galaxy_is_refused(service: Service) -> None:
    done = step(service, {"is": "find", "text": "10 10 1′"}, state=State())
    assert done.after == State() and "no galaxy within 60″ of 10.00000 +10.00000" in done.message


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("400 10", "RA 400°, Dec 10°: RA must lie in 0…360"),
        ("10 95", "Dec must lie in −90…90 degrees, not 95; RA comes first"),
        ("25:00:00 +5:00:00", "25 hours; a turn has 24"),
        ("12:61:00 +5", "minutes of RA must be below 60, not 61"),
    ],
)
def test_a_slip_in_a_position_is_no_unknown_id(service: Service, text: str, told: str) -> None:
    message = step(service, {"is": "find", "text": text}, state=State()).message
    assert told in message and "no galaxy" not in message


def test_what_is_offered_to_be_typed_is_a_galaxy_of_this_atlas(service: Service, demo: Atlas) -> None:
    texts = typed_examples(demo).split("·")
    found = {step(service, {"is": "find", "text": text}, state=State()).after.focus for text in texts}
    assert len(found) == 1 and None not in found


def test_nothing_near_offers_the_nearest(service: Service) -> None:
    done = step(service, {"is": "find", "text": "53.16 -27.9"}, state=State())
    assert done.nearest is not None and "away" in done.message
    assert done.after == State()


def test_the_sky_is_seen_in_another_frame_and_projection(service: Service) -> None:
    whole = step(service, {"is": "seesky", "projection": "mol"}, {"is": "seesky", "frame": "galactic"}).after
    assert whole.sky is not None and whole.sky.projection == Projection("mol", 0.0, 0.0, "galactic")
    assert links.from_json(links.to_json(whole)) == whole
    words = sky.describe_view(whole.sky, 1, 1)
    assert "Mollweide" in words and "galactic" in words
    hidden = step(service, {"is": "seesky", "line": "ecliptic"}, state=whole).after
    assert hidden.sky == whole.sky and hidden.sky_look.hidden == ("ecliptic",)
    assert len(sky.picture(service, whole).lines) == 4
    # Links of before say nothing of frames.
    assert links.from_json(
        '{"sky":{"projection":{"kind":"tan","ra_deg":1.0,"dec_deg":2.0},"box":{"x0":0,"x1":1,"y0":0,"y1":1}}}'
    )


def test_a_position_outside_the_survey_is_said_to_be(service: Service) -> None:
    far = step(service, {"is": "find", "text": "200 -80"})
    assert "outside the survey" in far.message and far.message.endswith("° away") and far.nearest is not None
    assert "outside" not in step(service, {"is": "find", "text": "box 53.16 -27.79 1′"}).message


def test_a_lasso_arrives_simplified(service: Service) -> None:
    import math

    many = [[math.cos(i / 50), math.sin(i / 50)] for i in range(314)]
    selection = step(service, {"is": "lasso", "plane": "map", "vertices": many}, state=State()).after.selection
    assert isinstance(selection, MapPolygon)
    assert len(selection.vertices) <= 100


def test_going_back_leaves_no_new_entry_in_the_history(service: Service, demo: Atlas) -> None:
    chosen = step(service, {"is": "find", "text": demo.identity.name(2)}, state=State())
    assert chosen.remember
    back = step(service, {"is": "open", "token": ""}, state=chosen.after)
    assert back.after == State() and not back.remember


def test_a_random_galaxy_is_one_of_the_selection(service: Service, demo: Atlas) -> None:
    labels = demo.columns("v1").array("cluster")
    state = step(service, {"is": "cluster", "label": 1}, state=State()).after
    for _ in range(5):
        focus = step(service, {"is": "random"}, state=state).after.focus
        assert focus is not None and labels[demo.identity.row(focus.id)] == 1


def test_a_selection_is_split_and_its_parts_are_selections(
    service: Service, demo: Atlas, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "nothing is selected" in step(service, {"is": "split", "count": 3}, state=State()).message
    opened = step(service, {"is": "cluster", "label": 0}, state=State()).after
    split = step(service, {"is": "split", "count": 3}, state=opened).after
    assert split.split is not None and split.drawer == "clusters"
    found = split_of(service, split.split)
    assert isinstance(found, SplitParts)
    with monkeypatch.context() as patch:
        patch.setattr(splitting, "split_middles", None)
        assert isinstance(split_of(service, split.split), SplitParts), "what is kept is not looked for again"
    masks = []
    for number, size in enumerate(found.sizes):
        after = step(service, {"is": "part", "number": number}, state=split).after
        masks.append(service.mask(active(after)))
        assert masks[-1].count == size, "the card tells the number that is selected"
        assert set(found.portrait(number).members) <= set(masks[-1].rows.tolist())
        assert found.medoids[number] in masks[-1].rows
    assert sum(mask.count for mask in masks) == demo.mask(Cluster("v1", 0)).count
    assert step(service, {"is": "split", "count": 0}, state=split).after.split is None


def test_a_galaxy_that_moved_to_another_id_is_found_by_its_position(service: Service, demo: Atlas) -> None:
    ra, dec = demo.position(9)
    question = question_of(demo, State(focus=Galaxy("renamed", ra, dec)))
    assert question.query is not None and question.query.ranking.wanted == (9,)  # type: ignore[union-attr]
    lost = question_of(demo, State(focus=Galaxy("gone", 10.0, 10.0)))
    assert lost.query is None and [g.id for g in lost.gone] == ["gone"]


def test_shift_and_alt_reach_the_selection_and_a_lasso_stands_on_its_plane(service: Service) -> None:
    square = [[0, 0], [1, 0], [1, 1], [0, 1]]
    other = [[3, 3], [4, 3], [4, 4], [3, 4]]
    first = step(service, {"is": "lasso", "plane": "map", "vertices": square}, state=State()).after
    both = step(service, {"is": "lasso", "plane": "map", "vertices": other, "join": "add"}, state=first).after
    assert isinstance(both.selection, Or)
    less = step(service, {"is": "lasso", "plane": "map", "vertices": other, "join": "subtract"}, state=both).after
    assert isinstance(less.selection, And)
    against = step(service, {"is": "against", "x": "snr", "y": "inst_mag_red"}, state=State()).after
    lasso = step(service, {"is": "lasso", "plane": "map", "vertices": square}, state=against).after.selection
    assert isinstance(lasso, ColumnPolygon) and (lasso.x, lasso.y) == ("snr", "inst_mag_red")


@pytest.mark.parametrize(
    ("event", "told"),
    [
        ({"is": "filter", "column": "no_such", "low": 1}, "no column"),
        ({"is": "filter", "column": "snr", "low": 9, "high": 1}, "reversed"),
        ({"is": "express", "text": "snr >"}, "expression"),
        ({"is": "express", "text": "snrr > 1"}, "snr"),
        ({"is": "against", "x": "snr", "y": ""}, "no column"),
        ({"is": "tabulate", "sort": "no_such"}, "no column"),
        ({"is": "brush", "column": "no_such"}, "no column"),
        ({"is": "keep", "name": "nothing"}, "nothing is selected"),
    ],
)
def test_what_makes_no_sense_is_said_and_changes_nothing(service: Service, event: dict[str, Any], told: str) -> None:
    done = step(service, event, state=State())
    assert told in done.message and done.after == State()


def test_a_page_that_holds_too_much_to_travel_refuses_more(service: Service) -> None:
    import math

    state = State()
    for i in range(40):
        corners = [[i + math.cos(a / 16), math.sin(a / 16) + 0.01 * (a % 7)] for a in range(99)]
        done = step(service, {"is": "lasso", "plane": "map", "vertices": corners, "join": "add"}, state=state)
        done = step(service, {"is": "keep", "name": f"number {i}"}, state=done.after) if i < 12 else done
        state = done.after
        if done.message:
            break
    assert "too much" in done.message
    assert len(links.to_json(state)) <= links.MAX_JSON_BYTES


def test_a_link_with_columns_of_another_atlas_opens_without_them(service: Service) -> None:
    foreign = State(
        axes=Axes("no_such", "snr"), color="no_such", map=Viewport(0, 1, 0, 1), brushed=("snr", "no_such"),
        table=Table(("snr", "no_such"), "no_such", True),
    )  # fmt: skip
    done = step(service, {"is": "open", "token": links.to_token(foreign)}, state=State())
    assert not done.message
    assert done.after == State(brushed=("snr",), table=Table(("snr",), "", True))
