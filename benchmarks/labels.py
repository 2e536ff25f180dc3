"""Times of labels and long galleries on the page: `python -m benchmarks.labels ATLAS [--labels 100000]`.

Labels are drawn at random and kept in a database of its own, and every cluster gets a name. Prints what that takes, and
for whoever opens the atlas then; and for headless Chromium before a real server, the time from the key to the drawer's
answer, and for galleries of 24 and 1,000 images the time until all of it is drawn and what the answer weighs.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from playwright.sync_api import Page

from atlas import Atlas, Labelled
from atlas.labels.entry import Entry
from atlas.labels.store import Labels
from benchmarks import serving

WORDS = ("lens", "ring", "merger")
AT_ONCE = 5_000
SHOW = """n => new Promise(done => {
    const from = performance.now(), select = document.querySelector('#shown');
    select.value = String(n);
    select.dispatchEvent(new Event('change', { bubbles: true }));
    (function look() {
        const images = Array.from(document.querySelectorAll('#gallery > .gf-tile img'));
        if (images.length === n && images.slice(0, 8).every(i => i.naturalWidth)) return done(performance.now() - from);
        requestAnimationFrame(look);
    })();
})"""


def entries(atlas: Atlas, n: int) -> Iterator[Entry]:
    """Labels of galaxies drawn at random."""
    rows = np.random.default_rng(1).choice(atlas.n_rows, n, replace=False)
    ra, dec = (atlas.columns().array(name)[rows].tolist() for name in ("ra", "dec"))
    for at, name in enumerate(atlas.identity.names(rows)):
        yield Entry(id=f"drawn-{at:08d}", kind="label", who="Ada", galaxy=name, label=WORDS[at % len(WORDS)],
                    ra_deg=ra[at], dec_deg=dec[at])  # fmt: skip


def named(root: Path, kept: Labels) -> Iterator[tuple[str, float]]:
    """Seconds that names of all clusters take."""
    atlas = Atlas.open(root, labels=kept)
    labels = [one.label for one in atlas.space().cluster_tree.every]
    for label in labels:
        start = time.perf_counter()
        atlas.name_cluster(label, f"name {label}", who="Ada")
        if label in (labels[0], labels[-1]):  # the first opens what the others use
            yield f"cluster {label} named, s", time.perf_counter() - start
    atlas = Atlas.open(root, labels=kept)
    start = time.perf_counter()
    atlas.cluster_names.now()
    yield f"names of {len(labels)} clusters placed, s", time.perf_counter() - start
    start = time.perf_counter()
    _ = atlas.clusters
    yield f"words and shares of {len(labels)} clusters, s", time.perf_counter() - start


def galleries(page: Page, n_rows: int) -> Iterator[tuple[str, float]]:
    """Figures of galleries of two sizes."""
    answers: list[int] = []
    page.on(
        "requestfinished",
        lambda r: answers.append(r.sizes()["responseBodySize"]) if '"gallery-told' in (r.post_data or "") else None,
    )
    for n in (16, min(1000, n_rows), 24, min(1000, n_rows)):
        answers.clear()
        taken = page.evaluate(SHOW, n)
        serving.settle(page)
        if n != 16:  # the first choice warms the server
            yield f"{n:,} images: drawn, ms", taken
            yield f"{n:,} images: answer, kB", max(answers, default=0) / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("atlas", type=Path)
    parser.add_argument("--labels", type=int, default=100_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place, atlas = Path(folder, "labels.sqlite"), Atlas.open(args.atlas)
        kept, drawn = Labels(place), list(entries(atlas, args.labels))
        start = time.perf_counter()
        for at in range(0, len(drawn), AT_ONCE):
            kept.add(drawn[at : at + AT_ONCE])
        print(f"{args.labels:,} labels kept, s: {time.perf_counter() - start:.2f}")
        start = time.perf_counter()
        Atlas.open(args.atlas, labels=kept).mask(Labelled(WORDS[:1]))
        print(f"opened in a notebook, with the atlas, s: {time.perf_counter() - start:.2f}")
        for name, value in named(args.atlas, kept):
            print(f"{name}: {value:.2f}")
        with serving.serve(args.atlas, Path(folder), labels=place) as server, serving.browser() as chromium:
            page = chromium.new_page(reduced_motion="reduce")
            page.goto(server.url)
            serving.settle(page)
            start = time.perf_counter()
            page.keyboard.press("n")
            page.wait_for_selector("#drawer .gf-label")
            print(f"from the key to the drawer's answer, s: {time.perf_counter() - start:.2f}")
            page.keyboard.press("Escape")
            page.keyboard.press("r")
            serving.settle(page)
            for name, value in galleries(page, atlas.n_rows):
                print(f"{name}: {value:,.0f}")


if __name__ == "__main__":
    main()
