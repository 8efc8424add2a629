"""Tests of the headless face."""
