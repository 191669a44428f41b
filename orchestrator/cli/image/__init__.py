"""Commands about images, as Docker has them."""
