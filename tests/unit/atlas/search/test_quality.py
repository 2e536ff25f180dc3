"""Which search setting is chosen from what was measured."""

from __future__ import annotations

import msgspec
import pytest

from atlas.errors import FormatError
from atlas.search.index import SearchSetting
from atlas.search.quality import FILENAME, UNMEASURED, Quality, Recall, choose_setting, read_quality


def line(kind: str, k: int, leaves: int, mean: float, ms: float) -> Recall:
    return Recall(kind=kind, k=k, leaves=leaves, candidates=500, mean=mean, worst=mean / 2, queries=9, median_ms=ms)


def quality(*lines: Recall) -> Quality:
    return Quality(
        engine="scann",
        recall=lines,
        trustworthiness=0.9,
        trustworthiness_rows=100,
        trustworthiness_neighbors=15,
        trust_mean=0.8,
        trust_share=0.01,
    )


TABLE = quality(
    line("row", 10, 10, 0.992, 0.2),
    line("row", 100, 10, 0.91, 0.2),
    line("row", 100, 30, 0.991, 0.4),
    line("row", 100, 60, 0.999, 0.9),
    line("least similar", 100, 10, 0.4, 0.2),
    line("least similar", 100, 30, 0.7, 0.4),
    line("least similar", 100, 60, 0.8, 0.9),
)


@pytest.mark.parametrize(
    ("kind", "k", "wanted", "leaves", "mean"),
    [
        ("row", 100, 0.99, 30, 0.991),
        ("row", 100, 0.95, 30, 0.991),
        ("row", 100, 0.9, 10, 0.91),
        ("row", 100, 0.995, 60, 0.999),
        ("row", 7, 0.99, 10, 0.992),
        ("row", 50, 0.99, 30, 0.991),  # judged at the next larger k
        ("least similar", 100, 0.99, 60, 0.8),  # nothing reaches it: the best there is
    ],
)
def test_the_cheapest_setting_that_reaches_the_wanted_recall(kind, k, wanted, leaves, mean):
    setting, recall = choose_setting(TABLE, kind, k, wanted=wanted)
    assert setting == SearchSetting(leaves, 500)
    assert recall is not None
    assert recall.mean == mean


def test_more_rows_than_measured_get_a_setting_but_no_recall():
    setting, recall = choose_setting(TABLE, "row", 101)
    assert setting == SearchSetting(30, 500)
    assert recall is None


def test_a_kind_that_was_not_measured_gets_the_most_thorough_setting_and_no_recall():
    assert choose_setting(TABLE, "probe", 100) == (SearchSetting(60, 500), None)
    assert choose_setting(quality(), "row", 100) == (UNMEASURED, None)


def test_quality_is_read_back_as_written(tmp_path):
    (tmp_path / FILENAME).write_bytes(msgspec.json.encode(TABLE))
    assert read_quality(tmp_path) == TABLE


@pytest.mark.parametrize("text", ["", "[]", '{"engine": "scann"}', '{"recall": 1}'])
def test_a_foreign_or_truncated_file_is_refused(tmp_path, text):
    (tmp_path / FILENAME).write_text(text)
    with pytest.raises(FormatError, match="cannot be read"):
        read_quality(tmp_path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FormatError, match=r"quality\.json is missing"):
        read_quality(tmp_path)
