"""Rendered galaxies, their shapes, lenses, artefacts and camera."""
