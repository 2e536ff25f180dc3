"""Events of the page: a family of events a module, from what a browser sends to what becomes of the state."""
