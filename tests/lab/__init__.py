"""Real Debian nodes for the tests: an image, booted containers, seeded vhosts and ways to look at them."""
