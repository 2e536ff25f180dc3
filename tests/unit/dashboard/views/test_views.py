"""The pure parts of the panels: colours, typed arrays, pictures of density, representatives."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from atlas.storage.manifest import Column
from dashboard.images.density import mean_to_png, to_png, tone
from dashboard.images.embedding import fingerprint
from dashboard.state.shading import Shading
from dashboard.views.figure import marker, polygon_shape, typed
from dashboard.views.palette import (
    CLUSTER_COLORS,
    DARK,
    LIGHT,
    PALETTES,
    Scale,
    color_by,
    color_by_subset,
    scale_of,
    theme,
)


def scale_color(scale: list[tuple[float, str]], position: float) -> str:
    """The colour of a step, or the nearer end where it lies between two."""
    below = max((s for s in scale if s[0] <= position + 1e-9), key=lambda s: s[0])
    return below[1]


def test_arrays_travel_as_their_bytes() -> None:
    for array in (np.arange(5, dtype=np.float32), np.array([1, 2**32 - 1], dtype=np.uint32)):
        spec = typed(array)
        assert np.array_equal(np.frombuffer(base64.b64decode(spec["bdata"]), dtype=spec["dtype"]), array)
    with pytest.raises(KeyError):
        typed(np.arange(3, dtype=np.float16))


def test_a_number_is_coloured_on_its_robust_range_and_missing_is_grey() -> None:
    column = Column(
        name="z", file="z.npy", dtype="float32", kind="number", unit="mag",
        quantiles=(0.0, 1.0, 1.2, 2.0, 3.0, 4.0, 4.5, 5.0, 99.0),
    )  # fmt: skip
    coloring = color_by(column, np.array([np.nan, -50.0, 1.0, 5.0, 99.0], dtype=np.float32), "#808080")
    assert coloring.missing == 1
    span = coloring.high - coloring.low
    at = [(float(v) - coloring.low) / span for v in coloring.values]
    assert scale_color(coloring.scale, at[0]) == "#808080"
    assert scale_color(coloring.scale, at[1]) == scale_color(coloring.scale, at[2]) == PALETTES["viridis"][0]
    assert at[3] == at[4] == pytest.approx(1.0)
    assert coloring.ends == ("≤ 1", "≥ 5 mag")
    assert (coloring.scale[0][0], coloring.scale[-1][0]) == (0.0, 1.0)


def test_a_positive_skewed_column_is_coloured_by_its_logarithm() -> None:
    flux = Column(
        name="flux", file="f.npy", dtype="float32", kind="number",
        quantiles=(0.1, 1.0, 1.5, 3.0, 10.0, 40.0, 200.0, 1000.0, 9000.0),
    )  # fmt: skip
    scale = scale_of(flux, Shading())
    assert scale == Scale(1.0, 1000.0, True)
    at = scale.positions(np.array([1.0, 10.0, 100.0, 1000.0, 1e9, 0.0, -1.0, np.nan]))
    assert np.allclose(at[:5], [0, 1 / 3, 2 / 3, 1, 1], atol=1e-6)
    assert at[5] == 0 and np.isnan(at[6:]).all(), "what has no logarithm is missing; zero lies below the range"
    assert color_by(flux, np.array([10.0], dtype=np.float32), "#808080").ends[1].endswith("log")


def test_a_scale_is_what_was_chosen_as_far_as_the_column_allows() -> None:
    flux = Column(
        name="flux", file="f.npy", dtype="float32", kind="number",
        quantiles=(-5.0, 1.0, 1.5, 3.0, 10.0, 40.0, 200.0, 1000.0, 9000.0),
    )  # fmt: skip
    assert scale_of(flux, Shading()) == Scale(1.0, 1000.0, False)
    assert scale_of(flux, Shading(span=100, log=True)) == Scale(-5.0, 9000.0, False), "no logarithm below zero"
    assert scale_of(flux, Shading(span=90)) == Scale(1.5, 200.0, False)
    assert scale_of(flux, Shading(span=50, log=True)) == Scale(3.0, 40.0, True)
    assert scale_of(flux, Shading(low=2.0)) == Scale(2.0, 1000.0, False)
    assert scale_of(flux, Shading(low=5000.0)).low == 5000.0 and scale_of(flux, Shading(high=-9.0)).high == -9.0
    long = Shading(low=str(2**60 + 1), high=str(2**60 + 5))
    assert scale_of(flux, long).positions(2**60 + np.array([1, 2, 5])).tolist() == [0.0, 0.25, 1.0]
    assert scale_of(flux, long).above(2**60).positions(np.array([1.0, 2.0, 5.0])).tolist() == [0.0, 0.25, 1.0]
    for text in ("12", str(2**64 + 1), "0" * 3 + str(2**60)):
        with pytest.raises(ValueError, match="only whole numbers beyond"):
            Shading(low=text)
    reverse = scale_of(flux, Shading(palette="magma", reversed=True))
    assert reverse.colors == PALETTES["magma"][::-1]
    coloring = color_by(flux, np.array([1.0, 1000.0], np.float32), "#808080", shading=Shading("magma", reversed=True))
    assert [color for _, color in coloring.scale][2:] == [PALETTES["magma"][-1], *PALETTES["magma"][::-1]]
    with pytest.raises(ValueError, match="below"):
        Shading(low=2.0, high=2.0)


def test_points_have_the_colour_of_the_first_subset_that_holds_them() -> None:
    inside = [np.array([True, False, False, True]), np.array([False, True, False, True])]
    coloring = color_by_subset([("a", 4), ("b", 2)], inside, 4, "#808080")
    assert coloring.values.tolist() == [5, 3, 0, 5]
    assert coloring.legend == (("a", CLUSTER_COLORS[4]), ("b", CLUSTER_COLORS[2]))
    assert color_by_subset([], [], 3, "#808080").values.tolist() == [0, 0, 0]


def test_a_picture_of_means_has_the_colours_of_its_scale_and_turns_with_its_axes() -> None:
    means = np.full((4, 6), np.nan, dtype=np.float32)
    means[0, 0], means[3, 5] = 0.0, 1.0
    for flip, low, high in (
        ((False, False), (3, 0), (0, 5)),
        ((True, True), (0, 5), (3, 0)),
        ((True, False), (3, 5), (0, 0)),
    ):
        picture = np.asarray(Image.open(io.BytesIO(mean_to_png(means, Scale(0.0, 1.0, False), flip))).convert("RGBA"))
        assert picture[:, :, 3].sum() == 2 * 255
        for place, color in ((low, PALETTES["viridis"][0]), (high, PALETTES["viridis"][-1])):
            assert "#" + bytes(picture[place][:3]).hex() == color


def test_categories_have_a_colour_each_and_a_legend() -> None:
    column = Column(name="t", file="t.npy", dtype="uint8", kind="category", vocabulary=("DEV", "EXP", "REX"))
    coloring = color_by(column, np.array([0, 1, 2, 255], dtype=np.uint8), "#808080")
    span = coloring.high - coloring.low
    colors = []
    for value in coloring.values:
        at = (float(value) - coloring.low) / span
        step = max(i for i, s in enumerate(coloring.scale) if s[0] <= at)
        colors.append(coloring.scale[step][1])
    assert colors == [*CLUSTER_COLORS[:3], "#808080"]
    assert [word for word, _ in coloring.legend] == ["DEV", "EXP", "REX"]
    assert coloring.missing == 1


def test_rows_outside_all_clusters_are_grey() -> None:
    column = Column(name="cluster", file="c.npy", dtype="int16", kind="number")
    coloring = color_by(column, np.array([-1, 0, 11, 12], dtype=np.int16), "#808080")
    assert coloring.missing == 1
    assert coloring.values.tolist() == [0, 1, 12, 1]


def test_fewer_points_are_drawn_larger() -> None:
    sizes = [marker(n, DARK, None, selected=False)["size"] for n in (100, 1_000, 20_000)]
    assert sizes == sorted(sizes, reverse=True)


def test_more_galaxies_are_never_darker() -> None:
    counts = np.zeros((64, 64), dtype=np.float32)
    counts[:, :32] = 20
    counts[:, 32:] = 400
    bright = tone(counts)
    assert (bright[:, 40:] > bright[:, :24]).all()
    assert bright.max() <= 1
    assert not tone(np.zeros((8, 8), dtype=np.float32)).any()


def test_a_density_picture_is_transparent_where_nothing_is_and_has_its_first_row_below() -> None:
    counts = np.zeros((50, 80), dtype=np.float32)
    counts[5, 10] = 1000.0
    counts[:, 60:] = np.nan
    for look in (DARK, LIGHT):
        picture = np.asarray(Image.open(io.BytesIO(to_png(counts, look))).convert("RGBA"))
        assert picture.shape == (50, 80, 4)
        assert picture[44, 10, 3] == 255
        assert picture[5, 40, 3] == 0 and picture[5, 70, 3] == 0


def test_like_embeddings_have_like_patterns() -> None:
    rng = np.random.default_rng(1)

    def pattern(q: np.ndarray) -> np.ndarray:
        return np.asarray(Image.open(io.BytesIO(fingerprint(q.astype(np.float32)))).convert("RGB"), dtype=float)

    a, b = (v / np.linalg.norm(v) for v in rng.normal(size=(2, 128)))
    near = a + 0.1 * b
    assert np.abs(pattern(a) - pattern(near)).mean() < 0.3 * np.abs(pattern(a) - pattern(b)).mean()
    assert pattern(rng.normal(size=2048)).shape[2] == 3


def test_an_outline_is_filled_where_it_selects() -> None:
    # The middle of a pentagram is selected: crossings do not cut holes.
    assert polygon_shape(np.array([(0, 0), (1, 1), (2, 0)]), theme(light=False))["fillrule"] == "nonzero"


def test_the_commonest_words_have_colours_of_their_own() -> None:
    words = tuple(f"w{i:02d}" for i in range(60))
    column = Column(name="t", file="t.npy", dtype="uint8", kind="category", vocabulary=words)
    commonest = np.arange(60)[::-1]
    coloring = color_by(column, np.array([59, 58, 0, 255], dtype=np.uint8), "#808080", order=commonest)
    assert coloring.values.tolist() == [1, 2, 60 - 36, 0]
    assert coloring.legend[0] == ("w59", CLUSTER_COLORS[0])
    assert len({color for _, color in coloring.legend[:36]}) == 36
    assert coloring.legend[36][1] == CLUSTER_COLORS[0]
