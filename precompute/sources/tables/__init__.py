"""Readers of tables, a format each."""
