"""Pictures that are drawn on request."""
