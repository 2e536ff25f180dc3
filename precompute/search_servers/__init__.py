"""Servers that hold the index of an atlas, filled from its embeddings."""
