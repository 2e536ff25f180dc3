"""Cost of a step on the page as a survey grows: `python -m benchmarks.page ATLAS …`, JSON and Markdown in results/.

The real page in headless Chromium (software GL, so that painting is a good part of every figure) before the real
server. A step is timed from the hand's move until the graphs have been painted with the last of what it asked for; its
bytes are those of all answers, as they crossed the wire, and those of the largest one.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Page, Response, ViewportSize

from atlas import Atlas
from benchmarks.serving import browser, serve, settle

REPEATS = 5
RESULTS = Path(__file__).parent / "results"
SIZE = ViewportSize(width=1366, height=768)

WATCH = """() => {
    window.painted = 0;
    document.querySelectorAll('.js-plotly-plot').forEach((gd) =>
        gd.on('plotly_afterplot', () => requestAnimationFrame(() => { window.painted = performance.now(); })));
}"""


class Steps:
    """A page of an atlas, and the steps that are timed on it."""

    def __init__(self, page: Page, atlas: Atlas) -> None:
        self.page = page
        self.rng = np.random.default_rng(1)
        columns = atlas.columns(atlas.default_space)
        self.rows = self.rng.integers(atlas.n_rows, size=1000)
        self.map_x, self.map_y = (np.asarray(columns.array(name)[self.rows]) for name in ("map_x", "map_y"))
        self.filtered = next(c for c in atlas.columns() if c.kind == "number" and c.quantiles and c.unit == "mag")
        self.build = atlas.build_id
        self.at = 0

    def send(self, event: dict[str, Any]) -> None:
        self.page.evaluate("e => window.galaxyFinder.send(e)", event)

    def zoom(self) -> None:
        box = self.page.locator("#map").bounding_box()
        assert box is not None
        self.page.mouse.move(box["x"] + box["width"] * 0.45, box["y"] + box["height"] * 0.5)
        self.page.mouse.wheel(0, -300)

    def click(self) -> None:
        self.at += 1
        self.send({"is": "pick", "row": int(self.rows[self.at]), "build": self.build})

    def lasso(self) -> None:
        self.at += 1
        x, y = float(self.map_x[self.at]), float(self.map_y[self.at])
        angles = np.linspace(0, 2 * np.pi, 60, endpoint=False)
        corners = [[x + 3.0 * float(np.cos(a)), y + 3.0 * float(np.sin(a))] for a in angles]
        self.send({"is": "lasso", "plane": "map", "vertices": corners})

    def filter(self) -> None:
        q = self.filtered.quantiles
        low = float(self.rng.uniform(q[2], q[4]))
        self.send({"is": "filter", "column": self.filtered.name, "low": low, "high": low + 0.4 * (q[6] - q[2])})


def timed(page: Page, step: Callable[[], None]) -> tuple[float, int, int]:
    """Milliseconds to the last paint, bytes of all answers, bytes of the largest."""
    answers: list[Response] = []

    def keep(response: Response) -> None:
        answers.append(response)

    page.on("response", keep)
    begun = page.evaluate("performance.now()")
    step()
    page.wait_for_timeout(150)
    settle(page)
    page.remove_listener("response", keep)
    sizes = [r.request.sizes()["responseBodySize"] for r in answers]
    return page.evaluate("window.painted") - begun, sum(sizes), max(sizes, default=0)


def measure(path: Path) -> list[dict[str, Any]]:
    """One line a step, on one atlas."""
    atlas = Atlas.open(path)
    lines = []
    with tempfile.TemporaryDirectory() as scratch, serve(path, Path(scratch)) as server, browser() as chromium:
        page = chromium.new_page(viewport=SIZE)
        begun = time.perf_counter()
        page.goto(server.url)
        settle(page)
        opened = (time.perf_counter() - begun) * 1e3
        page.evaluate(WATCH)
        steps = Steps(page, atlas)
        lines.append({"galaxies": atlas.n_rows, "step": "open", "p50_ms": round(opened)})
        for name in ("zoom", "click", "lasso", "filter"):
            if name == "lasso":
                steps.send({"is": "view", "plane": "map"})
                settle(page)
            found = np.array([timed(page, getattr(steps, name)) for _ in range(REPEATS + 1)][1:])
            lines.append({
                "galaxies": atlas.n_rows, "step": name,
                "p50_ms": round(float(np.median(found[:, 0]))), "worst_ms": round(float(found[:, 0].max())),
                "kB": round(float(np.median(found[:, 1])) / 1e3), "largest_kB": round(float(found[:, 2].max()) / 1e3),
            })  # fmt: skip
    return lines


def table(lines: list[dict[str, Any]]) -> str:
    """The lines in Markdown."""
    head = ("galaxies", "step", "p50_ms", "worst_ms", "kB", "largest_kB")
    rows = ["| galaxies | step | median ms | worst ms | kB | largest answer, kB |", "| --- " * 6 + "|"]
    for line in lines:
        shown = [f"{line[name]:,}" if isinstance(line.get(name), int) else str(line.get(name, "")) for name in head]
        rows.append(f"| {' | '.join(shown)} |")
    return "\n".join(rows)


def main() -> None:
    """Measure the atlases that are named, in one run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("atlas", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    load = os.getloadavg()
    lines = [line for path in args.atlas for line in measure(path)]
    about = {
        "machine": platform.processor() or platform.machine(), "cores": os.cpu_count(), "load": load,
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
        "versions": {p: metadata.version(p) for p in ("dash", "plotly", "numpy", "scann", "playwright")},
    }  # fmt: skip
    words = (
        f"# The page\n\n`python -m benchmarks.page`, {about['date']}, {about['cores']} cores ({about['machine']}), "
        f"load {load[0]:.1f} before. Medians of {REPEATS} in headless Chromium with software GL; a step ends when the "
        f"graphs have been painted with the last of its answers.\n\n{table(lines)}\n"
    )
    print(words)
    (args.out / "page.md").write_text(words)
    (args.out / "page.json").write_text(json.dumps({"about": about, "lines": lines}, indent=1) + "\n")


if __name__ == "__main__":
    main()
