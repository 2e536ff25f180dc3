"""Stage `embeddings`: every embedding checked, brought to unit length and stored compactly; wide ones are reduced.

One pass over the source, two where embeddings are reduced; memory holds a chunk of `CHUNK_NUMBERS` numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from atlas.errors import shorten
from atlas.storage import layout

from ..errors import SourceError
from ..sources.embeddings import EmbeddingReport, check_and_normalize
from .costs import Cost, Sizes
from .reduction import NEIGHBORS, Moments, NearestOfSample, neighbors_kept, reduced_width, sampled_rows
from .row_passes import KEEP_EVERY
from .stage import BuildStage, StageContext

AXES = "axes.npy"
"""Principal components (d, width), float32, where embeddings were reduced: what is appended is reduced by them, too."""

CHUNK_NUMBERS = 1 << 23
"""65,536 rows of 128 numbers: 64 MiB where they are held in float64."""


class CopyEmbeddings(BuildStage):
    """Copies the embeddings into the atlas."""

    name = "embeddings"
    version = 2
    parameters = ("embedding_dtype", "pca", "space")
    outputs = ("{space}/embeddings.npy", f"{{space}}/{AXES}")
    reads_source = True
    source_parts = ("embeddings",)

    def cost(self, s: Sizes) -> Cost:
        """See `BuildStage.cost`."""
        width = 2 if s.config.embedding_dtype == "float16" else 4
        return Cost(alone=s.n * s.d * 2e-8, memory=20 * 65_536 * s.d, disk=s.n * s.d * width)

    def run(self, ctx: StageContext) -> None:
        """Write `embeddings.npy`.

        Raises
        ------
        SourceError
            If embeddings are not finite or have no length; says how many and which are the first.
        """
        source = ctx.source
        width = reduced_width(source.dimension, ctx.config.pca)
        shape, dtype = (source.n_rows, width), np.dtype(ctx.config.embedding_dtype)
        stored = ctx.open_or_create(ctx.space / layout.EMBEDDINGS, shape, dtype)
        ctx.measured = {"dimension": width, "dtype": ctx.config.embedding_dtype}
        notes = _copy(ctx, stored) if width == source.dimension else _reduce(ctx, stored)
        stored.flush()
        ctx.measured["notes"] = notes


def _copy(ctx: StageContext, stored: np.memmap[Any, Any]) -> list[str]:
    """As they are, in unit length; goes on where a killed run ended."""
    kept = ctx.kept()
    report = msgspec.convert(kept.found, EmbeddingReport)
    done = kept.rows
    with ctx.progress(len(stored)) as bar:
        for start, rows in ctx.source.embedding_chunks(_chunk_rows(ctx)):
            bar.update(len(rows))
            stop = start + len(rows)
            if stop <= kept.rows:
                continue
            stored[start:stop], found = check_and_normalize(rows, start)
            report += found
            if stop - done >= KEEP_EVERY or stop == len(stored):
                stored.flush()
                done = stop
                ctx.keep(done, asdict(report))
                ctx.release()
    _refuse(ctx, report.problems)
    ctx.forget()
    return report.notes


def _reduce(ctx: StageContext, stored: NDArray[np.floating[Any]]) -> list[str]:
    n, width = stored.shape
    d = ctx.source.dimension
    sample = sampled_rows(n)
    queries = np.empty((sample.size, d), dtype=np.float32)
    moments, report = Moments(d), EmbeddingReport()
    with ctx.progress(2 * n) as bar:
        for start, unit, found in _unit_chunks(ctx):
            moments.add(unit)
            inside = (sample >= start) & (sample < start + len(unit))
            queries[inside] = unit[sample[inside] - start]
            report += found
            bar.update(len(unit))
        _refuse(ctx, report.problems)
        reduction = moments.reduction(width)
        ctx.save(ctx.space / AXES, reduction.axes)
        nearest = NearestOfSample(sample, queries, min(NEIGHBORS, n - 1))
        lost = EmbeddingReport()
        for start, unit, _ in _unit_chunks(ctx):
            nearest.add(start, unit)
            stored[start : start + len(unit)], found = check_and_normalize(unit @ reduction.axes, start)
            lost += found
            bar.update(len(unit))
    if lost.n_zero:
        _refuse(ctx, [f"reduced to {width} numbers, nothing is left of {lost.n_zero:,} embeddings; keep more (--pca)"])
    kept = neighbors_kept(nearest, sample, stored)
    ctx.measured |= {
        "source_dimension": d,
        "variance_kept": round(reduction.variance_kept, 4),
        "neighbors_kept": round(kept, 4),
        "neighbors_sample": sample.size,
    }
    note = (
        f"embeddings reduced from {d:,} to {width:,} numbers by principal components: {reduction.variance_kept:.1%} of "
        f"the variance and {kept:.1%} of the ten nearest of {sample.size:,} sampled galaxies are kept"
    )
    ctx.note(note)
    return [*report.notes, note]


def project(ctx: StageContext, axes: NDArray[np.float32]) -> list[str]:
    """Write the embeddings of a source, reduced to axes that another one's were reduced to; returns notes.

    Raises
    ------
    SourceError
        If embeddings are not finite, have no length, or nothing is left of them.
    """
    stored = ctx.create(ctx.space / layout.EMBEDDINGS, (ctx.source.n_rows, axes.shape[1]), ctx.config.embedding_dtype)
    report, lost = EmbeddingReport(), EmbeddingReport()
    with ctx.progress(len(stored)) as bar:
        for start, unit, found in _unit_chunks(ctx):
            stored[start : start + len(unit)], left = check_and_normalize(unit @ axes, start)
            report += found
            lost += left
            bar.update(len(unit))
    _refuse(ctx, report.problems)
    _refuse(ctx, lost.problems)
    stored.flush()
    return report.notes


def _unit_chunks(ctx: StageContext) -> Iterator[tuple[int, NDArray[np.float32], EmbeddingReport]]:
    for start, rows in ctx.source.embedding_chunks(_chunk_rows(ctx)):
        yield start, *check_and_normalize(rows, start)


def _chunk_rows(ctx: StageContext) -> int:
    return max(1, CHUNK_NUMBERS // ctx.source.dimension)


def _refuse(ctx: StageContext, problems: list[str]) -> None:
    if problems:
        raise SourceError(f"{shorten(ctx.source.folder, 200)}: " + "; ".join(problems))


STAGE = CopyEmbeddings()
