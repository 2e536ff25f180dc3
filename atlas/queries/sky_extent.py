"""Extent of a selection on the sky: its outline, and a circle that holds it."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from atlas.queries.selection import And, Cone, Or, Selection, SkyMoc, SkyPolygon
from atlas.sky.coverage import read_coverage
from atlas.sky.outlines import Circle, SkyPath, circle, edges, middle_of
from atlas.sky.projection import Projection, unit_vectors
from atlas.sky.sky_regions import separation_deg

EDGE_PIECES = 1_500
SIDE_POINTS = 8


def outline_of(selection: Selection, near: Circle | None = None) -> SkyPath | None:
    """Outline of a region of the sky, closed; None for any other selection.

    Parameters
    ----------
    selection : Selection
        Canonical.
    near : (float, float, float), optional
        Of long outlines only what lies in a circle: RA, Dec and radius in degrees.
    """
    match selection:
        case SkyPolygon(projection, vertices):
            corners = np.array([*vertices, vertices[0]])
            share = np.linspace(0, 1, SIDE_POINTS, endpoint=False)[:, None]
            sides = [a + share * (b - a) for a, b in pairwise(corners)]
            return projection.inverse(*np.concatenate([*sides, corners[:1]]).T)
        case Cone(ra_deg, dec_deg, radius_arcsec):
            ra, dec = circle(ra_deg, dec_deg, radius_arcsec / 3600)
            return np.append(ra, ra[0]), np.append(dec, dec[0])
        case SkyMoc(cells):
            return _edges(cells, near)
    return None


def circle_of(selection: Selection) -> Circle | None:
    """RA, Dec and radius in degrees of a circle that holds the regions of a selection; None where it has none."""
    match selection:
        case Cone(ra_deg, dec_deg, radius_arcsec):
            return ra_deg, dec_deg, radius_arcsec / 3600
        case And(of) | Or(of):
            lines = [line for one in of if (line := outline_of(one)) is not None]
        case _:
            lines = [line] if (line := outline_of(selection)) is not None else []
    ra, dec = (np.concatenate([np.empty(0), *(line[i] for line in lines)]) for i in (0, 1))
    seen = np.isfinite(ra)
    if not seen.any():
        return None
    middle = middle_of(unit_vectors(ra[seen], dec[seen]))
    return *middle, float(separation_deg(ra[seen], dec[seen], *middle).max())


def on_plane(line: SkyPath, projection: Projection, torn_deg: float) -> NDArray[np.float64]:
    """Outline on a plane, shape (v, 2); NaN between pieces, and where the plane hides it or tears it apart."""
    points = np.stack(projection.forward(*line), axis=1)
    torn = np.flatnonzero(np.abs(np.diff(points[:, 0])) > torn_deg) + 1
    return np.insert(points, torn, np.nan, axis=0)


@lru_cache(maxsize=32)
def _edges(cells: str, near: Circle | None) -> SkyPath:
    return edges(read_coverage(cells), EDGE_PIECES, near)
