"""HTTP: routes, security, health, the form of a callback's body."""
