"""Pure functions that turn a selection into lines for the detail pane."""
