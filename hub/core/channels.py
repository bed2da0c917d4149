"""Settings of channels as far as everybody must know them: whether they are sealed. Pure."""

from collections.abc import Mapping
from typing import Any

SEALED = "sealed"
"""the one key of settings that stand sealed in the database (hub.store.sealing); no channel has a setting of this name"""
NO_KEY = "sealed under a key that this process was not given (ANXIN_CHANNEL_KEYS)"


def is_sealed(settings: Mapping[str, Any]) -> bool:
    """Whether these are not readable here."""
    return SEALED in settings
