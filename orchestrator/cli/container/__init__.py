"""Commands about containers, as Docker has them."""
