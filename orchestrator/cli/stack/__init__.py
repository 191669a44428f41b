"""Commands about a stack, one module per group."""
