"""Numbered schema changes, oldest first. A released one is never edited; a change is a new file here."""

from . import m0001_initial

ALL = (m0001_initial,)
"""Module N (counted from 1) takes a database from schema N-1 to N with its ``up(execute)``."""

NEWEST = len(ALL)
