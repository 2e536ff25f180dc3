"""An open atlas: the one object that answers questions about a build, in the dashboard and in a notebook alike.

>>> from atlas import Atlas
>>> atlas = Atlas.open("data/xdf")
>>> atlas.similar(ra_deg=53.16, dec_deg=-27.78)          # a pandas DataFrame, most similar first
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atlas import anomaly_table, hats_catalog, matching, notebook
from atlas.build import OpenBuild
from atlas.mask import Mask
from atlas.queries.answer import answer, rows_of
from atlas.queries.query import Query, Result
from atlas.queries.recovery import Recovery, recovery
from atlas.queries.selection import All, Selection, canonical


class Atlas(OpenBuild):
    """An open build that answers questions; see `OpenBuild` for what it is opened with."""

    def mask(self, selection: Selection | str) -> Mask:
        """Rows that a selection holds, exactly; text is a condition, such as "snr > 100".

        Raises
        ------
        InputError
            If the selection names what the atlas does not have.
        """
        return rows_of(self, selection)

    def run(self, query: Query, mask: Mask | None = None) -> Result:
        """Answer a query; `mask` may bring the rows of its selection if they are known already."""
        return answer(self, query, mask)

    def recovery(self, query: Query, known: Sequence[int] | NDArray[np.integer[Any]]) -> Recovery:
        """Places of known galaxies in the order of a query, exactly: `atlas.queries.recovery`.

        Raises
        ------
        InputError
            If the order is random, or the query or the rows name what the atlas does not have.
        """
        all_rows = isinstance(canonical(query.selection), All)
        return recovery(self, query, known, None if all_rows else rows_of(self, query.selection))

    # The notebook's way in: positions or ids in, a table out.

    match = matching.match
    similar = notebook.similar
    anomalies = anomaly_table.odd_table
    table = notebook.galaxy_table
    clusters = property(notebook.clusters)
    name_cluster = notebook.name_cluster

    # And out again, whole.

    save_hats = hats_catalog.save_hats
