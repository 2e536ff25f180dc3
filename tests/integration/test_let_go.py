"""What opens an atlas and drops it leaves nothing behind: a notebook does so all day."""

from __future__ import annotations

import gc
import threading
from collections import Counter
from pathlib import Path

from atlas import Atlas, Range


def opened_and_dropped(root: Path, n: int) -> Counter[str]:
    """Open files, threads, maps and objects of ours that are held after an atlas was opened and dropped n times."""
    for row in range(n):
        atlas = Atlas.open(root)
        assert len(atlas.similar(rows=[row], k=3)) == 3
        assert atlas.mask(Range("ra", low=0)).count and atlas.sky and atlas.identity and atlas.thumbnails
        atlas.labelled.now()
        assert atlas.seen_in(None).cluster_names.now() is not None
        del atlas
    gc.collect()
    held = Counter(type(one).__qualname__ for one in gc.get_objects() if is_ours(one))
    held["open files"] = len(list(Path("/proc/self/fd").iterdir()))
    held["threads"] = threading.active_count()
    held["maps"] = sum(str(root) in line for line in Path("/proc/self/maps").read_text().splitlines())
    return held


def is_ours(one: object) -> bool:
    return str(type(one).__module__).partition(".")[0] == "atlas"


def test_an_atlas_that_is_dropped_leaves_nothing_behind(demo_path: Path) -> None:
    opened_and_dropped(demo_path, 2)  # what is kept once is kept by then
    before = opened_and_dropped(demo_path, 1)
    after = opened_and_dropped(demo_path, 40)
    assert after - before == Counter()
