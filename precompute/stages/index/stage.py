"""Stage `index`: the neighbour index of all embeddings, built in bounded memory, and how large its parts are.

What the engines do is in `scann_build` and `faiss_build`; both train on a sample and take the rows in chunks.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from atlas.errors import InputError, ResourceError
from atlas.search.exact import EmbeddingArray
from atlas.search.index import DESCRIPTION, ISOLATED, IndexDescription
from atlas.storage import layout

from ...config import BuildConfig
from ...parallel import Workers, run_chunks, thread_count
from ..costs import Cost, Sizes, product_seconds
from ..row_passes import sum_by_group
from ..stage import BuildStage, StageContext
from . import faiss as faiss_build
from . import scann as scann_build
from .leaf_finder import products_a_row

Engine = Literal["scann", "faiss", "exact"]

EXACT_BELOW = 10_000
"""Fewer rows than this are scanned. Measured with 128 numbers, for a hundred neighbours: among 960 rows a scan takes
0.10 ms and ScaNN 0.17 at recall 0.9998, among 10,000 it is 0.33 against 0.19 ms at 0.998; from there on ScaNN gains."""

TREE_SAMPLE = 250_000
ROWS_A_LEAF = 64
"""Rows that the tree is trained on: so many at least, and so many for each leaf."""

ISOLATED_ROWS = 512
"""Scoring as many takes a query 0.02 ms."""

CHUNK_ROWS = 65_536

SLOW_LEAVES = 4_000
"""From so many on, training takes more than a minute."""


def choose_engine(wanted: str, n_rows: int) -> Engine:
    """The engine of an index.

    Parameters
    ----------
    wanted : {"auto", "scann", "faiss", "exact"}
        "auto" scans small atlases, else takes scann where it is installed, else faiss.
    n_rows : int

    Raises
    ------
    InputError
        If `wanted` is none of these.
    ResourceError
        If it is not installed.
    """
    match wanted:
        case "exact":
            return "exact"
        case "scann" | "faiss":
            if find_spec(wanted) is None:
                raise ResourceError(f"engine {wanted!r} was asked for and is not installed")
            # Both train 16 centres for each block of the codes, and cannot on fewer rows.
            return "exact" if n_rows < 16 else wanted
        case "auto":
            if n_rows < EXACT_BELOW:
                return "exact"
            return choose_engine("scann" if find_spec("scann") else "faiss", n_rows)
        case _:
            raise InputError(f"unknown engine {wanted!r}: auto, scann, faiss or exact")


def leaf_count(leaves: int, n_rows: int) -> int:
    """Leaves of the tree: as asked, or 2 sqrt(n) for 0; never more than a quarter of the rows."""
    return max(1, min(leaves or round(2 * math.sqrt(n_rows)), n_rows // 4))


def index_plan(n_rows: int, dimensions: int, config: BuildConfig) -> scann_build.Plan:
    """Sizes of an index's parts, from rows, dimensions and the budget of memory, where the parameters do not say."""
    leaves = leaf_count(config.leaves, n_rows)
    return scann_build.plan_build(
        n_rows,
        dimensions,
        leaves=leaves,
        tree_sample=max(leaves, config.tree_sample or max(TREE_SAMPLE, ROWS_A_LEAF * leaves)),
        codebook_sample=config.codebook_sample,
        memory=config.memory,
        threads=thread_count(config.threads),
    )


def build_index(
    embeddings: EmbeddingArray,
    directory: Path,
    *,
    engine: Engine,
    config: BuildConfig,
    workers: Workers | None = None,
    step: Callable[[int], object] = lambda rows: None,
) -> IndexDescription:
    """Write an index that `atlas.search.open_index.open_index` opens.

    Parameters
    ----------
    embeddings : ndarray of shape (n, d), float16 or float32
        Unit rows.
    directory : Path
        What another build left in it is removed; what a killed run of this one left is gone on with.
    engine : {"scann", "faiss", "exact"}
    config : BuildConfig
        `leaves`, `tree_sample`, `codebook_sample`, `seed`, `memory_gib` and `threads` are read.
    workers : Workers, optional
        As of `build_scann`; the other engines do all here.
    step : callable
        Told the rows that are done, `passes(engine)` times each.

    Returns
    -------
    IndexDescription
        What was written as `index.json`.
    """
    n_rows, dimensions = embeddings.shape
    if not (engine == "scann" and scann_build.is_begun(directory)):
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
    plan = index_plan(n_rows, dimensions, config)
    threads = thread_count(config.threads)
    version, leaves, parameters = "", plan.leaves, dict[str, int | float]()
    leaf: NDArray[np.int32] | None = None
    match engine:
        case "scann":
            version = metadata.version("scann")
            parameters = {
                "dimensions_a_block": scann_build.DIMENSIONS_A_BLOCK,
                "anisotropic_threshold": scann_build.ANISOTROPIC_THRESHOLD,
                "min_partition_size": scann_build.MIN_PARTITION,
                "tree_sample": plan.tree_sample,
                "codebook_sample": min(plan.codebook_sample, plan.tree_sample),
            }
            leaf = scann_build.build_scann(
                embeddings, directory, plan, seed=config.seed, threads=threads, workers=workers, step=step
            )
        case "faiss":
            version = import_module("faiss").__version__
            parameters = {
                "dimensions_a_block": faiss_build.block_width(dimensions),
                "tree_sample": plan.tree_sample,
            }
            leaf = faiss_build.build_faiss(
                embeddings,
                directory,
                leaves=leaves,
                tree_sample=plan.tree_sample,
                seed=config.seed,
                threads=threads,
                step=step,
            )
        case "exact":
            leaves = 1
            step(n_rows)
    if leaf is not None:
        np.save(directory / ISOLATED, isolated_rows(embeddings, leaf, ISOLATED_ROWS, threads=threads))
    description = IndexDescription(
        engine=engine, version=version, n_rows=n_rows, dimensions=dimensions, leaves=leaves, parameters=parameters
    )
    layout.write_atomically(directory / DESCRIPTION, msgspec.json.format(msgspec.json.encode(description)))
    if engine == "scann":
        scann_build.finish(directory)
    return description


def passes(engine: Engine) -> int:
    """Times that a build of an index goes over all rows, as its progress counts them."""
    return scann_build.PASSES if engine == "scann" else 1


def isolated_rows(
    embeddings: EmbeddingArray, leaf: NDArray[np.signedinteger[Any]], count: int, *, threads: int = 1
) -> NDArray[np.uint32]:
    """The rows farthest from the mean of their leaf: what codes of that difference describe worst.

    Parameters
    ----------
    embeddings : ndarray of shape (n, d), float16 or float32
    leaf : ndarray of shape (n,), signed integer
        Leaf of each row.
    count : int
    threads : int

    Returns
    -------
    ndarray of shape (min(count, n),), uint32
        Ascending.
    """
    size = np.bincount(leaf)
    means = (sum_by_group(embeddings, leaf, size.size) / np.maximum(size, 1)[:, None]).astype(np.float32)
    distance = np.empty(len(leaf), dtype=np.float32)

    def work(part: slice) -> None:
        beyond = np.asarray(embeddings[part], dtype=np.float32) - means[leaf[part]]
        distance[part] = np.sqrt(np.einsum("nd,nd->n", beyond, beyond))

    for _ in run_chunks(work, len(leaf), CHUNK_ROWS, threads):
        pass
    return np.sort(np.argsort(-distance, kind="stable")[:count]).astype(np.uint32)


class Index(BuildStage):
    """Builds the neighbour index that knn, placement and the page search with."""

    name = "index"
    version = 5
    needs = ("embeddings",)
    parameters = ("codebook_sample", "engine", "leaves", "seed", "space", "tree_sample")
    outputs = ("{space}/index",)
    smaller = "fewer leaves (--leaves), a smaller sample to train on (--tree-sample)"

    def cost(self, s: Sizes) -> Cost:
        """See `BuildStage.cost`."""
        if s.exact:
            return Cost(alone=0.1, memory=scann_build.PROCESS_BYTES)
        plan, width = index_plan(s.n, s.d, s.config), s.d / 128
        train = 4.5e-6 * plan.tree_sample * plan.leaves**0.5 * width
        assign = s.n * 4.5e-6 + product_seconds(s, s.n, round(products_a_row(plan.leaves)))
        encode = s.n * 20e-6 * width + -(-s.n // plan.piece_rows) * 2
        return Cost(
            alone=train / 2 + s.n * 3e-6 * width,
            shared=train / 2 + assign + encode,
            memory=max(plan.train_bytes, plan.encode_bytes),
            disk=s.n * (-(-s.d // 2) + 4) + 4 * plan.leaves * s.d * 2,
        )

    def run(self, ctx: StageContext) -> None:
        """Write `index/`."""
        embeddings = ctx.load(ctx.space / layout.EMBEDDINGS)
        n_rows, dimensions = embeddings.shape
        engine = choose_engine(ctx.config.engine, n_rows)
        plan = index_plan(n_rows, dimensions, ctx.config)
        if engine == "scann" and plan.leaves >= SLOW_LEAVES and not scann_build.is_begun(ctx.space / layout.INDEX):
            ctx.note(f"first trains {plan.leaves:,} leaves on {plan.tree_sample:,} rows: minutes without progress")
        with ctx.progress(n_rows * passes(engine)) as bar:

            def step(rows: int) -> None:
                bar.update(rows)
                ctx.release()

            description = build_index(
                embeddings,
                ctx.space / layout.INDEX,
                engine=engine,
                config=ctx.config,
                workers=ctx.workers,
                step=step,
            )
        ctx.measured["engine"] = description.engine
        ctx.measured["leaves"] = description.leaves
        ctx.measured["bytes"] = sum(f.stat().st_size for f in (ctx.space / layout.INDEX).iterdir())


STAGE = Index()
