"""What may follow on a command line, for shells to offer."""
