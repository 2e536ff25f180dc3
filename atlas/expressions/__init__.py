"""Conditions on columns: text to tree, checked against the catalogue, evaluated in chunks."""
