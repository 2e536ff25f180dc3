"""Is it real? Whether a selection follows how the survey was observed rather than what its galaxies are.

What a telescope made comes in patches: from one brick or patch of sky, beside a bright star, where the image is poor. A
selection is compared with random draws of as many galaxies, of the same mix of magnitudes, in

    clumping     pairs that share a cell of HEALPix or a brick, over those of the draws
    shares       of each bit of the masks, and of spoilt images
    conditions   the mean of seeing, depth, exposures, dust and their like, in units of its scatter

Each is put on one scale by its scatter among the draws. The largest of all warns where few draws have as large a one
of their own: however many are compared, few random selections warn. Measured by `benchmarks.clumping`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from atlas.build import OpenBuild
from atlas.catalog.anomalies import ARTEFACT, SPOILT, offered
from atlas.catalog.columns import Columns
from atlas.catalog.key_columns import magnitude_column
from atlas.errors import InputError
from atlas.mask import Mask
from atlas.sky.healpix import cell_of
from atlas.storage import layout
from atlas.storage.manifest import Column

DRAWS = 200
WARNS_AT = 0.02
"""Share of draws with as large a difference of their own below which there is a warning."""

FEWEST = 10
SELECTED_ROWS, POOL_ROWS = 5_000, 200_000
MAGNITUDE_STEPS = 20
CELL_ORDERS = range(3, 13)
PER_CELL = 2.0
"""Selected galaxies that a cell holds where they spread as all do: of fewer no clump is told, more hide small ones."""

OBSERVED = ("psfsize", "seeing", "fwhm", "psfdepth", "galdepth", "depth", "nobs", "nexp", "exptime", "airmass", "ebv",
            "sky_noise", "skynoise", "maglim")  # fmt: skip
MASKS = ("mask", "flag", "wise")
BRICKS = ("brickid", "brick", "brickname", "field", "tile", "ccd")
MOST_COMPARED = 24
LEAST_SHARE = 0.0005
GRID = (24, 10)
"""Columns and rows of the map."""

Kind = Literal["clumping", "share", "mean"]


class Difference(msgspec.Struct, frozen=True):
    """Figure in which a selection and its draws were compared.

    Attributes
    ----------
    kind : str
    what : str
        In words: "a brick", "the bit BRIGHT of maskbits", "psfsize_r".
    effect : float
        Of clumping: pairs over those of the draws. Of a share: the share over that of the draws. Of a mean: how far it
        is, in units of the scatter over galaxies.
    here, drawn : float
        Of the selection, and of the draws on average.
    deviation : float
        How far it is from the draws, in units of their scatter; of clumping and shares, how far above.
    """

    kind: Kind
    what: str
    effect: float
    here: float
    drawn: float
    deviation: float


class Reality(msgspec.Struct, frozen=True):
    """Whether a selection looks like an effect of observing.

    Attributes
    ----------
    differences : tuple of Difference
        The largest first.
    beyond : float
        Share of draws whose own largest difference is at least as large.
    rows : int
        Galaxies that were compared.
    count : int
        Galaxies that are selected.
    magnitude : str
        Column whose mix the draws have; empty where the catalogue has none.
    excess : ndarray of shape `GRID` reversed, float32
        Galaxies over those that the draws have, by place: north up, east left; NaN where the survey has none.
    corner : tuple of float
        RA and Dec in degrees: the lowest and highest of the map.
    """

    differences: tuple[Difference, ...]
    beyond: float
    rows: int
    count: int
    magnitude: str
    excess: NDArray[np.float32]
    corner: tuple[float, float, float, float]

    @property
    def warns(self) -> bool:
        """Whether it is more than chance does."""
        return self.beyond <= WARNS_AT


class _Compared(NamedTuple):
    """A quantity of all galaxies in question: codes of cells or numbers, and how it is told."""

    kind: Kind
    what: str
    values: NDArray[np.generic]
    scatter: float


def reality(atlas: OpenBuild, mask: Mask, seed: int = 0) -> Reality:
    """Compare a selection with random draws of equal size and magnitudes.

    Of large selections and atlases samples are compared: 5,000 galaxies, drawn among 200,000.

    Raises
    ------
    InputError
        If fewer than 10 galaxies are selected.
    """
    if mask.count < FEWEST:
        raise InputError(f"at least {FEWEST} galaxies can be compared with random ones; {mask.count} are selected")
    rng = np.random.default_rng(seed)
    chosen = mask.sample(SELECTED_ROWS, seed)
    every = min(POOL_ROWS, atlas.n_rows)
    pool = np.sort(rng.choice(atlas.n_rows, every, replace=False)) if every < atlas.n_rows else np.arange(every)
    rows = np.concatenate([chosen, pool])
    columns = atlas.columns(atlas.default_space)
    magnitude = magnitude_column(atlas.columns())
    brightness = None if magnitude is None else np.asarray(columns.array(magnitude.name)[rows])
    steps = _steps(brightness, chosen.size, rows.size)
    kept = np.concatenate([_comparable(steps, chosen.size), np.arange(chosen.size, rows.size)])
    rows, steps, chosen = rows[kept], steps[kept], chosen[kept[kept < chosen.size]]
    if chosen.size < FEWEST:
        raise InputError("too few galaxies are as bright or faint as these to draw others like them")
    compared = list(_compared(atlas, columns, rows, chosen.size))
    # Line 0 is the selection, the others the draws: positions among `rows`.
    lines = np.concatenate([np.arange(chosen.size)[None], _draws(steps, chosen.size, rng)])
    values = np.array([_statistic(one, lines) for one in compared])
    middle, spread = values[:, 1:].mean(axis=1, keepdims=True), values[:, 1:].std(axis=1, keepdims=True)
    deviations = np.where(spread > 0, (values - middle) / np.where(spread > 0, spread, 1), 0.0)
    # Fewer clumps or spoilt images than by chance are no reason to doubt.
    one_sided = np.array([one.kind != "mean" for one in compared])[:, None]
    deviations = np.where(one_sided, np.maximum(deviations, 0), deviations)
    largest = np.abs(deviations).max(axis=0)
    found = [
        _difference(one, values[at], float(deviations[at, 0]), chosen.size)
        for at, one in enumerate(compared)
        if spread[at] > 0
    ]
    excess, corner = _excess(columns, rows, lines)
    return Reality(
        tuple(sorted(found, key=lambda one: -abs(one.deviation))),
        float((1 + (largest[1:] >= largest[0]).sum()) / (DRAWS + 1)),
        int(chosen.size),
        mask.count,
        "" if magnitude is None else magnitude.name,
        excess,
        corner,
    )


def _steps(magnitude: NDArray[np.generic] | None, chosen: int, n_rows: int) -> NDArray[np.int64]:
    """The step of magnitude of each row, by quantiles of those chosen; missing values have one of their own, and −1 is
    brighter or fainter than any chosen one."""
    known = np.zeros(n_rows) if magnitude is None else magnitude.astype(np.float64)
    here = known[:chosen][np.isfinite(known[:chosen])]
    edges = np.quantile(here, np.linspace(0, 1, MAGNITUDE_STEPS + 1)) if here.size else np.zeros(MAGNITUDE_STEPS + 1)
    steps = np.searchsorted(edges[1:-1], known, side="right")
    steps[(known < edges[0]) | (known > edges[-1])] = -1
    steps[~np.isfinite(known)] = MAGNITUDE_STEPS
    return steps.astype(np.int64)


def _comparable(steps: NDArray[np.int64], chosen: int) -> NDArray[np.int64]:
    """Places of those chosen for whom a sample of all has enough others of their magnitude to draw from."""
    places = np.arange(chosen)
    pool = np.bincount(steps[chosen:][steps[chosen:] >= 0], minlength=MAGNITUDE_STEPS + 1)
    order = np.argsort(steps[:chosen], kind="stable")
    ordered = steps[:chosen][order]
    rank = places - np.searchsorted(ordered, ordered)
    return np.sort(order[rank < pool[ordered]])


def _draws(steps: NDArray[np.int64], chosen: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Places (DRAWS, chosen) of galaxies of the pool, as many of each step of magnitude as are chosen."""
    drawn = np.empty((DRAWS, chosen), dtype=np.int64)
    for step in np.unique(steps[:chosen]):
        places = np.flatnonzero(steps[:chosen] == step)
        pool = chosen + np.flatnonzero(steps[chosen:] == step)
        # None twice in a draw: it would be a clump of its own.
        lots = rng.random((DRAWS, pool.size), dtype=np.float32)
        drawn[:, places] = pool[np.argpartition(lots, places.size - 1, axis=1)[:, : places.size]]
    return drawn


def _compared(atlas: OpenBuild, columns: Columns, rows: NDArray[np.int64], chosen: int) -> Iterator[_Compared]:
    """Figures in which galaxies can be compared, by the names of the columns that there are."""
    ra, dec = (np.asarray(columns.array(name)[rows], dtype=np.float64) for name in (layout.RA, layout.DEC))
    yield _Compared("clumping", "a patch of the sky", _cells(ra, dec, chosen), 1.0)
    catalogue = list(atlas.columns())
    brick = next((c for name in BRICKS for c in catalogue if c.name.lower() == name and c.kind != "text"), None)
    if brick is not None:
        codes = np.unique(np.asarray(columns.array(brick.name)[rows]), return_inverse=True)[1]
        yield _Compared("clumping", f"the same {brick.name}", codes, 1.0)
    left = MOST_COMPARED
    if ARTEFACT in offered(columns):
        yield _Compared("share", "spoilt images", np.asarray(columns.array(ARTEFACT)[rows]) > SPOILT, 1.0)
    for column in catalogue:
        for one in _of_column(columns, column, rows, chosen):
            if left:
                left -= 1
                yield one


def _of_column(columns: Columns, column: Column, rows: NDArray[np.int64], chosen: int) -> Iterator[_Compared]:
    name = column.name.lower()
    if column.kind == "flags" and any(word in name for word in MASKS):
        flags = np.asarray(columns.array(column.name)[rows])
        for bit in range(8 * flags.dtype.itemsize - 1):
            is_set = (flags >> bit & 1).astype(bool)
            if min(is_set[chosen:].mean(), 1 - is_set[chosen:].mean()) > LEAST_SHARE or is_set[:chosen].any():
                word = column.vocabulary[bit] if bit < len(column.vocabulary) else ""
                yield _Compared("share", f"{word or f'bit {bit}'} in {column.name}", is_set, 1.0)
    elif column.kind == "number" and not column.truth and any(word in name for word in OBSERVED):
        numbers = np.asarray(columns.array(column.name)[rows], dtype=np.float64)
        known = numbers[chosen:][np.isfinite(numbers[chosen:])]
        if known.size and known.std() > 0:
            low, high = np.quantile(known, (0.01, 0.99))
            clipped = np.clip(np.where(np.isfinite(numbers), numbers, np.median(known)), low, high)
            if (scatter := float(clipped[chosen:].std())) > 0:
                yield _Compared("mean", column.name, clipped, scatter)


def _cells(ra: NDArray[np.float64], dec: NDArray[np.float64], chosen: int) -> NDArray[np.int64]:
    """Cells of HEALPix, numbered from 0, of a size at which each would hold a few of the chosen ones."""
    codes = np.zeros(ra.size, dtype=np.int64)
    for order in CELL_ORDERS:
        names, finer = np.unique(cell_of(ra, dec, order), return_inverse=True)
        if chosen / names.size < PER_CELL and order > CELL_ORDERS[0] and np.unique(codes).size > 1:
            break
        codes = finer
    return codes


def _statistic(one: _Compared, lines: NDArray[np.int64]) -> NDArray[np.float64]:
    """The quantity that is compared, of each line of places: √pairs, a share, a mean."""
    picked = one.values[lines]
    if one.kind != "clumping":
        return np.asarray(picked.mean(axis=1, dtype=np.float64))
    counts = (np.bincount(line, minlength=1) for line in picked.astype(np.int64))
    # Of pairs the root: their number has a long tail, which a scatter does not tell.
    return np.array([np.sqrt(float((count * (count - 1)).sum()) / 2) for count in counts])


def _difference(one: _Compared, values: NDArray[np.float64], deviation: float, rows: int) -> Difference:
    here, drawn = float(values[0]), float(values[1:].mean())
    match one.kind:
        case "clumping":
            here, drawn = here**2, float((values[1:] ** 2).mean())
            effect = here / max(drawn, 0.5)  # of half a pair: there may be none by chance
        case "share":
            effect = here / max(drawn, 0.5 / rows)
        case "mean":
            effect = (here - drawn) / one.scatter
    return Difference(one.kind, one.what, effect, here, drawn, deviation)


def _excess(
    columns: Columns, rows: NDArray[np.int64], lines: NDArray[np.int64]
) -> tuple[NDArray[np.float32], tuple[float, float, float, float]]:
    """Galaxies over those of the draws, on a grid of the sky about all that were drawn."""
    ra, dec = (np.asarray(columns.array(name)[rows], dtype=np.float64) for name in (layout.RA, layout.DEC))
    ra = _unwrapped(ra)
    box = (float(ra.min()), float(ra.max()), float(dec.min()), float(dec.max()))
    across, down = GRID
    x = np.minimum(((box[1] - ra) / max(box[1] - box[0], 1e-9) * across).astype(int), across - 1)
    y = np.minimum(((box[3] - dec) / max(box[3] - box[2], 1e-9) * down).astype(int), down - 1)
    place = y * across + x
    here = np.bincount(place[lines[0]], minlength=across * down)
    drawn = np.bincount(place[lines[1:].ravel()], minlength=across * down) / (len(lines) - 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        # Half a galaxy on either side: an empty place of few is no finding.
        excess = np.where(drawn + here > 0, (here + 0.5) / (drawn + 0.5), np.nan)
    return excess.reshape(down, across).astype(np.float32), (box[0] % 360, box[1] % 360, box[2], box[3])


def _unwrapped(ra: NDArray[np.float64]) -> NDArray[np.float64]:
    """Right ascensions counted on from the middle of the widest gap between them, so that none lies across it."""
    ordered = np.unique(np.round(ra, 1))
    gaps = np.diff(ordered, append=ordered[0] + 360)
    start = float(ordered[(int(gaps.argmax()) + 1) % ordered.size])
    return (ra - start + 0.1) % 360 + start - 0.1
