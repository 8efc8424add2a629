"""Widgets: one virtual list, the key bar, the tab bar."""
