"""From a hand to the next state: events of the browser are checked, resolved and applied."""
