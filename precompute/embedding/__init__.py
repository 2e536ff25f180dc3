"""Embeddings of one's own images: pictures in, a source that `build` reads out."""
