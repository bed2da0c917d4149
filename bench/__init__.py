"""Measurements of the whole path beside a bare limit in the same run: `scripts/bench`. Figures, no assertions on time."""
