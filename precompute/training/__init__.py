"""Encoders trained on one's own images, without labels."""
