"""Numbers that float32, six digits or a billion are too small for: typed bounds, one night, links, refusals."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from flask import Flask
from msgspec.structs import asdict, astuple, replace

from atlas import Atlas, ColumnPolygon, Expression
from atlas.catalog.reserved_names import OF_THE_PAGE
from atlas.exports.text import csv
from atlas.expressions.check import complete
from atlas.expressions.tree import written_name
from atlas.planes.axis import Axis, axis_of
from atlas.planes.column_plane import PlaneAxes
from dashboard.cache.results import Cached
from dashboard.interaction.step import Step, advance
from dashboard.service.atlas_service import Service
from dashboard.service.export import contents_of
from dashboard.settings import load
from dashboard.state import url as links
from dashboard.state.coloring import color_of
from dashboard.state.page_state import State, Table, Viewport, active
from dashboard.views.card import card
from dashboard.views.choices import colors
from dashboard.views.filters import drawer
from dashboard.views.map import axis_words, picture
from dashboard.views.table import rows as rows_of_table
from tests.sources import NAMES_OF_OURS

FLOATS = ("z", "jd", "mjd", "mass", "lum", "rate")
WHOLE = ("t_ms", "healpix29", "source_id")


@pytest.fixture(scope="module")
def service(numbers_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    settings = load({}, atlas=str(numbers_path), cache_dir=str(tmp_path_factory.mktemp("cache") / "own"))
    server = Flask("test")
    with server.test_request_context("/"):
        yield Service(settings, Cached(server, settings))


def step(service: Service, *events: dict[str, Any], state: State | None = None) -> Step:
    done = advance(service, links.to_json(state or State()), list(events))
    assert done.message == ""
    return done


def rows(service: Service, state: State) -> list[int]:
    mask = service.mask(active(state))
    assert mask is not None
    return mask.rows.tolist()


def unpacked(packed: dict[str, str]) -> np.ndarray:
    return np.frombuffer(base64.b64decode(packed["bdata"]), dtype=packed["dtype"])


@pytest.mark.parametrize("name", [*FLOATS, *WHOLE])
def test_typed_bounds_hold_the_very_rows_and_travel_in_a_link(service: Service, numbers: Atlas, name: str) -> None:
    values = np.asarray(numbers.columns("v1").array(name))
    low, high = np.sort(values)[[300, 700]]
    typed = {"low": str(low.item()), "high": str(high.item())}
    state = step(service, {"is": "filter", "column": name, **typed}).after
    expected = np.flatnonzero((values >= low) & (values <= high)).tolist()
    assert len(expected) >= 401 and rows(service, state) == expected
    assert rows(service, links.from_token(links.to_token(state))) == expected
    # The other bound, changed, leaves this one as it was.
    wider = step(service, {"is": "filter", "column": name, "low": typed["low"]}, state=state).after
    assert rows(service, wider) == np.flatnonzero(values >= low).tolist()


def test_one_night_of_a_month_can_be_selected(service: Service, numbers: Atlas) -> None:
    dates = np.asarray(numbers.columns("v1").array("jd"))
    state = step(service, {"is": "filter", "column": "jd", "low": 2459010.5, "high": 2459010.95}).after
    night = np.flatnonzero((dates >= 2459010.5) & (dates <= 2459010.95)).tolist()
    assert 40 < len(night) < 100 and rows(service, state) == night


@pytest.mark.parametrize("bound", ["a lot", "1e999", "9" * 20])
def test_a_bound_that_is_no_number_is_said_in_a_sentence(service: Service, bound: str) -> None:
    done = advance(service, links.to_json(State()), [{"is": "filter", "column": "mass", "low": bound}])
    assert "number" in done.message and "$" not in done.message
    assert done.after == State()


def test_details_table_and_csv_have_every_digit_that_tells_galaxies_apart(service: Service, numbers: Atlas) -> None:
    columns = numbers.columns("v1")
    state = State(listing="table", table=Table(columns=("jd", "healpix29", "t_ms", "rate", "lum")))
    shown = rows_of_table(service, state, 0, 100, "", False)["rowData"]
    dates = np.asarray(columns.array("jd"))[:100]
    assert all(abs(float(row["jd"]) - date) < 1e-3 for row, date in zip(shown, dates, strict=True))
    assert len({row["jd"] for row in shown}) == len(np.unique(np.round(dates, 3)))
    assert [row["healpix29"] for row in shown] == [str(i) for i in columns.array("healpix29")[:100]]
    card_facts = dict(card(numbers, 7, "healpix29")["facts"])
    assert card_facts["healpix29"] == shown[7]["healpix29"]
    table = pd.read_csv(io.BytesIO(b"".join(csv(contents_of(service, State(), "selection")))))
    for name in (*FLOATS, *WHOLE):
        assert table[name].tolist() == np.asarray(columns.array(name)).tolist(), name


@pytest.mark.parametrize(("x", "y"), [("jd", "mjd"), ("t_ms", "rate"), ("mass", "lum"), ("healpix29", "jd")])
def test_planes_tell_every_galaxy_from_its_neighbours_and_lassos_hold_the_very_rows(
    service: Service, numbers: Atlas, x: str, y: str
) -> None:
    state = step(service, {"is": "against", "x": x, "y": y}).after
    shown = picture(service, state)
    assert shown is not None and shown.in_view == numbers.n_rows
    drawn = numbers.column_axes(x, y)
    places = [unpacked(shown.points[edge]) for edge in "xy"]
    for name, axis, place in zip((x, y), (drawn.x, drawn.y), places, strict=True):
        values = np.asarray(numbers.columns("v1").array(name))[unpacked(shown.points["customdata"])]
        assert np.unique(place).size > 0.98 * np.unique(values).size, name
        exact = np.array([float((int(v) if name in WHOLE else v) - axis.zero) / axis.unit for v in values.tolist()])
        assert np.allclose(place, np.log10(exact) if axis.log else exact, rtol=1e-6, atol=1e-6 * np.ptp(place))
    # A box in the middle, as the browser draws it: in the coordinates of the plane.
    (x0, x1), (y0, y1) = (np.quantile(place, (0.4, 0.6)).tolist() for place in places)
    corners = [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]
    lassoed = step(service, {"is": "lasso", "plane": "map", "vertices": corners}, state=state).after
    inside = (places[0] > x0) & (places[0] < x1) & (places[1] > y0) & (places[1] < y1)
    expected = np.sort(unpacked(shown.points["customdata"])[inside])
    found = np.array(rows(service, lassoed))
    assert np.setxor1d(found, expected).size <= 2  # but for the outline, which rounding may move
    assert rows(service, links.from_token(links.to_token(lassoed))) == found.tolist()


def _counted_from_below(axis: Axis) -> Axis:
    """An axis whose zero lies 64 units lower, in a unit four times as large."""
    lower = axis.zero - 64 * (int(axis.unit) if isinstance(axis.zero, int) else axis.unit)
    return Axis(zero=lower, unit=axis.unit * 4)


@pytest.mark.parametrize(("x", "y"), [("jd", "healpix29"), ("t_ms", "lum"), ("rate", "source_id")])
def test_a_link_to_a_part_of_a_plane_keeps_the_values_in_view_over_a_rebuild(
    service: Service, numbers: Atlas, x: str, y: str
) -> None:
    box = Viewport(0.25, 0.75, 0.125, 0.5)
    state = step(service, {"is": "against", "x": x, "y": y}, {"is": "view", "plane": "map", "box": asdict(box)}).after
    now = numbers.column_axes(x, y)
    assert state.map == box and state.map_on == now
    token = links.to_token(state)
    assert (
        step(service, {"is": "open", "token": token}).after == state
        and links.to_token(links.from_token(token)) == token
    )
    # Made when the build counted from other zeros, in other units: what is in view are the same values.
    then = PlaneAxes(*(axis if axis.log else _counted_from_below(axis) for axis in (now.x, now.y)))
    x_edges, y_edges = (
        edges if axis.log else tuple((edge + 64) / 4 for edge in edges)
        for axis, edges in ((now.x, (box.x0, box.x1)), (now.y, (box.y0, box.y1)))
    )
    made = replace(state, map=Viewport(*x_edges, *y_edges), map_on=then)
    moved = step(service, {"is": "open", "token": links.to_token(made)}).after
    assert moved.map_on == now and moved.map is not None
    np.testing.assert_allclose(astuple(moved.map), astuple(box), rtol=1e-9)
    # Nothing that no view can be trips it.
    wild = replace(made, map_on=PlaneAxes(Axis(zero=1e300, unit=1e300), now.y))
    assert step(service, {"is": "open", "token": links.to_token(wild)}).after.map is None


def test_a_lasso_that_was_typed_in_values_holds_the_very_rows(numbers: Atlas) -> None:
    jd, lum = (np.asarray(numbers.columns("v1").array(name)) for name in ("jd", "lum"))
    (low, high), (faint, bright) = np.quantile(jd, (0.5, 0.51)), np.quantile(lum, (0.1, 0.9))
    corners = ((low, faint), (high, faint), (high, bright), (low, bright))
    expected = np.flatnonzero((jd > low) & (jd < high) & (lum > faint) & (lum < bright))
    log = numbers.column_axes("jd", "lum").y.log
    typed = tuple((float(a), float(np.log10(b) if log else b)) for a, b in corners)
    found = numbers.mask(ColumnPolygon("jd", "lum", typed, y_log=log)).rows
    assert expected.size > 10 and np.setxor1d(found, expected).size <= 1


def test_an_axis_says_from_where_and_in_what_it_counts(numbers: Atlas) -> None:
    told = {name: axis_words(name, axis_of(numbers.columns("v1").describe(name))) for name in (*FLOATS, *WHOLE)}
    assert told["z"] == "z" and told["jd"] == "jd − 2459000" and told["mjd"] == "mjd − 59000"
    assert (told["t_ms"] == "t_ms − 1600000000000" and told["rate"] == "rate / 10⁻¹⁶") or "10⁻¹⁷" in told["rate"]
    assert told["healpix29"] == f"healpix29 − {2**60 // 10_000 * 10_000}"
    assert told["mass"] == "log₁₀ mass"


def test_whole_numbers_in_conditions_are_exact(numbers: Atlas) -> None:
    ids = np.asarray(numbers.columns("v1").array("healpix29"))
    low, high = 2**60 + 1_001, 2**60 + 1_017
    inside = np.flatnonzero((ids >= low) & (ids < high)).tolist()
    assert len(inside) == 16
    for text in (f"{low} <= healpix29 < {high}", f"healpix29 >= {low} & healpix29 < {high}"):
        assert numbers.mask(Expression(text)).rows.tolist() == inside
    assert (
        numbers.mask(f"healpix29 in ({low}, {high})").count == 2 and numbers.mask(f"healpix29 != {low}").count == 1999
    )
    assert numbers.mask(f"-healpix29 >= -{2**63} & healpix29 < {2**64 - 1}").count == numbers.n_rows


def test_columns_may_be_called_what_the_page_calls_its_own(service: Service, numbers: Atlas) -> None:
    columns = numbers.columns("v1")
    notes = " ".join(numbers.manifest.provenance.notes)
    for name in NAMES_OF_OURS:
        stored = name if name in columns and name != "cluster" else f"survey_{name}"
        assert stored == name or f"{name!r} is called {stored}" in notes
        values = np.asarray(columns.array(stored))
        # A condition, a filter, a histogram, an axis.
        middle = float(np.median(values))
        above = np.flatnonzero(values > middle).tolist()
        condition = f"{written_name(stored)} > {middle!r} and not missing({written_name(stored)})"
        assert numbers.mask(condition).rows.tolist() == above
        assert written_name(stored) in complete(stored[:2], 2, columns).words
        drawer(service, State(drawer="filters", brushed=(stored,)))
        # A colour of its own, beside the page's.
        color = next(c["value"] for c in colors(numbers, State()) if c["label"].split(" ")[0] == stored)
        if stored in OF_THE_PAGE:
            color = color_of(stored)
        shown = picture(service, step(service, {"is": "change", "color": color}).after)
        assert shown is not None and shown.coloring is not None
        rows_drawn = unpacked(shown.points["customdata"])
        told = unpacked(shown.points["marker"]["color"])
        assert np.corrcoef(told, values[rows_drawn])[0, 1] > 0.99
        assert dict(card(numbers, 3, color)["facts"])[stored]
    assert picture(service, State()).coloring is None  # type: ignore[union-attr]
    focused = step(service, {"is": "pick", "row": 5, "build": numbers.build_id}).after
    table = pd.read_csv(io.BytesIO(b"".join(csv(contents_of(service, focused, "selection")))))
    assert table["galaxy_similarity"][0] == 1 and str(table["galaxy_id"][0]) == numbers.identity.name(5)
    tabled = replace(focused, listing="table", table=Table(columns=("similarity", "id")))
    sorted_rows = rows_of_table(service, tabled, 0, 10, "similarity", True)["rowData"]
    expected = np.sort(np.asarray(columns.array("similarity")))[::-1][:10]
    assert np.allclose([float(row["similarity"]) for row in sorted_rows], expected, atol=1e-4)
    # In a notebook, the catalogue's own keeps its name there too.
    found = numbers.similar(rows=5, k=3)
    assert found["similarity"].tolist() == columns.array("similarity")[found.index].tolist()
    assert found["galaxy_similarity"].max() <= 1 and "asked for" in found._repr_html_()
