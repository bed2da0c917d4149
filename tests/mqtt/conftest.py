from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.engine import Prefix
from tests.brokers import OwnBroker, own_broker


@pytest.fixture
def broker(engine_prefix: Prefix, tmp_path: Path) -> Iterator[OwnBroker]:
    with own_broker(engine_prefix, tmp_path) as running:
        yield running
