"""The sphere: projections, cells, cones, graticules."""
