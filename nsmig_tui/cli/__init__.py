"""The headless face: parses words, prints events, answers with an exit code."""
