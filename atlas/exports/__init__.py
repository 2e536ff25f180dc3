"""Tables of galaxies as files that other tools read."""
