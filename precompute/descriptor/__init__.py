"""Embeddings measured from images, without a network."""
