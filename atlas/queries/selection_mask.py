"""From a selection to a mask: exact over all rows, one pass, packed."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas.build import OpenBuild
from atlas.catalog.cluster_tree import BETWEEN, FINE, PLACE, PLACES
from atlas.catalog.numbers import Number
from atlas.catalog.reserved_names import CLUSTER_NAME, OF_PEOPLE
from atlas.errors import InputError
from atlas.expressions.check import flags_condition, parse
from atlas.expressions.evaluate import expression_mask
from atlas.expressions.given import GivenRows, asks_people, with_given_evaluated
from atlas.expressions.text import contains
from atlas.mask import Mask
from atlas.parallel import in_threads
from atlas.queries.column_lasso import axes_of
from atlas.queries.feedback import embedding_of_examples
from atlas.queries.group import group_embedding
from atlas.queries.selection import (
    Alike,
    All,
    And,
    Bits,
    Category,
    Cluster,
    Collected,
    ColumnPolygon,
    Cone,
    Contains,
    Expression,
    Labelled,
    MapPolygon,
    Named,
    Not,
    Or,
    PartOf,
    Range,
    Rows,
    Selection,
    SkyMoc,
    SkyPolygon,
)
from atlas.queries.splitting import part_mask
from atlas.search.every_score import rows_between
from atlas.sky.coverage import read_coverage

_CHUNK = 1 << 20


def evaluate(atlas: OpenBuild, selection: Selection) -> Mask:
    """Rows of the atlas that a canonical selection holds; its columns are those of the catalogue and the default space.

    Raises
    ------
    InputError
        If the selection names rows, columns, words, spaces or clusters that the atlas does not have.
    """
    n, columns = atlas.n_rows, atlas.columns(atlas.default_space)
    match selection:
        case All():
            return _full(n)
        case Rows(rows):
            beyond = [row for row in rows if row >= n]
            if beyond:
                raise InputError(f"row {beyond[0]} does not exist: this atlas has {n:,} rows")
            return Mask.from_rows(np.asarray(rows, dtype=np.int64), n)
        case Named(ids):
            found = atlas.identity.rows(ids)
            return Mask.from_rows(found[found >= 0], n)
        case MapPolygon(space, vertices):
            return atlas.space(space).plane.polygon(np.asarray(vertices))
        case SkyPolygon(projection, vertices):
            return atlas.sky.polygon(projection, np.asarray(vertices))
        case ColumnPolygon(x, y, vertices) as lasso:
            return atlas.column_planes.polygon(x, y, np.asarray(vertices), axes_of(lasso))
        case Cone(ra_deg, dec_deg, radius_arcsec):
            return atlas.sky.cone_mask(ra_deg, dec_deg, radius_arcsec)
        case SkyMoc(cells):
            return atlas.sky.coverage_mask(read_coverage(cells))
        case Range(column, low, high):
            return _range(columns.number(column), low, high)
        case Category(column, values):
            codes = [columns.code(column, value) for value in values]
            return _pack(columns.array(column), lambda part: np.isin(part, codes))
        case Bits(column, on, off):
            return expression_mask(flags_condition(column, on, off, columns), columns, n)
        case Contains(column, text):
            return _pack(columns.text(column), lambda part: contains(part, text))
        case Expression(text, revision):
            condition = parse(text, atlas.condition_columns)
            if asks_people(text):
                condition = with_given_evaluated(condition, columns, _given(atlas, revision))
            return expression_mask(condition, columns, n)
        case Cluster(space, label):
            return _cluster(atlas, space, label)
        case Labelled(labels, disputed, revision):
            return Mask.from_rows(atlas.labelled.rows(labels, disputed=disputed, revision=revision), n)
        case Collected(name, revision):
            members = atlas.labelled.members(name, revision)
            return Mask.from_rows(members[members >= 0], n)
        case Alike(low=low, high=high):
            return Mask(rows_between(atlas.space().embeddings, _examples(atlas, selection), low, high), n)
        case PartOf(space, of, count, number):
            return part_mask(atlas.space(space).embeddings, evaluate(atlas, of), count, number)
        case And(of):
            return Mask(reduce(np.bitwise_and, (evaluate(atlas, one).packed for one in of)), n)
        case Or(of):
            return Mask(reduce(np.bitwise_or, (evaluate(atlas, one).packed for one in of)), n)
        case Not(of):
            return Mask(evaluate(atlas, of).packed ^ _full(n).packed, n)


def _cluster(atlas: OpenBuild, space: str, label: int) -> Mask:
    """Members of a cluster of any scale; for −1, what lies between clusters, although each galaxy counts in one."""
    of_space, clusters = atlas.columns(space), atlas.space(space).cluster_tree.every
    if label < 0 and PLACE in of_space:
        label, name = PLACES.index(BETWEEN), PLACE
    else:
        name = clusters[label].scale if 0 <= label < len(clusters) else FINE
    return _pack(of_space.array(name), lambda part: part == label)


def _given(atlas: OpenBuild, revision: int) -> GivenRows:
    """Masks of what people gave."""

    def mask_of(name: str) -> Callable[[Callable[[str], bool]], Mask]:
        return lambda wanted: Mask.from_rows(atlas.labelled.given(name, wanted, revision), atlas.n_rows)

    def of_clusters(wanted: Callable[[str], bool]) -> Mask:
        labels = atlas.cluster_names.called(wanted, revision)
        nobody = Mask.from_rows(np.empty(0, np.int64), atlas.n_rows)
        return reduce(Mask.__or__, (_cluster(atlas, atlas.default_space, label) for label in labels), nobody)

    return {name: mask_of(name) for name in OF_PEOPLE} | {CLUSTER_NAME: of_clusters}


def _examples(atlas: OpenBuild, alike: Alike) -> NDArray[np.float32]:
    """Embedding of the examples, as for a ranking by the same ones: in order of row."""
    space = atlas.space()
    good, bad = (
        space.embeddings[sorted(atlas.identity.row(name) for name in names)] for names in (alike.wanted, alike.unwanted)
    )
    if alike.group is not None:
        good = np.concatenate([group_embedding(space, evaluate(atlas, alike.group))[None], good])
    return embedding_of_examples(good, bad)


def _range(values: NDArray[Any], low: Number | None, high: Number | None) -> Mask:
    if values.dtype.kind in "iu":
        # Whole bounds are compared as whole numbers: as floats, those beyond 2⁵³ would be taken for their neighbours.
        low = None if low is None else math.ceil(low)
        high = None if high is None else math.floor(high)

    def inside(part: NDArray[Any]) -> NDArray[np.bool_]:
        # NaN compares false with everything: missing values lie outside every range, the open one too.
        # A bound that float32 cannot hold is beyond all that does.
        with np.errstate(over="ignore"):
            keep = part == part if low is None else part >= low
            return keep if high is None else keep & (part <= high)

    return _pack(values, inside)


def _pack(values: NDArray[Any], inside: Any) -> Mask:
    """Test a column in chunks that fit a cache; chunks are multiples of eight rows, so their bits can be joined."""

    def tested(start: int) -> NDArray[np.uint8]:
        return np.packbits(inside(np.asarray(values[start : start + _CHUNK])), bitorder="little")

    return Mask(np.concatenate(list(in_threads(tested, range(0, values.size, _CHUNK)))), values.size)


def _full(n: int) -> Mask:
    packed = np.full((n + 7) // 8, 255, dtype=np.uint8)
    if n % 8:
        packed[-1] = (1 << (n % 8)) - 1
    return Mask(packed, n)
