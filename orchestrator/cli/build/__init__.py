"""Commands that build images, and the build cache."""
