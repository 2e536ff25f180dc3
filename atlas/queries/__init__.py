"""Questions to an atlas, and their answers."""
