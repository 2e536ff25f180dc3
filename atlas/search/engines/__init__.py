"""Engines of neighbour search, one a module. Each is imported only when an index of its kind is opened or built."""
