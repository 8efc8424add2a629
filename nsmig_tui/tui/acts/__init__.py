"""What the actions do, by theme."""
