"""The attributes of the compose specification as one declarative table."""
