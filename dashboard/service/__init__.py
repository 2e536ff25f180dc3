"""Service of the page: what it asks of an atlas, each answer computed once."""
