"""What several files of this folder use."""

import random

import pytest

from hub.core import backoff


@pytest.fixture
def no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chance says to come back at once: how long a pause may be is the back-off's own test, and a test must not hang on the dice."""
    monkeypatch.setattr(random, "random", lambda: 0.01)
    monkeypatch.setattr(backoff, "SHORTEST", 0.001)
    monkeypatch.setattr(backoff, "DENIED", 1000.0)
