"""Files of a build: their layout, how they are published, checked and read."""
