"""What the page asks of an atlas, each answer computed once."""
