"""Parts of a selection, as cards tell of them: a job, since every galaxy is assigned to one."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from atlas.catalog.cluster_labels import SAMPLE, Word, group_words
from atlas.catalog.cluster_portraits import MEMBERS, Portrait, portraits
from atlas.mask import Mask
from atlas.queries.selection import PartOf
from atlas.queries.splitting import assign, require_splittable, split_middles
from atlas.space import OpenSpace

from ..jobs.job import Job, Run
from .atlas_service import Service


class SplitParts(msgspec.Struct, frozen=True):
    """The parts of a selection, the one of most sampled galaxies first.

    Attributes
    ----------
    sizes, medoids : ndarray of shape (k,), int64
    members : ndarray of shape (k, 12), int64
        Rows; −1 where there are fewer.
    figures : ndarray of shape (k, 4), float64
        Those of a `Portrait` after its members.
    words : tuple
        Of each part the words with the figures behind them.
    """

    sizes: NDArray[np.int64]
    medoids: NDArray[np.int64]
    members: NDArray[np.int64]
    figures: NDArray[np.float64]
    words: tuple[tuple[tuple[str, str, bool], ...], ...]

    def portrait(self, at: int) -> Portrait:
        """Portrait of a part."""
        return Portrait(tuple(row for row in self.members[at].tolist() if row >= 0), *self.figures[at].tolist())

    def words_of(self, at: int) -> tuple[Word, ...]:
        """Words on a part: what sets it apart from the others."""
        return tuple(Word(*word) for word in self.words[at])


def split_of(service: Service, split: PartOf) -> SplitParts | Job:
    """Parts of a selection.

    Raises
    ------
    InputError
        If it has too few galaxies to be split, or too many.
    """
    atlas = service.atlas
    selection = service.canonical(split.of)
    mask = service.mask(selection, atlas)
    mask = Mask(np.full((atlas.n_rows + 7) // 8, 255, np.uint8), atlas.n_rows) if mask is None else mask
    require_splittable(mask.count)

    def compute(run: Run) -> SplitParts:
        middles = split_middles(atlas.space(split.space).embeddings, mask, split.count)
        return _described(atlas.space(split.space), mask, middles, lambda done: run.progress(done, mask.count))

    request = msgspec.json.encode((split.space, selection, split.count), order="deterministic").decode()
    return service.later("split", request, compute, SplitParts, title=f"Parts of {mask.count:,} galaxies")


def _described(space: OpenSpace, mask: Mask, middles: NDArray[np.float32], tell: Any) -> SplitParts:
    count = len(middles)
    rows = mask.rows.astype(np.int64)
    parts = assign(space.embeddings, rows, middles, tell).astype(np.int64)
    at = np.arange(rows.size)
    if rows.size > SAMPLE:
        at = np.sort(np.random.default_rng(0).choice(rows.size, SAMPLE, replace=False))
    told = portraits(space.columns, rows[at], parts[at], middles)
    words = group_words(space.columns, space.telling_columns, rows[at], [parts[at]], count, among="the galaxies split")
    members = np.full((count, MEMBERS), -1, dtype=np.int64)
    medoids = np.zeros(count, dtype=np.int64)
    for part, portrait in enumerate(told):
        members[part, : len(portrait.members)] = portrait.members
        # The most typical of some thousand says as much as that of all.
        some = rows[at[parts[at] == part]][:2_000]
        near = np.asarray(space.embeddings[some], dtype=np.float32) @ middles[part]
        medoids[part] = some[near.argmax()] if some.size else rows[0]
    return SplitParts(
        np.bincount(parts, minlength=count),
        medoids,
        members,
        np.array([portrait[1:] for portrait in told]),
        tuple(tuple(tuple(word) for word in words.get(part, ())) for part in range(count)),  # type: ignore[misc]
    )
