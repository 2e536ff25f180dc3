"""The benchmark of the page: its table says which answers were slow, and that a step could not be taken."""

from __future__ import annotations

from benchmarks.page import _summary, table


def found(answered: float, painted: float, job: float = 0.0) -> dict[str, float]:
    return {"answered": answered, "painted": painted, "job": job, "bytes": 2e3, "largest": 1e3, "cpu": 10.0}


def test_medians_and_the_slowest_are_told_and_answers_apart_from_paint() -> None:
    line = _summary([found(100, 900), found(200, 1_500), found(150, 5_000, job=2.0)])
    assert (line["answered_ms"], line["painted_ms"]) == (150, 1_500)
    assert (line["slowest_answer_ms"], line["slowest_ms"], line["job_s"]) == (200, 5_000, 2.0)


def test_only_answers_beyond_a_second_are_named_as_slow() -> None:
    lines = [{"galaxies": 10, "step": name} | _summary([one]) for name, one in (
        ("painted late", found(900, 4_000)), ("answered late", found(1_200, 1_300)),
    )]  # fmt: skip
    text = table([*lines, {"galaxies": 10, "step": "broken", "failed": "no such button"}])
    slow = next(line for line in text.splitlines() if line.startswith("Answers that took more"))
    assert "answered late (1,200 ms, 10)" in slow and "painted late (" not in slow
    assert "Slowest to be painted, by its median: painted late, 4,000 ms" in slow
    assert "broken: failed, no such button" in text
