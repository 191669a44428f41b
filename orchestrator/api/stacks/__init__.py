"""pystack's own endpoints about stacks, under /pystack/v1."""
