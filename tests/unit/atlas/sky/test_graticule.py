"""Lines of RA and Dec: `atlas.sky.graticule`."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.catalog.position_text import parse_position
from atlas.planes.region import Box
from atlas.sky.graticule import graticule
from atlas.sky.projection import Projection

WHOLE = Box(-165, 165, -84, 84)
Style = Literal["deg", "sexagesimal"]
styles = st.sampled_from(["deg", "sexagesimal"])


def value_deg(text: str, kind: str) -> float:
    """What a label says, in degrees."""
    if kind == "ra":
        return parse_position(f"{text}, 0")[0]
    return parse_position(f"0, {text}")[1]


@given(st.floats(0, 360, exclude_max=True), st.floats(-90, 90), st.floats(-4, 1.7), st.floats(-1, 1), styles)
@settings(max_examples=80)
def test_labels_stand_on_their_lines_and_say_where_these_are(
    ra: float, dec: float, log_size: float, shape: float, style: Style
) -> None:
    projection, size = Projection("tan", ra, dec), 10**log_size
    box = Box(-size, size, -size * 2**shape, size * 2**shape)
    drawn = graticule(projection, box, style)
    assert 2 <= len(drawn.lines) <= 40
    for x, y, text, kind in drawn.labels:
        assert box.contains(np.array([x]), np.array([y])).all()
        label_ra, label_dec = (float(v) for v in projection.inverse(x, y))
        says = value_deg(text, kind)
        # Labels lie on straight pieces between points of the line: off by a small part of the view.
        if kind == "dec":
            assert says == pytest.approx(label_dec, abs=0.02 * size + 1e-9)
        else:
            away = (says - label_ra + 180) % 360 - 180
            assert abs(away) * np.cos(np.radians(label_dec)) < 0.02 * size + 1e-9


@given(st.floats(0, 360, exclude_max=True), styles)
@settings(max_examples=20)
def test_lines_of_the_whole_sky_never_jump_across_it(ra: float, style: Style) -> None:
    drawn = graticule(Projection("ait", ra, 0.0), WHOLE, style)
    assert len(drawn.lines) >= 15
    for x, y in drawn.lines:
        assert x.dtype == y.dtype == np.float32
        assert np.nanmax(np.hypot(np.diff(x), np.diff(y))) < 10
    assert {kind for *_, kind in drawn.labels} == {"ra", "dec"}


@pytest.mark.parametrize("pole", [-90.0, 90.0])
def test_meridians_go_all_round_a_pole(pole: float) -> None:
    drawn = graticule(Projection("tan", 0.0, pole), Box(-2, 2, -1, 1))
    values = {value_deg(text, kind) for *_, text, kind in drawn.labels if kind == "ra"}
    assert min(values) < 60
    assert max(values) > 270


@pytest.mark.parametrize(
    ("size", "style", "ra_text", "dec_text"),
    [
        (10.0, "deg", "0°", "0°"),
        (0.01, "deg", "0.005°", "+0.005°"),
        (10.0, "sexagesimal", "00ʰ30ᵐ", "−05°"),
        (0.02, "sexagesimal", "00ʰ00ᵐ02ˢ", "+00°00′30″"),
        (0.0003, "sexagesimal", "00ʰ00ᵐ00.05ˢ", "−00°00′00.5″"),
    ],
)
def test_labels_show_as_much_as_the_field_needs(size: float, style: Style, ra_text: str, dec_text: str) -> None:
    labels = [
        text for *_, text, _ in graticule(Projection("tan", 0.0, 0.0), Box(-size, size, -size, size), style).labels
    ]
    assert ra_text in labels
    assert dec_text in labels


def test_labels_do_not_cover_each_other() -> None:
    for projection, box in ((Projection("ait", 180.0, 0.0), WHOLE), (Projection("tan", 0.0, 89.0), Box(-3, 3, -2, 2))):
        labels = graticule(projection, box).labels
        for i, (x, y, *_) in enumerate(labels):
            for other_x, other_y, *_ in labels[:i]:
                assert abs(x - other_x) > 0.1 * box.width or abs(y - other_y) > 0.04 * box.height


def test_where_there_is_no_sky_there_are_no_lines() -> None:
    assert graticule(Projection("ait", 0.0, 0.0), Box(170, 180, 80, 90)).lines == []
    assert graticule(Projection("tan", 0.0, 0.0), Box(1, 1, 1, 1)).lines == []
