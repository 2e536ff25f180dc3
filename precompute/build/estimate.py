"""What a build will take, said before it starts: time, memory and disk of each stage, and whether they are there.

Memory and disk follow from rows, dimensions and parameters. Times are rates that were measured on one machine with
simulated surveys of 0.1 to 10 million galaxies (`python -m benchmarks.build`), scaled by how fast this machine does
two small tasks, which takes a third of a second (`calibrate`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
from threadpoolctl import threadpool_limits

from atlas.errors import ResourceError
from atlas.search.index import SearchSetting
from atlas.storage import layout
from atlas.storage.publish import free_bytes, human_bytes

from ..config import BuildConfig
from ..parallel import thread_count
from ..stages.index.leaf_finder import products_a_row
from ..stages.index.scann import DIMENSIONS_A_BLOCK, PROCESS_BYTES, Plan
from ..stages.index.stage import Engine, choose_engine, index_plan
from ..stages.knn import SETTING, quick_setting
from ..stages.subsample import ANCHORS_A_GROUP
from ..stages.subsample_groups import CELL_ROWS, SAMPLE_ROWS

PRODUCT_S, SORT_S = 8.0e-3, 4.3e-3
"""What the two tasks of `calibrate` took on the machine of the rates."""

PRODUCTS_A_SECOND = 5e10
"""Multiplications and additions of float32 that one core did in a second there, with all that surrounds them."""

MATHS_BYTES = 500 << 20
"""UMAP, numba and scikit-learn, once they are loaded, and what a pass over chunks holds."""

NEIGHBORS_BYTES = 8 * layout.KNN_NEIGHBORS
"""Nearest of one row, and their similarities."""

GIB = 2**30


class StageEstimate(msgspec.Struct, frozen=True, kw_only=True):
    """What one stage will take.

    Attributes
    ----------
    name : str
    seconds : float
        Wall time.
    memory : int
        Bytes that no file backs, at the peak.
    disk : int
        Bytes of its outputs.
    """

    name: str
    seconds: float
    memory: int
    disk: int


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """What a build will take.

    Attributes
    ----------
    n_rows, dimension : int
    engine : {"scann", "faiss", "exact"}
    index : Plan
        Sizes of the index's parts.
    stages : tuple of StageEstimate
        In order.
    scratch : int
        Bytes of disk that are needed for a while only.
    speed : float
        Of this machine, over that of the rates.
    """

    n_rows: int
    dimension: int
    engine: Engine
    index: Plan
    stages: tuple[StageEstimate, ...]
    scratch: int
    speed: float

    @property
    def seconds(self) -> float:
        """Of all stages."""
        return sum(stage.seconds for stage in self.stages)

    @property
    def memory(self) -> int:
        """Of the stage that takes most."""
        return max(stage.memory for stage in self.stages)

    @property
    def disk(self) -> int:
        """Of the atlas."""
        return sum(stage.disk for stage in self.stages)


class _Sizes(msgspec.Struct, frozen=True):
    """What the formulas read."""

    n: int
    d: int
    anchors: int
    known: int
    columns: int
    plan: Plan
    engine: Engine
    config: BuildConfig
    images: int

    def products(self, rows: int, others: int) -> float:
        """Seconds for the inner products of `rows` with `others` embeddings on one core."""
        return rows * others * self.d / PRODUCTS_A_SECOND


# Of each stage: seconds of one core that cannot be shared, and seconds that threads share.
Cost = Callable[[_Sizes], tuple[float, float]]


def _index_cost(s: _Sizes) -> tuple[float, float]:
    if s.engine == "exact":
        return 0.1, 0
    p, width = s.plan, s.d / 128
    pieces = -(-s.n // p.piece_rows)
    train = 4.5e-6 * p.tree_sample * p.leaves**0.5 * width
    assign = s.n * 4.5e-6 + s.products(s.n, round(products_a_row(p.leaves)))
    encode = s.n * 20e-6 * width + pieces * 2
    return train / 2 + s.n * 3e-6 * width, train / 2 + assign + encode


def _search_cost(s: _Sizes, rows: int, setting: SearchSetting) -> float:
    """Seconds for the ten nearest of some rows."""
    if s.engine == "exact":
        return s.products(rows, s.n) * 2
    scanned = min(setting.leaves, s.plan.leaves) * s.n / s.plan.leaves
    return rows * (6e-7 * setting.candidates * s.d / 128 + s.plan.leaves * 4e-9 * s.d / 128 + scanned * 3.5e-9)


def _knn_cost(s: _Sizes) -> tuple[float, float]:
    check = s.n * 6e-6 * s.d / 128
    if s.known == s.n:
        return check, _search_cost(s, s.n, SETTING)
    quick = quick_setting(s.n, s.plan.leaves)
    return check, _search_cost(s, s.known, SETTING) + _search_cost(s, s.n, quick)


def _subsample_cost(s: _Sizes) -> tuple[float, float]:
    if s.anchors == s.n:
        return 0, 0
    groups, sample = s.anchors // ANCHORS_A_GROUP, min(s.n, SAMPLE_ROWS)
    links = sample * 35e-6 + s.products(sample, sample // CELL_ROWS + groups) * 2
    return s.n * 4e-7, links + s.products(s.n, groups) * 2


COSTS: dict[str, Cost] = {
    "read": lambda s: (s.n * s.columns * 1e-7, 0),
    "embeddings": lambda s: (s.n * s.d * 2e-8, 0),
    "index": _index_cost,
    "knn": _knn_cost,
    "subsample": _subsample_cost,
    "umap": lambda s: (5 + 6e-4 * s.anchors * (s.config.n_epochs or 200) / 200, s.products(s.anchors, s.anchors) * 2),
    "place": lambda s: (2, 8 * s.anchors / 50_000 + s.n * 35e-6 * s.d / 128) if s.anchors < s.n else (0, 0),
    "clusters": lambda s: (12 * (s.anchors / 50_000) ** 1.5 + s.n * 1e-6 * s.d / 128, 0),
    "anomalies": lambda s: (2 + s.n * 2e-6, s.n * 2e-6 + s.products(s.n, 2 * s.d)),
    "planes": lambda s: (s.n * 1e-6, 0),
    "thumbnails": lambda s: (0, s.images * 5e-3),
    "measure": lambda s: ((20 + s.n * 3e-6 * s.d / 128) * s.config.recall_queries / 200, s.known * 30e-6),
}


def _index_memory(s: _Sizes) -> int:
    return PROCESS_BYTES if s.engine == "exact" else max(s.plan.train_bytes, s.plan.encode_bytes)


def _opened_index(s: _Sizes) -> int:
    """An index while it is opened: its files, and the codes packed."""
    return 0 if s.engine == "exact" else s.n * (s.d * 3 // 4 + 8) + s.plan.leaves * s.d * 200


MEMORY: dict[str, Callable[[_Sizes], int]] = {
    "read": lambda s: s.n * 60,
    "embeddings": lambda s: 20 * 65_536 * s.d,
    "index": _index_memory,
    "knn": lambda s: _opened_index(s) + s.n * 20,
    "subsample": lambda s: s.n * 36 + min(s.n, SAMPLE_ROWS) * (s.d * 4 + 900),
    "umap": lambda s: s.anchors * (s.d * 12 + 2_000),
    "place": lambda s: s.anchors * s.d * 8,
    "clusters": lambda s: s.n * 8 + s.anchors * 1_000,
    "anomalies": lambda s: s.n * 48 + 100_000 * s.d * 12,
    "planes": lambda s: s.n * 24,
    "thumbnails": lambda s: 0,
    "measure": lambda s: _opened_index(s) + s.n * 16,
}

DISK: dict[str, Callable[[_Sizes], int]] = {
    "read": lambda s: s.n * (12 + 6 * (s.columns + 2)),
    "embeddings": lambda s: s.n * s.d * (2 if s.config.embedding_dtype == "float16" else 4),
    "index": lambda s: 0 if s.engine == "exact" else s.n * (-(-s.d // 2) + 4) + 4 * s.plan.leaves * s.d * 2,
    "knn": lambda s: s.n * 4 + s.known * NEIGHBORS_BYTES,
    "subsample": lambda s: s.anchors * 4,
    "umap": lambda s: s.anchors * 8,
    "place": lambda s: s.n * 13,
    "clusters": lambda s: s.n * 2,
    "anomalies": lambda s: s.n * 20,
    "planes": lambda s: s.n * 32 + (32 << 20),
    "thumbnails": lambda s: s.images * (s.config.thumbnail_pixels**2 * 3 // 5),
    "measure": lambda s: s.n * 4,
}

HELP = {
    "index": "fewer leaves (--leaves), a smaller sample to train on (--tree-sample)",
    "subsample": "a smaller subsample (--subsample)",
    "umap": "a smaller subsample (--subsample)",
    "place": "a smaller subsample (--subsample)",
    "clusters": "a smaller subsample (--subsample)",
}
"""What makes a stage take less memory, beside fewer galaxies."""


def estimate_build(
    n_rows: int, dimension: int, config: BuildConfig, *, columns: int, images: int = 0, speed: float = 1.0
) -> Estimate:
    """What a build will take, from sizes alone.

    Parameters
    ----------
    n_rows, dimension : int
    config : BuildConfig
    columns : int
        Of the catalogue.
    images : int
        That are stored.
    speed : float
        Of this machine, as `calibrate` finds it.
    """
    n, threads = n_rows, thread_count(config.threads)
    plan = index_plan(n, dimension, config)
    engine = choose_engine(config.engine, n)
    sizes = _Sizes(
        n=n,
        d=dimension,
        anchors=min(n, config.subsample),
        known=n if config.knn == "all" else min(n, config.knn_sample),
        columns=columns,
        plan=plan,
        engine=engine,
        config=config,
        images=images,
    )
    stages = []
    for name, cost in COSTS.items():
        alone, shared = cost(sizes)
        stages.append(
            StageEstimate(
                name=name,
                seconds=(alone + shared / threads) / speed,
                memory=MATHS_BYTES + MEMORY[name](sizes),
                disk=DISK[name](sizes),
            )
        )
    # Pieces on their way through ScaNN: their float32 embeddings, and the codes that come back. All codes once more.
    pieces = min((plan.encoders + 1) * plan.piece_rows, n)
    scratch = pieces * dimension * 5 + n * -(-dimension // DIMENSIONS_A_BLOCK)
    return Estimate(
        n_rows=n,
        dimension=dimension,
        engine=engine,
        index=plan,
        stages=tuple(stages),
        scratch=scratch if engine == "scann" else 0,
        speed=speed,
    )


def calibrate() -> float:
    """Speed of one core of this machine, over the one that the rates were measured on; takes a third of a second."""
    rng = np.random.default_rng(0)
    left, right = rng.random((1_024, 128), dtype=np.float32), rng.random((128, 4_096), dtype=np.float32)
    values = rng.random(1 << 20, dtype=np.float32)
    out = np.empty((len(left), right.shape[1]), dtype=np.float32)
    with threadpool_limits(limits=1, user_api="blas"):
        product = min(_cpu_seconds(lambda: np.matmul(left, right, out=out)) for _ in range(10))
        sort = min(_cpu_seconds(lambda: np.sort(values)) for _ in range(10))
    return float(np.sqrt(PRODUCT_S / product * SORT_S / sort))


def available_memory() -> int:
    """Bytes that the system can give to new processes."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def check_fits(estimate: Estimate, out: Path, config: BuildConfig) -> None:
    """Refuse a build that the disk or the memory cannot hold.

    Parameters
    ----------
    estimate : Estimate
    out : Path
        Folder of the atlas.
    config : BuildConfig

    Raises
    ------
    ResourceError
        Naming each number that is too large, and what would help.
    """
    problems = [*_memory_problems(estimate, config), *_disk_problems(estimate, out, config)]
    if problems:
        raise ResourceError("; ".join(problems))


def describe_estimate(estimate: Estimate, config: BuildConfig) -> str:
    """The estimate as a table for a person at a terminal."""
    lines = [
        f"{estimate.n_rows:,} galaxies of {estimate.dimension} numbers, {thread_count(config.threads)} threads",
        f"{'stage':<11} {'time':>9}  {'memory':>9}  {'disk':>9}",
    ]
    lines += [
        f"{stage.name:<11} {_duration(stage.seconds):>9}  {stage.memory / GIB:>5.1f} GiB  {human_bytes(stage.disk):>9}"
        for stage in estimate.stages
    ]
    lines += [
        f"{'all':<11} {_duration(estimate.seconds):>9}  {estimate.memory / GIB:>5.1f} GiB  "
        f"{human_bytes(estimate.disk):>9}, and {human_bytes(estimate.scratch)} for a while",
        f"index: {estimate.engine}"
        + (
            f", {estimate.index.leaves:,} leaves trained on {estimate.index.tree_sample:,} rows, "
            f"{estimate.index.encoders} encoding {estimate.index.piece_rows:,} rows at a time"
            if estimate.engine == "scann"
            else ""
        ),
        "times: rates of simulated surveys of 0.1 to 10 million galaxies on another day, scaled by "
        f"{estimate.speed:.2f}, the speed of a core here and now",
    ]
    return "\n".join(lines)


def _memory_problems(estimate: Estimate, config: BuildConfig) -> list[str]:
    available = available_memory()
    problems = []
    for stage in estimate.stages:
        if stage.memory <= min(config.memory, available):
            continue
        told = f"stage {stage.name} needs about {stage.memory / GIB:.1f} GiB of memory, "
        options = [HELP[stage.name]] if stage.name in HELP else []
        if stage.memory > available:
            told += f"{available / GIB:.1f} GiB are free on this machine"
            options += [f"a smaller --memory-gib (now {config.memory_gib:g})"] * (stage.name == "index")
        else:
            told += f"--memory-gib allows {config.memory_gib:g}"
            options.append(f"a larger --memory-gib ({available / GIB:.1f} GiB are free)")
        problems.append(told + (f"; {' or '.join(options)} would help" if options else ""))
    return problems


def _disk_problems(estimate: Estimate, out: Path, config: BuildConfig) -> list[str]:
    needed = estimate.disk + estimate.scratch
    needed += needed // 20
    free = free_bytes(out)
    if free >= needed:
        return []
    options = ["some more space", "another folder (--out)"]
    others = estimate.n_rows - config.knn_sample
    if config.knn == "all" and others > 0:
        options.append(f"--knn sample (saves {human_bytes(NEIGHBORS_BYTES * others)})")
    if config.embedding_dtype == "float32":
        options.append("--embedding-dtype float16 (halves the embeddings)")
    return [
        f"the atlas of {estimate.n_rows:,} galaxies needs about {human_bytes(needed)} in {out}, "
        f"{human_bytes(free)} are free; {', '.join(options)} would help"
    ]


def _cpu_seconds(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def _duration(seconds: float) -> str:
    """A time for a person: `40 s`, `12 min`, `1.4 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5_400 else f"{seconds / 3600:.1f} h"
