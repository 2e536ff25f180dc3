"""Answers kept between requests."""
