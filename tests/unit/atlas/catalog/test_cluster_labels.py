"""Words on clusters: only where a difference is large enough to deserve one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from atlas.catalog.cluster_labels import Word, group_words, sample_rows, speaks_of_galaxies
from atlas.catalog.columns import Columns, describe_numbers, is_magnitude
from atlas.storage.manifest import Column

QUANTILE_SHARES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)


def columns(folder: Path, **arrays: np.ndarray) -> Columns:
    described = []
    for name, values in arrays.items():
        np.save(folder / f"{name}.npy", values)
        words = ("DEV", "EXP") if name == "kind" else ()
        quantiles = () if words else tuple(np.nanquantile(values, QUANTILE_SHARES).tolist())
        described.append(Column(
            name=name, file=f"{name}.npy", dtype=values.dtype.name, kind="category" if words else "number",
            unit="mag" if name.startswith("mag") else "", quantiles=quantiles, vocabulary=words,
        ))  # fmt: skip
    return Columns(folder, tuple(described), len(next(iter(arrays.values()))))


def words_of(survey: Columns, used: list[Column], n_clusters: int) -> dict[int, tuple[Word, ...]]:
    labels = np.asarray(survey.array("cluster"), dtype=np.int64)
    return group_words(survey, used, np.arange(labels.size), [labels], n_clusters)


@pytest.fixture
def survey(tmp_path: Path) -> Columns:
    rng = np.random.default_rng(0)
    n = 6_000
    cluster = np.repeat([0, 1, 2, -1], n // 4).astype(np.int16)
    z = rng.normal(0, 1, n) + np.where(cluster == 1, 3.0, 0.0)
    mag = rng.normal(18, 1, n) - np.where(cluster == 2, 3.0, 0.0)
    noise = rng.normal(0, 1, n)
    mostly_missing = np.where((cluster == 0) & (np.arange(n) % 10 == 0), 50.0, np.nan)
    kind = np.where(cluster == 0, 0, 1).astype(np.uint8)
    return columns(tmp_path, cluster=cluster, z=z, mag_r=mag, noise=noise, z_spec=mostly_missing, kind=kind)


def test_a_cluster_is_called_what_sets_it_apart(survey: Columns) -> None:
    used = [c for c in survey if c.name != "cluster"]
    words = words_of(survey, used, 3)
    assert [word.text for word in words[1]] == ["higher redshift"]
    assert [word.text for word in words[2]] == ["brighter"], "a small magnitude is a bright galaxy"
    assert [word.text for word in words[0]] == ["mostly DEV"]
    assert words[2][0].why.startswith("mag r (mag_r) is 15") and "mag among all galaxies" in words[2][0].why
    assert not any("noise" in word.why or "z_spec" in word.why for told in words.values() for word in told)


def test_three_magnitudes_say_brighter_once(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    cluster = np.repeat([0, 1], 1_000).astype(np.int16)
    bright = np.where(cluster == 1, -4.0, 0.0)
    names = ("mag_g", "mag_r", "mag_z")
    survey = columns(tmp_path, cluster=cluster, **{name: rng.normal(18, 1, 2_000) + bright for name in names})
    words = words_of(survey, [c for c in survey if c.name in names], 2)
    assert [word.text for word in words[1]] == ["brighter"]


def test_names_of_objects_say_nothing_of_a_cluster_and_large_numbers_keep_their_digits(tmp_path: Path) -> None:
    n = 1_000
    cluster = np.repeat([0, 1], n // 2).astype(np.int16)
    place = np.r_[np.arange(n // 2), 5 * n + np.arange(n // 2)]
    told = columns(tmp_path, cluster=cluster, healpix29=2**60 + place // 2, row=2**60 + place, large=2**60 + place // 2)
    named = [describe_numbers(np.asarray(told.array(c.name)))[1] for c in told]
    used = [replace(c, quantiles=q) for c, q in zip(told, named, strict=True) if c.name != "cluster"]
    assert not speaks_of_galaxies(used[0]) and speaks_of_galaxies(used[1])
    words = words_of(told, used[1:], 2)
    assert {label: [word.text for word in found] for label, found in words.items()} == {
        0: ["lower large"],
        1: ["higher large"],
    }


def test_few_members_have_nothing_said_of_them(tmp_path: Path) -> None:
    cluster = np.r_[np.zeros(500), np.ones(10)].astype(np.int16)
    few = columns(tmp_path, cluster=cluster, z=np.r_[np.random.default_rng(1).normal(size=500), np.full(10, 9.0)])
    assert words_of(few, [c for c in few if c.name == "z"], 2) == {}


def test_effects_are_judged_by_a_sample_whatever_the_survey() -> None:
    rows = sample_rows(42_272_646)
    assert rows.size <= 200_000 and (np.diff(rows) > 0).all()
    assert np.histogram(rows, 4, (0, 42_272_646))[0].min() > 48_000
    assert np.array_equal(sample_rows(10), np.arange(10))


@pytest.mark.parametrize(
    ("name", "unit", "ucd", "expected"),
    [
        ("mag_r", "mag", "phot.mag;em.opt.R", True),
        ("g_minus_r", "mag", "phot.color", False),
        ("inst_blue_minus_green", "mag", "", False),
        ("mag_err", "mag", "stat.error", False),
        ("ebv", "mag", "", False),
        ("z_phot", "", "src.redshift.phot", False),
    ],
)
def test_only_brightness_is_a_magnitude(name: str, unit: str, ucd: str, expected: bool) -> None:
    column = Column(name=name, file="a.npy", dtype="float32", kind="number", unit=unit, ucd=ucd)
    assert is_magnitude(column) is expected


@pytest.mark.parametrize(
    ("ucd", "expected"),
    [("phot.mag;em.opt.R", True), ("", True), ("src.redshift.phot", True), ("stat.error;src.redshift.phot", False),
     ("instr.det.psf", False), ("meta.code", False), ("phot.flux", False)],
)  # fmt: skip
def test_what_was_measured_how_is_no_word_on_galaxies(ucd: str, expected: bool) -> None:
    assert speaks_of_galaxies(Column(name="a", file="a.npy", dtype="float32", kind="number", ucd=ucd)) is expected


def test_what_is_rare_elsewhere_is_told_and_medium_effects_where_none_is_large(
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(2)
    n = 12_000
    cluster = np.repeat([0, 1, 2, -1, -1, -1], n // 6).astype(np.int16)
    kind = np.where((cluster == 0) & (np.arange(n) % 2 == 0), 0, 1).astype(np.uint8)
    z = rng.normal(0, 1, n) + np.where(cluster == 1, 0.7, 0.0)
    survey = columns(tmp_path, cluster=cluster, z=z, kind=kind)
    words = words_of(survey, [c for c in survey if c.name != "cluster"], 3)
    assert {label: [word.text for word in told] for label, told in words.items()} == {
        0: ["often DEV"],
        1: ["somewhat higher redshift"],
    }
