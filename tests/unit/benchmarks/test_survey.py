"""What is told of a whole survey is what was asked for: right neighbours, real places, a process's own memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from atlas import Atlas
from atlas.search.index import SearchSetting
from atlas.sky.sky_regions import separation_deg
from atlas.storage import layout
from benchmarks.disk import draw_rows
from benchmarks.processes import children_of, watched_in_own_process
from benchmarks.serving import serve
from benchmarks.survey import describe
from benchmarks.survey_search import Searches, Truth, find_truth, measure_exact, measure_search, truth_of
from benchmarks.survey_tables import TITLES, to_markdown
from benchmarks.survey_views import POSITION_OFF_ARCSEC, draw_places, draw_selections, measure_views
from benchmarks.survey_worker import live_through, wander
from benchmarks.visitor import addresses
from dashboard.interaction.browser_events import batch, event
from dashboard.settings import load

MIB = 2**20
LOADING_S = 10
"""For so long an index is not there: a page is drawn within."""


def hold(size: int) -> int:
    """Touch as much memory until whoever watches has had time to look."""
    held = np.ones(size, dtype=np.uint8)
    time.sleep(0.5)
    return held.size


@pytest.fixture(scope="module")
def embeddings() -> NDArray[np.float16]:
    drawn = np.random.default_rng(0).standard_normal((3_000, 16))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float16)


def test_truth_is_what_numpy_finds_without_the_row_itself(embeddings: NDArray[np.float16]) -> None:
    rows = draw_rows(3_000, 20)
    assert len(set(rows.tolist())) == 20
    truth = find_truth(embeddings, rows)
    assert truth.at == (10, 100, 1_000)
    wide = embeddings.astype(np.float64)
    wide /= np.linalg.norm(wide, axis=1, keepdims=True)
    for row, scores in zip(rows, truth.scores, strict=True):
        every = np.sort(np.delete(wide @ wide[row], row))[::-1]
        assert np.allclose(scores, every[[9, 99, 999]], atol=1e-6)


def test_recall_is_told_only_where_there_are_so_many_neighbours(embeddings: NDArray[np.float16]) -> None:
    assert find_truth(embeddings[:101], np.array([3])).at == (10, 100)
    assert find_truth(embeddings[:100], np.array([3])).at == (10,)
    assert find_truth(embeddings[:5], np.array([3])).scores.shape == (1, 0)


def test_recall_counts_scores_as_good_as_the_last_true_one() -> None:
    truth = Truth(np.array([0, 1]), (10,), np.array([[0.5], [0.8]], np.float32))
    whole = np.linspace(0.9, 0.5, 10, dtype=np.float32)
    assert truth.recall(10, [whole, whole + np.float32(0.3)]) == 1
    assert truth.recall(10, [whole - np.float32(0.05), np.full(10, 0.1, np.float32)]) == pytest.approx(8 / 20)
    assert truth.recall(10, [whole[:4], whole]) == pytest.approx((4 + 3) / 20), "what is not found is missing"


def test_a_thorough_setting_finds_what_is_true(small_path: Path) -> None:
    searches = Searches(small_path, draw_rows(20_000, 20))
    truth = find_truth(searches.space.embeddings, searches.rows)
    settings = searches.settings()
    assert searches.pages_setting() in settings
    assert settings == sorted(set(settings), key=lambda setting: (setting.leaves, setting.candidates))
    everything = searches.recall(SearchSetting(searches.index.leaves, 4_000), truth)
    assert min(everything.values()) > 0.99
    little = searches.recall(SearchSetting(1, 100), truth)
    assert set(little) == {"10", "100"} and little["100"] < everything["100"]


def test_places_are_where_galaxies_are(small: Atlas) -> None:
    places = draw_places(small)
    columns = small.columns()
    ra, dec = columns.array(layout.RA), columns.array(layout.DEC)
    assert places.map_boxes[0] == small.space().plane.frame
    assert small.sky.count(*places.sky_views[0]) == small.n_rows
    for at in (1, 9, 50):
        assert small.space().plane.count(places.map_boxes[at]) >= 1
        assert small.sky.count(*places.sky_views[at]) >= 1
        nearest = separation_deg(ra, dec, *places.positions[at]).min() * 3600
        assert 0 < nearest <= POSITION_OFF_ARCSEC + 1e-3
    assert draw_places(small) == places != draw_places(small, 1)


def test_lassos_hold_a_tenth_and_the_filter_stands_on_three_columns(small: Atlas, demo: Atlas) -> None:
    for atlas in (small, demo):
        selections = draw_selections(atlas)
        of_map, of_sky, three = (atlas.mask(one).count / atlas.n_rows for one in selections.values())
        assert abs(of_map - 0.1) < 0.01 and abs(of_sky - 0.1) < 0.01
        assert 0 < three < 1
        words = list(selections)[2].removeprefix("filter on ").split(", ")
        assert len(words) == 3 and all(atlas.columns().describe(word).kind == "number" for word in words)


def test_a_visitor_does_what_the_page_understands(small: Atlas) -> None:
    done = [one for one, _ in zip(wander(small, 0), range(12), strict=False)]
    assert [event["is"] for event in done] == 4 * ["pick", "view", "view"]
    settings = load({}, atlas="none")
    assert len([event(one, settings) for one in batch(json.loads(json.dumps(done)))]) == 12


def test_pictures_are_found_wherever_an_answer_names_them() -> None:
    answer = {"map": {"figure": {"images": [{"source": "/raster/b/map.png?x0=1"}, {"source": None}]}},
              "gallery": ["/cutout/b/5.webp", "cutout", {"href": "/export/b.csv"}]}  # fmt: skip
    assert sorted(addresses(answer)) == ["/cutout/b/5.webp", "/raster/b/map.png?x0=1"]


def test_memory_is_that_of_the_process_which_does_the_work() -> None:
    small, watched_small = watched_in_own_process(hold, MIB, interval_s=0.05)
    large, watched_large = watched_in_own_process(hold, 65 * MIB, interval_s=0.05)
    assert (small, large) == (MIB, 65 * MIB)
    grown = watched_large.peak_bytes(0, np.inf) - watched_small.peak_bytes(0, np.inf)
    assert 60 * MIB < grown < 80 * MIB


def test_children_are_those_that_have_not_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert process.pid in children_of(os.getpid())
        process.communicate(b"\n")
    assert process.pid not in children_of(os.getpid())


def test_all_parts_come_as_tables(demo_path: Path, small_path: Path) -> None:
    about = {"machine": "m", "versions": {"numpy": "2"}}
    dated = {"load_before": 1.0, "date": "d"}
    loaded = {"seconds": 1.5, "heap_mib": 2, "heap_bytes_a_row": 40.1, "peak_mib": 3, "peak_bytes_a_row": 60.0}
    rate = {"threads": 8, "queries_a_second": 1_000}
    for root, setting in ((demo_path, {}), (small_path, {"leaves": 30, "candidates": 500})):
        atlas = Atlas.open(root)
        parts: dict[str, dict[str, Any]] = {
            "open": {"seconds": 0.1, "heap_mib": 1.5},
            "index": {"from_disk": loaded, "from_cache": loaded},
            "search": measure_search(root, truth_of(root, 5)),
            "exact": measure_exact(root),
            "rate": {**rate, **setting},
            "views": measure_views(root, draw_places(atlas), draw_selections(atlas)),
        }
        for line in parts["search"]["lines"]:
            assert {"p50_ms", "p99_ms", "cold_p50_ms", "cold_read_kib", "cold_major_faults"} <= line.keys()
        assert all(1 <= count < atlas.n_rows for count in parts["views"]["selected"].values())
        parts = json.loads(json.dumps({part: {**found, **dated} for part, found in parts.items()}))
        text = to_markdown(about, describe(root), parts)
        assert [f"## {TITLES[part]}" for part in parts] == [one for one in text.splitlines() if one.startswith("## ")]
        assert f"{atlas.n_rows:,} galaxies" in text
        assert "(the page's)" in text and ("30 × 500" in text) is bool(setting)


@pytest.mark.soak
def test_a_worker_is_visited_before_it_can_search_and_after(small_path: Path, small: Atlas, tmp_path: Path) -> None:
    begun = time.perf_counter()
    with serve(small_path, tmp_path, module="tests.slow_dashboard", until_ready=False) as server:
        gate = threading.Timer(LOADING_S, (tmp_path / "gate").touch)
        gate.start()
        found = live_through(server, small, begun)
    assert found["readiness_at_first"] == {"status": 503, "ready": False}
    assert found["search_says_then"] == "search is loading"
    assert found["first_answer_s"] < found["page_drawn_s"] < found["ready_s"]
    assert found["ready_s"] - found["first_answer_s"] > LOADING_S / 2
    assert found["callbacks"] >= 200 and found["pictures"] > 100
    assert 50 < found["ready_mib"] <= found["peak_until_ready_mib"]
    assert found["visited_mib"] <= found["peak_visited_mib"]
    told = {**found, "threads": 8, "load_before": 1.0, "date": "d"}
    text = to_markdown({"machine": "m", "versions": {}}, describe(small_path), {"worker": told})
    assert "503, not ready" in text and "search is loading" in text
