"""The command `galaxy-finder`, and, where it is installed, what it runs. The library is `atlas`."""
