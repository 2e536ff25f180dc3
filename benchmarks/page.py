"""Cost of every kind of step on the page: `python -m benchmarks.page ATLAS …`, JSON and Markdown in results/.

The real page in headless Chromium (software GL, so that painting is a good part of every figure) before the real
server. A step is timed from the hand's move until the page was last changed or painted; of that time, for how long the
server was waited for, one of its answers or several at once, pictures aside. Where a job is shown, the step ends when
it is, and the job is timed by itself. The CPU time of the server, its jobs' included, says what a step costs where
others keep the machine busy. Bytes are those of all answers, as they crossed the wire, and those of the largest one.

Each step begins on the page as it opens, with what it needs; none asks what was asked before.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Error, ViewportSize

from atlas import Atlas
from benchmarks.page_steps import WHO, Hand, Step, steps
from benchmarks.processes import cpu_seconds
from benchmarks.serving import browser, serve, settle

REPEATS = 5
RESULTS = Path(__file__).parent / "results"
SIZE = ViewportSize(width=1366, height=768)
SLOW_MS = 1_000

HEAD = {
    "galaxies": "galaxies", "step": "step", "answered_ms": "server, ms", "slowest_answer_ms": "slowest",
    "painted_ms": "to the last paint, ms", "slowest_ms": "slowest", "cpu_ms": "CPU of the server, ms",
    "most_cpu_ms": "most", "job_s": "job, s", "kB": "kB", "largest_kB": "largest, kB",
}  # fmt: skip
"""What a line of the table tells, and the head above it."""

WATCH = """() => {
    window.seen = {painted: 0, job: 0};
    const paint = () => requestAnimationFrame(() => { window.seen.painted = performance.now(); });
    const ofJobs = (node) => node instanceof Element && node.closest('#status-jobs, .gf-job');
    new MutationObserver((changes) => {
        if (!changes.every((one) => ofJobs(one.target))) paint();
        if (!window.seen.job && document.querySelector('[data-job]')) window.seen.job = performance.now();
    }).observe(document.body, {childList: true, subtree: true});
    document.addEventListener('load', paint, true);
    document.querySelectorAll('.js-plotly-plot').forEach((gd) => gd.on('plotly_afterplot', paint));
    performance.setResourceTimingBufferSize(20000);
}"""
BEGIN = """() => {
    performance.clearResourceTimings();
    Object.assign(window.seen, {painted: 0, job: 0});
    return performance.now();
}"""
FOUND = """(begun) => {
    const all = performance.getEntriesByType('resource').filter((one) => one.startTime >= begun - 1);
    const asked = all.filter((one) => ['fetch', 'xmlhttprequest'].includes(one.initiatorType)
                                      && !one.name.includes('/jobs.json'));
    const sizes = all.map((one) => one.encodedBodySize);
    const shown = window.seen.job || Infinity; // what a job asks for when it is done is no part of the step
    let [answered, until] = [0, begun];
    asked.filter((one) => one.startTime < shown).sort((a, b) => a.startTime - b.startTime).forEach((one) => {
        answered += Math.max(0, one.responseEnd - Math.max(until, one.startTime));
        until = Math.max(until, one.responseEnd);
    });
    return {
        answered: answered,
        painted: (window.seen.painted || until) - begun, // a download paints nothing
        job: window.seen.job ? window.seen.job - begun : 0,
        bytes: sizes.reduce((a, b) => a + b, 0), largest: Math.max(0, ...sizes),
    };
}"""


def timed(hand: Hand, step: Step, n: int, server: int) -> dict[str, float]:
    """Milliseconds of waiting for the server and to the last paint, of its CPU time; seconds of its job; bytes of all
    answers and of the largest."""
    hand.begin_anew()
    step.before(hand, n)
    spent = cpu_seconds(server)
    begun = hand.page.evaluate(BEGIN)
    step.move(hand, n)
    hand.page.wait_for_timeout(150)
    settle(hand.page, 180)
    found: dict[str, float] = hand.page.evaluate(FOUND, begun)
    if found["job"]:
        hand.wait()
        done = hand.page.evaluate("performance.now()") - begun
        found |= {"painted": found["job"], "job": done / 1e3}
    found["cpu"] = (cpu_seconds(server) - spent) * 1e3
    return found


def measure(path: Path, repeats: int, only: str) -> list[dict[str, Any]]:
    """One line a step, on one atlas."""
    atlas = Atlas.open(path)
    lines: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch, serve(path, Path(scratch)) as server, browser() as chromium:
        page = chromium.new_page(viewport=SIZE)
        page.add_init_script(f"localStorage.setItem('gf-who', '{WHO}')")
        begun = time.perf_counter()
        page.goto(server.url)
        settle(page, 180)
        opened = round((time.perf_counter() - begun) * 1e3)
        lines.append({"galaxies": atlas.n_rows, "step": "open", "painted_ms": opened, "slowest_ms": opened})
        hand = Hand(page, atlas)
        hand.name_labels()
        page.evaluate(WATCH)
        for step in steps(hand):
            if only not in step.name:
                continue
            try:
                found = [timed(hand, step, n, server.process.pid) for n in range(repeats)]
            except Error as error:  # the others are worth as much without it
                lines.append({"galaxies": atlas.n_rows, "step": step.name, "failed": str(error).splitlines()[0]})
                print(lines[-1], flush=True)
                page.goto(server.url)
                hand.wait()
                page.evaluate(WATCH)
                continue
            lines.append({"galaxies": atlas.n_rows, "step": step.name} | _summary(found))
            print(lines[-1], flush=True)
    return lines


def _summary(found: list[dict[str, float]]) -> dict[str, Any]:
    of = {name: np.array([one[name] for one in found]) for name in found[0]}
    jobs = of["job"][of["job"] > 0]
    return {
        "answered_ms": round(float(np.median(of["answered"]))), "painted_ms": round(float(np.median(of["painted"]))),
        "slowest_answer_ms": round(float(of["answered"].max())), "slowest_ms": round(float(of["painted"].max())),
        "cpu_ms": round(float(np.median(of["cpu"]))), "most_cpu_ms": round(float(of["cpu"].max())),
        **({"job_s": round(float(np.median(jobs)), 1)} if jobs.size else {}),
        "kB": round(float(np.median(of["bytes"])) / 1e3), "largest_kB": round(float(of["largest"].max()) / 1e3),
        "each": [[round(one["answered"]), round(one["painted"])] for one in found],
    }  # fmt: skip


def table(lines: list[dict[str, Any]]) -> str:
    """The lines in Markdown, with the slowest named below."""
    rows = [f"| {' | '.join(HEAD.values())} |", "| --- " * len(HEAD) + "|"]
    for line in lines:
        shown = [f"{line[name]:,}" if isinstance(line.get(name), int) else str(line.get(name, "")) for name in HEAD]
        rows.append(f"| {' | '.join(shown)} |")
    steps_timed = [line for line in lines if "answered_ms" in line]
    slow = [line for line in steps_timed if line["slowest_answer_ms"] > SLOW_MS]
    told = ", ".join(f"{line['step']} ({line['slowest_answer_ms']:,} ms, {line['galaxies']:,})" for line in slow)
    rows += ["", f"Answers that took more than {SLOW_MS:,} ms at their slowest: {told or 'none'}."]
    if steps_timed:
        slowest = max(steps_timed, key=lambda line: line["painted_ms"])
        rows[-1] += f" Slowest to be painted, by its median: {slowest['step']}, {slowest['painted_ms']:,} ms."
    rows += [f"\n{line['step']}: failed, {line['failed']}" for line in lines if "failed" in line]
    return "\n".join(rows)


def main() -> None:
    """Measure the atlases that are named, in one run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("atlas", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--repeats", type=int, default=REPEATS, help=f"times that each step is timed ({REPEATS})")
    parser.add_argument("--only", default="", help="part of the names of steps; the others are left out")
    args = parser.parse_args()
    load = os.getloadavg()
    lines = [line for path in args.atlas for line in measure(path, args.repeats, args.only)]
    about = {
        "machine": platform.processor() or platform.machine(), "cores": os.cpu_count(), "load": load,
        "load_after": os.getloadavg(), "date": datetime.now(UTC).isoformat(timespec="minutes"),
        "versions": {p: metadata.version(p) for p in ("dash", "plotly", "numpy", "scann", "playwright")},
    }  # fmt: skip
    words = (
        f"# The page\n\n`python -m benchmarks.page`, {about['date']}, {about['cores']} cores ({about['machine']}), "
        f"load {load[0]:.1f} before and {os.getloadavg()[0]:.1f} after. Medians of {args.repeats} in headless Chromium "
        "with software GL: how long the server was waited for, and from the hand's move to the last change or paint of "
        "the page. A step that shows a job ends when the job is shown; the job is timed until its answer is "
        f"there.\n\n{table(lines)}\n"
    )
    print(words)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "page.md").write_text(words)
    (args.out / "page.json").write_text(json.dumps({"about": about, "lines": lines}, indent=1) + "\n")


if __name__ == "__main__":
    main()
