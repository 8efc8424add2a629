"""Batches: planned here, conducted by a process of their own, watched and steered through files."""
