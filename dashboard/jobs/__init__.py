"""Work that takes longer than a request: one queue, its jobs seen by every worker."""
