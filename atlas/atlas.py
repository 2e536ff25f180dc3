"""An open atlas: the one object that answers questions about a build, in the dashboard and in a notebook alike.

>>> from atlas import Atlas
>>> atlas = Atlas.open("data/xdf")
>>> atlas.similar(ra_deg=53.16, dec_deg=-27.78)          # a pandas DataFrame, most similar first
"""

from __future__ import annotations

from atlas import notebook
from atlas.build import OpenBuild
from atlas.mask import Mask
from atlas.queries.answer import answer, rows_of
from atlas.queries.query import Query, Result
from atlas.queries.selection import Selection


class Atlas(OpenBuild):
    """An open build that answers questions; see `OpenBuild` for what it is opened with."""

    def mask(self, selection: Selection | str) -> Mask:
        """Which rows a selection holds, exactly; text is a condition, such as "snr > 100".

        Raises
        ------
        InputError
            If the selection names what the atlas does not have.
        """
        return rows_of(self, selection)

    def run(self, query: Query, mask: Mask | None = None) -> Result:
        """Answer a query; `mask` may bring the rows of its selection if they are known already."""
        return answer(self, query, mask)

    # The notebook's way in: positions or ids in, a table out.

    similar = notebook.similar
    table = notebook.table
