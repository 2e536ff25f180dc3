"""Nearest neighbours: exact scans, indexes, what is known of their recall."""
