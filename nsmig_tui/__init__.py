"""nsmig: migrate NetServa vhosts in place over SSH, with a way back at any moment."""

__version__ = "0.1.0"
