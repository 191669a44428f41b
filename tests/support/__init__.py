"""What the tests stand on: isolation, images, a registry, an engine, the leak check."""
