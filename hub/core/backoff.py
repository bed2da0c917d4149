"""How long to wait before the next try: exponential with full jitter, so that a thousand clients do not come back at once."""


def full_jitter(attempt: int, first: float, most: float, chance: float) -> float:
    """Seconds before try number `attempt` (1, 2, …): `chance` (0 to 1) of min(`most`, `first` · 2^(attempt - 1))."""
    return float(min(most, first * 2 ** min(attempt - 1, 30)) * chance)
