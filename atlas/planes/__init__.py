"""Two-dimensional views of all rows: levels of detail, counts, regions."""
