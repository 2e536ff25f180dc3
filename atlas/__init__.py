"""Galaxy Finder's atlas: the on-disk format, and every question that can be asked of it."""

from atlas.atlas import Atlas
from atlas.errors import AtlasError, ExpressionError, FormatError, InputError
from atlas.examples import Match
from atlas.mask import Mask
from atlas.notebook import GalaxyTable
from atlas.queries.query import Query, Result
from atlas.queries.ranking import ByColumn, ByDetectors, ByLabels, Given, Shuffled, Similar, SimilarToGroup, Typical
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
    Not,
    Or,
    PartOf,
    Range,
    Rows,
    SkyMoc,
    SkyPolygon,
)
from atlas.queries.spacing import Spacing

__all__ = [
    "Alike",
    "All",
    "And",
    "Atlas",
    "AtlasError",
    "Bits",
    "ByColumn",
    "ByDetectors",
    "ByLabels",
    "Category",
    "Cluster",
    "Collected",
    "ColumnPolygon",
    "Cone",
    "Contains",
    "Expression",
    "ExpressionError",
    "FormatError",
    "GalaxyTable",
    "Given",
    "InputError",
    "Labelled",
    "MapPolygon",
    "Mask",
    "Match",
    "Not",
    "Or",
    "PartOf",
    "Query",
    "Range",
    "Result",
    "Rows",
    "Shuffled",
    "Similar",
    "SimilarToGroup",
    "SkyMoc",
    "SkyPolygon",
    "Spacing",
    "Typical",
]
