"""Paint of the points of both planes: a column, the subsets, or one colour for all."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from atlas import Atlas, Query
from atlas.catalog.cluster_tree import LABELS as CLUSTERS
from atlas.catalog.reserved_names import LABELS, SUBSETS
from atlas.storage.manifest import Column

from ..service.atlas_service import Service
from ..service.gallery_query import question_of
from ..service.judgement import likeness_quantiles
from ..service.result_list import scores_of
from ..state import coloring
from ..state.page_state import State
from ..state.shading import Shading
from . import labels
from .palette import Coloring, Theme, color_by, color_by_subset

FEWEST_FOR_MEAN = 4_000
MEAN_PIXELS = (32, 240)


def color_points(service: Service, state: State, rows: NDArray[Any], look: Theme) -> Coloring | None:
    """Colours of some rows by the state's choice; None for one colour."""
    atlas = service.atlas
    if state.color == SUBSETS:
        shown = [one for one in state.subsets if one.shown]
        inside = []
        for one in shown:
            mask = service.mask(one.selection, atlas)
            inside.append(np.ones(rows.size, dtype=np.bool_) if mask is None else mask.holds(rows))
        return color_by_subset([(one.name, one.color) for one in shown], inside, rows.size, look.missing)
    if state.color == LABELS:
        kept = labels.named(service)
        inside = [np.isin(rows, atlas.labelled.rows([name])) for name, _ in kept]
        return color_by_subset(kept, inside, rows.size, look.missing, "have no label")
    if state.color == coloring.LIKENESS:
        return _color_by_likeness(service, state, rows, look)
    column = coloring_column(atlas, state)
    if column is None:
        return None
    values = atlas.columns(atlas.default_space).array(column.name)[rows]
    if column.kind != "category":
        return color_by(column, values, look.missing, shading=state.shading)
    # The commonest words have colours that no other has.
    commonest = np.argsort(-service.histogram(column.name, None, atlas).counts, kind="stable")
    return color_by(column, values, look.missing, order=commonest)


def likeness_column(service: Service, state: State) -> Column | None:
    """Similarity to the examples, described as a column is; None where there is none, or something else colours."""
    like = question_of(service.atlas, state).like if state.color == coloring.LIKENESS else None
    if like is None:
        return None
    quantiles = likeness_quantiles(service, replace(like, least=False))
    return Column(name="similarity", file="", dtype="float32", kind="number", quantiles=quantiles)


def _color_by_likeness(service: Service, state: State, rows: NDArray[Any], look: Theme) -> Coloring | None:
    column = likeness_column(service, state)
    like = question_of(service.atlas, state).like
    if column is None or like is None:
        return None
    # Of those that are drawn alone: their number does not grow with the atlas.
    query = service.pinned(Query(space=service.atlas.default_space, ranking=replace(like, least=False)))
    values = scores_of(service.atlas, query.ranking)(rows)
    return color_by(column, values, look.missing, shading=state.shading)


def mean_query(column: Column, state: State) -> dict[str, str]:
    """Query of a picture's address for the mean that it shows."""
    shading = {} if state.shading == Shading() else {"shading": msgspec.json.encode(state.shading).decode()}
    return {"column": column.name, **shading}


def coloring_column(atlas: Atlas, state: State) -> Column | None:
    """The column that colours, if one does."""
    columns = atlas.columns(atlas.default_space)
    name = coloring.column_of(state.color)
    if name is None or name not in columns:
        return None
    column = columns.describe(name)
    return None if column.kind == "text" else column


def mean_of(atlas: Atlas, state: State, in_view: int) -> Column | None:
    """The column whose mean is painted, if one is; words and labels have none.

    A few galaxies are shown as what they are, in the colours of their own values: closer in, means become points.
    """
    if state.paint != "mean" or in_view < FEWEST_FOR_MEAN:
        return None
    column = coloring_column(atlas, state)
    return column if column is not None and has_mean(column) else None


def mean_pixels(in_view: int) -> int:
    """Edge of a picture of means: about four galaxies a pixel or more, so that it is a mean that is seen."""
    return int(np.clip(np.sqrt(in_view) / 2, MEAN_PIXELS[0], MEAN_PIXELS[1]))


def has_mean(column: Column) -> bool:
    """Whether the mean of a column says something."""
    return column.kind == "number" and column.name not in CLUSTERS
