"""Estimate of a build, said before it starts: time, memory and disk of each stage, and whether they are there.

Each stage knows its own cost (`precompute.stages.costs`). Its times are scaled by how fast this machine does two small
tasks, which takes a third of a second (`calibrate`).
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
from atlas.storage.publish import free_bytes, human_bytes

from ..config import BuildConfig
from ..parallel import thread_count
from ..stages.costs import NEIGHBORS_BYTES, Sizes
from ..stages.index.scann import DIMENSIONS_A_BLOCK, Plan
from ..stages.index.stage import Engine, choose_engine, index_plan
from ..stages.order import STAGES
from ..stages.reduction import reduced_width

PRODUCT_S, SORT_S = 8.0e-3, 4.3e-3
"""What the two tasks of `calibrate` took on the machine of the rates."""

MATHS_BYTES = 500 << 20
"""UMAP, numba and scikit-learn, once they are loaded, and what a pass over chunks holds."""

USUAL_COLUMNS = 20
"""Of a catalogue that nobody has told of."""

GIB = 2**30


class StageEstimate(msgspec.Struct, frozen=True, kw_only=True):
    """Estimate of one stage.

    Attributes
    ----------
    name : str
    seconds, alone : float
        Wall time, and what of it no threads share.
    memory : int
        Bytes that no file backs, at the peak.
    disk : int
        Bytes of its outputs.
    smaller : str
        What makes it take less memory; empty where nothing does.
    """

    name: str
    seconds: float
    alone: float
    memory: int
    disk: int
    smaller: str


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """Estimate of a build.

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


def estimate_build(
    n_rows: int,
    dimension: int,
    config: BuildConfig,
    *,
    columns: int,
    images: int = 0,
    measured: int = 0,
    speed: float = 1.0,
) -> Estimate:
    """Estimate of a build from sizes alone.

    Parameters
    ----------
    n_rows, dimension : int
    config : BuildConfig
    columns : int
        Of the catalogue.
    images : int
        That are stored.
    measured : int
        Whose artefacts are measured.
    speed : float
        Of this machine, as `calibrate` finds it.
    """
    n, threads = n_rows, thread_count(config.threads)
    plan = index_plan(n, dimension, config)
    engine = choose_engine(config.engine, n)
    sizes = Sizes(
        n=n,
        d=dimension,
        anchors=min(n, config.subsample),
        known=n if config.knn == "all" else min(n, config.knn_sample),
        columns=columns,
        images=images,
        measured=measured,
        leaves=plan.leaves,
        exact=engine == "exact",
        config=config,
    )
    stages = []
    for stage in STAGES:
        cost = stage.cost(sizes)
        stages.append(
            StageEstimate(
                name=stage.name,
                seconds=(cost.alone + cost.shared / threads) / speed,
                alone=cost.alone / speed,
                memory=MATHS_BYTES + cost.memory,
                disk=cost.disk,
                smaller=stage.smaller,
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


def estimate_sizes(
    n_rows: int, dimension: int, config: BuildConfig, *, images: bool = False, speed: float = 1.0
) -> Estimate:
    """Estimate of a survey that is not there yet, whose catalogue has `USUAL_COLUMNS`; with an image a galaxy or none.

    `--thumbnails` says how many of the images are stored, 0 all of them; artefacts are measured in every one.
    """
    stored = min(n_rows, config.thumbnails or n_rows) if images else 0
    width = reduced_width(dimension, config.pca)
    measured = n_rows if images else 0
    return estimate_build(n_rows, width, config, columns=USUAL_COLUMNS, images=stored, measured=measured, speed=speed)


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
        f"{'stage':<11} {'time':>9}  {'alone':>9}  {'memory':>9}  {'disk':>9}",
    ]
    lines += [
        f"{stage.name:<11} {_duration(stage.seconds):>9}  {_duration(stage.alone):>9}  {stage.memory / GIB:>5.1f} GiB  "
        f"{human_bytes(stage.disk):>9}"
        for stage in estimate.stages
    ]
    alone = sum(stage.alone for stage in estimate.stages)
    lines += [
        f"{'all':<11} {_duration(estimate.seconds):>9}  {_duration(alone):>9}  {estimate.memory / GIB:>5.1f} GiB  "
        f"{human_bytes(estimate.disk):>9}, and {human_bytes(estimate.scratch)} for a while",
        f"index: {estimate.engine}"
        + (
            f", {estimate.index.leaves:,} leaves trained on {estimate.index.tree_sample:,} rows, "
            f"{estimate.index.encoders} encoding {estimate.index.piece_rows:,} rows at a time"
            if estimate.engine == "scann"
            else ""
        ),
        "alone: what of the time no further threads or machines shorten",
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
        options = [stage.smaller] if stage.smaller else []
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
