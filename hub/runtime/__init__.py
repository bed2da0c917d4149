"""Async shells, one loop a file. `service` is the composition root."""
