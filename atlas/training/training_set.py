"""One label a galaxy, as a table: what people agree on, and negatives as bright as the labelled."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from atlas.build import OpenBuild
from atlas.catalog.key_columns import key_columns
from atlas.errors import InputError
from atlas.labelled import is_disputed
from atlas.training.splits import duplicate_groups, split

NEGATIVE = "negative"
MAGNITUDE_BINS = 10


class Choices(msgspec.Struct, frozen=True, kw_only=True):
    """Choices by which a training set is made.

    Attributes
    ----------
    labels : tuple of str
        Labels to take; all where none is named.
    negatives : float
        So many unlabelled galaxies for each labelled one, drawn with the magnitudes of the labelled.
    val, test : float
        Shares that are not for training.
    within_arcsec, similarity : float
        Galaxies that lie so near, or whose embeddings have such a cosine, stay on one side.
    seed : int
    """

    labels: tuple[str, ...] = ()
    negatives: float = 0.0
    val: float = 0.15
    test: float = 0.15
    within_arcsec: float = 5.0
    similarity: float = 0.999
    seed: int = 1

    def __post_init__(self) -> None:
        if not (self.val >= 0 and self.test >= 0 and self.val + self.test < 1):
            raise InputError("the shares of val and test are 0 or more, and leave something to train on")
        if not (0 <= self.negatives <= 100 and 0 <= self.within_arcsec <= 3600 and 0 < self.similarity <= 1.01):
            raise InputError(
                "allowed are 0 to 100 negatives for each labelled galaxy, 0 to 3,600″, and a similarity above 0"
            )


class TrainingSet(msgspec.Struct, frozen=True):
    """A table, and what was left out of it.

    Attributes
    ----------
    table : DataFrame
        id, row, ra, dec, label, people (who gave the label), grade, note, split, group (of near duplicates).
    revision : int
        Of the labels.
    disputed, gone : list of str
        Galaxies left out: people differ about them, or the build does not have them.
    magnitude : str
        Column that negatives were drawn by; empty where there is none.
    """

    table: pd.DataFrame
    revision: int
    disputed: list[str]
    gone: list[str]
    magnitude: str


def training_set(atlas: OpenBuild, choices: Choices) -> TrainingSet:
    """The labels that stand now as a training set.

    Raises
    ------
    InputError
        If nothing is labelled.
    """
    standing = atlas.labelled.now()
    names = standing.galaxies(choices.labels)
    disputed = [name for name in names if is_disputed(standing.of[name])]
    agreed = [name for name in names if not is_disputed(standing.of[name])]
    rows = atlas.labelled.rows_of(agreed)
    gone = [name for name, row in zip(agreed, rows.tolist(), strict=True) if row < 0]
    kept = [name for name, row in zip(agreed, rows.tolist(), strict=True) if row >= 0]
    rows = rows[rows >= 0]
    if rows.size == 0:
        known = ", ".join(sorted(standing.counts())[:20]) or "none yet"
        raise InputError(f"no galaxy here has such a label that people agree on; labels here: {known}")
    labels = [standing.of[name][0].label for name in kept]
    people, grades, notes = (
        [between.join(sorted({getattr(one, what) for one in standing.of[name]} - {""})) for name in kept]
        for what, between in (("who", " "), ("grade", " "), ("note", "; "))
    )
    magnitude, drawn = _negatives(atlas, rows, atlas.labelled.rows(), choices)
    all_rows = np.concatenate([rows, drawn])
    table = pd.DataFrame(
        {
            "id": atlas.identity.names(all_rows),
            "row": all_rows,
            "ra": np.asarray(atlas.columns().array("ra")[all_rows]),
            "dec": np.asarray(atlas.columns().array("dec")[all_rows]),
            "label": [*labels, *[NEGATIVE] * drawn.size],
            "people": [*people, *[""] * drawn.size],
            "grade": [*grades, *[""] * drawn.size],
            "note": [*notes, *[""] * drawn.size],
        }
    )
    embeddings = np.asarray(atlas.space().embeddings[all_rows], dtype=np.float32)
    table["group"] = duplicate_groups(
        table["ra"].to_numpy(), table["dec"].to_numpy(), embeddings,
        within_arcsec=choices.within_arcsec, similarity=choices.similarity,
    )  # fmt: skip
    table["split"] = split(
        table["id"].tolist(), table["label"].tolist(), table["group"].to_numpy(),
        val=choices.val, test=choices.test, seed=choices.seed,
    )  # fmt: skip
    return TrainingSet(table, standing.revision, disputed, gone, magnitude)


def _negatives(
    atlas: OpenBuild, rows: NDArray[np.int64], labelled: NDArray[np.int64], choices: Choices
) -> tuple[str, NDArray[np.int64]]:
    """Unlabelled rows with the magnitudes of the labelled; one pass over the column."""
    wanted = round(choices.negatives * rows.size)
    if wanted == 0:
        return "", np.empty(0, dtype=np.int64)
    rng = np.random.default_rng(choices.seed)
    free = np.ones(atlas.n_rows, dtype=np.bool_)
    free[labelled] = False
    magnitude = next((c for c in key_columns(atlas.manifest) if c.unit == "mag"), None)
    if magnitude is None:
        some = np.flatnonzero(free)
        return "", np.sort(rng.choice(some, min(wanted, some.size), replace=False))
    values = np.asarray(atlas.columns().array(magnitude.name))
    known = values[rows][np.isfinite(values[rows])]
    if known.size == 0:
        raise InputError(f"none of the labelled galaxies has {magnitude.name}: no negatives can be drawn by it")
    edges = np.unique(np.quantile(known, np.linspace(0, 1, MAGNITUDE_BINS + 1)))

    def bin_of(some: NDArray[Any]) -> NDArray[np.intp]:
        # The last bin holds its upper end.
        return np.minimum(np.searchsorted(edges, some, side="right"), max(1, edges.size - 1))

    bins = np.where(free & (values >= edges[0]) & (values <= edges[-1]), bin_of(values), 0)
    each = np.bincount(bin_of(known))
    asked = np.diff(np.round(np.cumsum(each) * wanted / known.size), prepend=0).astype(int)  # rounded, and all of them
    drawn = []
    for at in np.flatnonzero(asked).tolist():
        some = np.flatnonzero(bins == at)
        drawn.append(rng.choice(some, min(asked[at], some.size), replace=False))
    return magnitude.name, np.sort(np.concatenate(drawn)).astype(np.int64)
