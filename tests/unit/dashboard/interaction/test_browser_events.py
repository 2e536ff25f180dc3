"""The edge: whatever a browser sends is typed or refused in words."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.errors import InputError
from dashboard.events.filters import Brush, ClearFilters, Express, FilterBy
from dashboard.events.galaxies import Find, Mark, Pick, RandomGalaxy
from dashboard.events.page import Change, OpenToken
from dashboard.events.planes import Against, Tabulate, View
from dashboard.events.selections import Clear, Group, Invert, Lasso, OpenClusterLabel
from dashboard.events.subsets import Keep, WithSubset
from dashboard.interaction import browser_events as parse
from dashboard.settings import Settings

SETTINGS = Settings()
BUILD = "0123456789ab"
TAN = {"kind": "tan", "ra_deg": 53.0, "dec_deg": -27.0}
SQUARE = [[0, 0], [1, 0], [1, 1], [0, 1]]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"is": "open", "token": ""}, OpenToken),
        ({"is": "find", "text": "53.1 -27.7"}, Find),
        ({"is": "pick", "row": 5, "build": BUILD}, Pick),
        ({"is": "random"}, RandomGalaxy),
        ({"is": "mark", "id": "1-2-3", "sign": -1}, Mark),
        ({"is": "lasso", "plane": "map", "vertices": SQUARE}, Lasso),
        ({"is": "lasso", "plane": "sky", "vertices": SQUARE, "projection": TAN}, Lasso),
        ({"is": "lasso", "plane": "map", "vertices": SQUARE, "join": "add"}, Lasso),
        ({"is": "filter", "column": "mag_r", "low": 14, "high": None}, FilterBy),
        ({"is": "filter", "column": "type", "values": ["DEV", "EXP"]}, FilterBy),
        ({"is": "filter", "column": "maskbits", "on": [1], "off": [0, 63]}, FilterBy),
        ({"is": "brush", "column": "mag_r"}, Brush),
        ({"is": "express", "text": "mag_r < 18"}, Express),
        ({"is": "against", "x": "z_phot", "y": "mag_r"}, Against),
        ({"is": "tabulate", "sort": "mag_r", "descending": True}, Tabulate),
        ({"is": "keep", "name": "mergers"}, Keep),
        ({"is": "withsubset", "at": 0, "do": "unite"}, WithSubset),
        ({"is": "invert"}, Invert),
        ({"is": "group", "take": True}, Group),
        ({"is": "clearfilters"}, ClearFilters),
        ({"is": "cluster", "label": 0}, OpenClusterLabel),
        ({"is": "view", "plane": "map", "box": {"x0": 0, "x1": 1, "y0": 0, "y1": 1}}, View),
        ({"is": "view", "plane": "sky"}, View),
        ({"is": "clear"}, Clear),
        ({"is": "change", "light": True}, Change),
    ],
)
def test_what_the_page_sends_is_understood(body: dict[str, Any], kind: type) -> None:
    event = parse.event(body, SETTINGS)
    assert isinstance(event, kind)


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "random",
        [{"is": "unknown"}],
        [{"is": "random", "extra": 1}],
        [{"is": "pick", "row": -1, "build": BUILD}],
        [{"is": "pick", "row": 2**40, "build": BUILD}],
        [{"is": "pick", "row": 1.5, "build": BUILD}],
        [{"is": "pick", "row": 1, "build": "../../etc"}],
        [{"is": "find", "text": "x" * 1000}],
        [{"is": "mark", "id": "1", "sign": 7}],
        [{"is": "lasso", "plane": "map", "vertices": [[0, 0], [1, 1]]}],
        [{"is": "lasso", "plane": "map", "vertices": [[0, 0], [1, "a"], [2, 2]]}],
        [{"is": "lasso", "plane": "map", "vertices": [[0, 0]] * 3000}],
        [{"is": "lasso", "plane": "sky", "vertices": SQUARE}],
        [
            {
                "is": "lasso",
                "plane": "sky",
                "vertices": SQUARE,
                "projection": {"kind": "tan", "ra_deg": 0, "dec_deg": 99},
            }
        ],
        [{"is": "view", "plane": "map", "box": {"x0": 1, "x1": 0, "y0": 0, "y1": 1}}],
        [{"is": "view", "plane": "map", "box": {"x0": 0, "x1": 1e300, "y0": 0, "y1": 1}}],
        [{"is": "lasso", "plane": "map", "vertices": SQUARE, "join": "maybe"}],
        [{"is": "filter", "column": "../etc", "low": 1}],
        [{"is": "filter", "column": "mag_r", "low": "1" * 41}],
        [{"is": "filter", "column": "mag_r", "low": [14]}],
        [{"is": "filter", "column": "maskbits", "off": [64]}],
        [{"is": "filter", "column": "maskbits", "on": [-1]}],
        [{"is": "filter", "column": "maskbits", "on": [1.5]}],
        [{"is": "filter", "column": "maskbits", "on": [1] * 65}],
        [{"is": "express", "text": "x" * 501}],
        [{"is": "keep", "name": ""}],
        [{"is": "keep", "name": "x" * 41}],
        [{"is": "withsubset", "at": 99, "do": "drop"}],
        [{"is": "withsubset", "at": 0, "do": "publish"}],
        [{"is": "tabulate", "columns": ["mag_r"] * 61}],
        [{"is": "view", "plane": "moon"}],
        [{"is": "change", "shown": 5000}],
        [{"is": "change", "order": "best"}],
        [{"is": "random"}] * 51,
    ],
)
def test_what_the_page_never_sends_is_refused_in_words(body: Any) -> None:
    with pytest.raises(InputError) as error:
        for one in parse.batch(body):
            parse.event(one, SETTINGS)
    assert 10 < len(str(error.value)) < 300
    assert not set("$`[]{}") & set(str(error.value)), "a sentence for people holds no path and no type"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=300)
@given(json_values)
def test_nothing_but_an_input_error_comes_out_of_any_body(body: Any) -> None:
    for function in (
        lambda: parse.batch(body),
        lambda: parse.event(body, SETTINGS),
        lambda: parse.state(body),
        lambda: parse.rows_request(body, SETTINGS),
    ):
        with contextlib.suppress(InputError):
            function()


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e999", "", "1,5", "abc", "0x10"])
def test_a_number_in_a_url_is_a_finite_number_within_bounds(text: str) -> None:
    with pytest.raises(InputError, match="x is"):
        parse.number({"x": text}, "x", -10, 10)


def test_a_missing_number_is_named() -> None:
    with pytest.raises(InputError, match="w is missing"):
        parse.whole({}, "w", 1, 10)
    with pytest.raises(InputError, match="whole"):
        parse.whole({"w": "1.5"}, "w", 1, 10)
    assert math.isclose(parse.number({"x": "2.5"}, "x", 0, 3), 2.5)


@pytest.mark.parametrize(
    "body",
    [
        {"startRow": 0},
        {"startRow": -1, "endRow": 5},
        {"startRow": 5, "endRow": 5},
        {"startRow": 0, "endRow": 5_000},
        {"startRow": 0, "endRow": 2**40},
        {"startRow": 0, "endRow": 5, "sortModel": [{"colId": "a", "sort": "up"}]},
        {"startRow": 0, "endRow": 5, "sortModel": [{"colId": "a", "sort": "asc"}] * 2},
    ],
)
def test_a_table_asks_for_a_few_rows_at_once(body: Any) -> None:
    with pytest.raises(InputError, match="rows"):
        parse.rows_request(body, SETTINGS)


def test_what_a_table_asks_for_is_understood() -> None:
    body = {"startRow": 100, "endRow": 200, "sortModel": [{"colId": "z", "sort": "desc"}], "filterModel": {}}
    assert parse.rows_request(body, SETTINGS) == (100, 200, "z", True)
    assert parse.rows_request({"startRow": 0, "endRow": 100}, SETTINGS) == (0, 100, "", False)
    assert parse.rows_request(None, SETTINGS) is None
