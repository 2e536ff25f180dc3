"""How surveys lie on the disk."""
