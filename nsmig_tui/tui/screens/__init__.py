"""Full screens of the terminal application."""
