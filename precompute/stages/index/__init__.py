"""Building a neighbour index."""
