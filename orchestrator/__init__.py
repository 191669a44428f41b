"""pystack: a container engine and Compose implementation for one Linux machine."""

__version__ = "0.1.0"
