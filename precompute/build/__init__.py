"""Building, extending and describing an atlas."""
