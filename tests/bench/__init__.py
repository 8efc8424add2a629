"""Benchmarks on lab nodes; one command: ``python tests/bench [--help]``. Not part of the tests."""
