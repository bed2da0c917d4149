"""What several files of this folder use."""

import random

import pytest

from hub.core import backoff
from hub.core.backoff import Backoff


@pytest.fixture
def no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Links come back at once: how long a pause may be is the back-off's own test."""
    monkeypatch.setattr(random, "random", lambda: 0.01)
    monkeypatch.setattr(backoff, "SHORTEST", 0.001)
    monkeypatch.setattr(Backoff, "denied", Backoff.next)
