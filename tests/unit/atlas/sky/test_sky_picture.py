"""Pictures of the sky take memory for what they show, not for what lies between a pixel and its cell."""

from __future__ import annotations

import tracemalloc

import numpy as np

from atlas.planes.region import Box
from atlas.sky import sky_plane
from atlas.sky.healpix import cell_of
from atlas.sky.projection import Projection

WHOLE, ALL_SKY = Projection("ait", 0.0, 0.0), Box(-180.0, 180.0, -90.0, 90.0)


def test_cells_of_a_large_picture_are_found_some_lines_at_a_time() -> None:
    width, height = 1_000, 600
    tracemalloc.start()
    cells = sky_plane._pixel_cells(WHOLE, ALL_SKY, width, height, 5)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5 * cells.nbytes, "all at once it takes eleven times as much"
    x, y = (np.arange(width) + 0.5) * 360 / width - 180, (np.arange(height) + 0.5) * 180 / height - 90
    ra, dec = WHOLE.inverse(*np.meshgrid(x, y))
    np.testing.assert_array_equal(cells >= 0, np.isfinite(ra))
    np.testing.assert_array_equal(cells[cells >= 0], cell_of(ra[cells >= 0], dec[cells >= 0], 5))
