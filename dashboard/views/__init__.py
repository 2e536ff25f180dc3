"""One module a panel. Each is a function of a part of the state and of the atlas; none knows another."""
