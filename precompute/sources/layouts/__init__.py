"""Layouts of surveys on the disk."""
