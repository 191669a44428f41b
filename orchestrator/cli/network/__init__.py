"""Commands about networks, as Docker has them."""
