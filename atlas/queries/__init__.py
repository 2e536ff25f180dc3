"""What can be asked of an atlas, and how it is answered."""
