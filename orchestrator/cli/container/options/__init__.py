"""What `run` and `create` can be told: tables of flags, and the flags that need more than a row."""
