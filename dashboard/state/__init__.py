"""What the page shows, as one value, and how it stands in a URL."""
