"""Colours that are computed when a catalogue is read."""

from __future__ import annotations

import numpy as np

from precompute.sources.color_columns import Color, colors_of, difference


def test_bands_that_follow_each_other_have_a_colour() -> None:
    names = ["ra", "mag_z", "mag_g", "mag_r", "inst_mag_red", "mag_auto", "z_phot"]
    assert colors_of(dict.fromkeys(names, "")) == [
        Color("g_minus_r", "mag_g", "mag_r"),
        Color("r_minus_z", "mag_r", "mag_z"),
    ]
    assert colors_of(dict.fromkeys(["mag_r", "z_phot"], "")) == []


def test_a_colour_that_the_catalogue_brings_is_its_own() -> None:
    assert colors_of(dict.fromkeys(["mag_g", "mag_r", "g_minus_r"], "")) == []


def test_a_missing_magnitude_leaves_no_colour() -> None:
    found = difference(np.array([18.0, np.nan, 20.0]), np.array([17.5, 17.0, np.nan], dtype=np.float32))
    assert found.dtype == np.float32
    assert found[0] == 0.5 and np.isnan(found[1:]).all()
