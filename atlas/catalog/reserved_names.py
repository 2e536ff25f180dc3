"""Names with a meaning of their own, which columns of a catalogue may have too.

OF_AN_ATLAS       columns that a build adds: a catalogue's column of such a name is stored as `survey_<name>`
OF_CONDITIONS     words of the language of conditions: there a column of such a name stands in backticks
OF_PEOPLE         what people gave galaxies, in conditions: a column of such a name is meant in its place
OF_THE_PAGE       what points are coloured by beside columns: a column of such a name is marked in states and links
"""

from __future__ import annotations

from atlas.catalog.anomalies import SCORED
from atlas.catalog.cluster_tree import LABELS as CLUSTERS
from atlas.catalog.cluster_tree import PLACE

OF_AN_ATLAS = frozenset(
    (
        "ra",
        "dec",
        "row",
        "source_row",
        "map_x",
        "map_y",
        "stray",
        *CLUSTERS,
        PLACE,
        "anomaly_forest",
        "trust",
        *SCORED,
    )
)
OF_CONDITIONS = frozenset({"and", "or", "not", "in"})
LABEL, GRADE, COLLECTION, CLUSTER_NAME = OF_PEOPLE = ("label", "grade", "collection", "cluster_name")
DENSITY, SUBSETS, LABELS = OF_THE_PAGE = ("density", "subsets", "labels")
