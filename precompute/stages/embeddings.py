"""Stage `embeddings`: one checked pass that brings every embedding to unit length and stores it compactly."""

from __future__ import annotations

from dataclasses import asdict

import msgspec
import numpy as np

from atlas import format as layout
from atlas.errors import shorten
from precompute.context import StageContext
from precompute.errors import SourceError
from precompute.sources.embeddings import EmbeddingReport, check_and_normalize
from precompute.stages.chunks import KEEP_EVERY

CHUNK_ROWS = 65_536


class Embeddings:
    """Copies the embeddings into the atlas."""

    name = "embeddings"
    version = 1
    needs = ()
    parameters = ("embedding_dtype", "space")
    outputs = ("{space}/embeddings.npy",)
    reads_source = True

    def run(self, ctx: StageContext) -> None:
        """Write `embeddings.npy`.

        Raises
        ------
        SourceError
            If embeddings are not finite or have no length; says how many and which are the first.
        """
        source = ctx.source
        shape = (source.n_rows, source.dimension)
        stored = ctx.open_or_create(ctx.space / layout.EMBEDDINGS, shape, np.dtype(ctx.config.embedding_dtype))
        kept = ctx.kept()
        report = msgspec.convert(kept.found, EmbeddingReport)
        done = kept.rows
        with ctx.progress(source.n_rows) as bar:
            for start, rows in source.embedding_chunks(CHUNK_ROWS):
                bar.update(len(rows))
                stop = start + len(rows)
                if stop <= kept.rows:
                    continue
                unit, found = check_and_normalize(rows, start)
                stored[start:stop] = unit
                report += found
                if stop - done >= KEEP_EVERY or stop == source.n_rows:
                    stored.flush()
                    done = stop
                    ctx.keep(done, asdict(report))
                    ctx.release()
        if report.problems:
            raise SourceError(f"{shorten(source.folder, 200)}: " + "; ".join(report.problems))
        ctx.forget()
        ctx.measured = {"dimension": source.dimension, "dtype": ctx.config.embedding_dtype, "notes": report.notes}


STAGE = Embeddings()
