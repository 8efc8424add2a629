"""The terminal application: the only importer of Textual."""
