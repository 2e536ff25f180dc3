"""Simulated surveys: catalogues, embeddings, images."""
