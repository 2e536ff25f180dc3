"""Engines that stand side by side answer the same question, and recall is what it says."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from atlas.storage.scattered_rows import disk_reads
from benchmarks.search import WANTED, Questions, ask, draw, drop_pages, measure, table, to_markdown, verdict
from benchmarks.search_engines import Engine, K, Ours, without
from benchmarks.search_peers import WIDE_ENGINES

N = 12_000
QUERIES = 40


@pytest.fixture(scope="module")
def embeddings(tmp_path_factory: pytest.TempPathFactory) -> NDArray[np.float16]:
    path = tmp_path_factory.mktemp("search") / "embeddings.npy"
    draw(path, N)
    return np.load(path, mmap_mode="r")


@pytest.fixture(scope="module")
def asked(embeddings: NDArray[np.float16]) -> Questions:
    return ask(embeddings, QUERIES)


def test_the_survey_has_unit_rows_all_different(embeddings: NDArray[np.float16]) -> None:
    assert embeddings.shape == (N, 128)
    assert np.allclose(np.linalg.norm(embeddings.astype(np.float64), axis=1), 1, atol=2e-3)
    assert len(np.unique(embeddings, axis=0)) == N


def test_truth_is_what_numpy_finds_without_the_row_itself(embeddings: NDArray[np.float16], asked: Questions) -> None:
    assert len(set(asked.rows)) == QUERIES
    wide = embeddings.astype(np.float64)
    wide /= np.linalg.norm(wide, axis=1, keepdims=True)
    for row, query, truth in zip(asked.rows, asked.embeddings, asked.truth, strict=True):
        assert np.array_equal(query, embeddings[row])
        scores = wide @ wide[row]
        scores[row] = -2
        assert np.allclose(scores[truth], np.sort(scores)[::-1][:K], atol=1e-6)
        assert len(set(truth)) == K and row not in truth


def test_queries_are_the_same_in_every_run(embeddings: NDArray[np.float16], asked: Questions) -> None:
    assert np.array_equal(ask(embeddings, QUERIES).rows, asked.rows)


def test_recall_is_the_share_of_the_truth_that_was_found() -> None:
    truth = np.arange(2 * K).reshape(2, K)
    asked = Questions(np.array([900, 901]), np.zeros((2, 4), np.float32), truth)
    assert asked.recall(list(truth)) == 1
    assert asked.recall([truth[0][::-1], truth[1] + 10_000]) == 0.5
    assert asked.recall([truth[0][:25], np.repeat(truth[1][:1], K)]) == pytest.approx((0.25 + 1 / K) / 2)
    assert asked.recall([truth[1], truth[0]]) == 0


def test_own_row_and_padding_are_no_answer() -> None:
    found = np.tile(np.arange(K + 1), (2, 1))
    found[1, -1] = -1
    first, second = without(found, np.array([3, 5_000]))
    assert np.array_equal(first, np.setdiff1d(np.arange(K + 1), [3]))
    assert np.array_equal(second, np.arange(K))


@pytest.mark.parametrize("kind", WIDE_ENGINES, ids=lambda kind: kind.__name__)
def test_an_engine_finds_the_nearest_rows(
    kind: type[Engine], embeddings: NDArray[np.float16], asked: Questions, tmp_path: Path
) -> None:
    kind().build(embeddings, tmp_path / "index")
    engine = kind()
    engine.load(embeddings, tmp_path / "index")
    hardest, easiest = engine.ladder[-1], engine.ladder[0]
    assert len(hardest) == len(engine.knobs)

    one = [engine.one(q, int(row), hardest) for q, row in zip(asked.embeddings, asked.rows, strict=True)]
    many = engine.many(asked.embeddings, asked.rows, hardest)
    for answers in (one, many):
        assert asked.recall(answers) >= (0.99 if len(engine.ladder) > 1 else 1)
        for row, query, found in zip(asked.rows, asked.embeddings, answers, strict=True):
            assert len(found) == len(set(found.tolist())) == K
            assert row not in found
            scores = embeddings[found].astype(np.float64) @ query
            assert np.all(np.diff(scores) < 2e-3)  # nearest first, as far as products in float16 tell
    if len(engine.ladder) > 1:
        little = [engine.one(q, int(row), easiest) for q, row in zip(asked.embeddings, asked.rows, strict=True)]
        assert asked.recall(little) < asked.recall(one)  # the setting reaches the engine

    for part in engine.parts(hardest).values():
        assert len(np.atleast_1d(np.squeeze(part(asked.embeddings[0])))) >= 1


@pytest.mark.soak
def test_an_index_that_was_kept_is_measured_and_not_built_again(tmp_path: Path) -> None:
    first, second = (next(measure(N, tmp_path, [Ours], QUERIES, 1, keep=True)) for _ in range(2))
    assert first["build_s"] == second["build_s"] > 0
    assert [at["wanted"] for at in second["at"]] == [*WANTED]
    assert first["ladder"][-1]["recall"] == second["ladder"][-1]["recall"] >= 0.99
    assert (tmp_path / f"index-{N}-ours/index.json").exists()
    assert len([*measure(N, tmp_path, [Ours], QUERIES, 1)]) == 1
    assert [path.name for path in tmp_path.iterdir()] == [f"embeddings-{N}.npy"], "else nothing stays but the survey"


def test_a_file_that_was_dropped_from_memory_is_read_from_the_disk_again(tmp_path: Path) -> None:
    path = tmp_path / "rows.npy"
    np.save(path, np.arange(1_000_000).reshape(-1, 100))
    with path.open("rb") as file:
        os.fsync(file.fileno())
    mapped = np.load(path, mmap_mode="r")
    total = int(mapped.sum())
    before = disk_reads()
    assert int(mapped.sum()) == total
    assert disk_reads() == before
    drop_pages(mapped, path)
    assert int(mapped.sum()) == total
    assert disk_reads() > before


def test_results_come_as_a_table_with_a_verdict() -> None:
    def result(engine: str, p50: float, memory: float, recall: float | None = 0.991) -> dict:
        found = {"setting": {"effort": 7}, "p50_ms": p50, "p99_ms": 2 * p50, "queries_a_second": 1_000}
        at = [
            {
                "wanted": wanted,
                "recall": recall,
                "best_recall": 0.9,
                "parts_p50_ms": {"the codes": 0.1},
                "cold_p50_ms": 7.2,
                **found,
            }
            for wanted in WANTED
        ]
        return {"engine": engine, "build_s": 1.5, "bytes_a_row": memory, "file_bytes_a_row": 0, "machine_load": 1.0,
                "at": at}  # fmt: skip

    engines = [result("ours", 0.3, 40), result("slow", 0.9, 300), result("fast", 0.6, 400), result("bad", 0.1, 9, None)]
    run = {"rows": 5, "engines": engines}
    assert {line.count("|") for line in table(run)} == {12}
    assert "not reached (0.900)" in "\n".join(table(run))
    told = verdict(run)
    assert "fastest peer is fast" in told and "0.50 of its median time and 0.100 of its memory" in told
    assert "the codes 0.10" in told and told.endswith("memory: 7 ms.")
    assert verdict({**run, "engines": [engines[0], engines[3]]}).endswith("no comparison.")
    assert told in to_markdown({"machine": "m", "versions": {"numpy": "2"}}, [run])
