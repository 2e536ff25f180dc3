"""State of the page, as one value, and its form in a URL."""
