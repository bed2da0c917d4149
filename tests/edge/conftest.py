import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from hub.edge.intake import Intake
from hub.edge.spool import Spool, open_spool
from hub.engine import Prefix
from hub.model import Lane
from tests.brokers import OwnBroker, own_broker

NOW = 1_795_296_000_000_000
RunIntake = Callable[[Spool], AbstractAsyncContextManager[Intake]]


@pytest.fixture
def broker(engine_prefix: Prefix, tmp_path: Path) -> Iterator[OwnBroker]:
    folder = tmp_path / "broker"
    folder.mkdir()
    with own_broker(engine_prefix, folder) as running:
        yield running


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with open_spool(tmp_path / "spool", lambda: NOW) as opened:
        yield opened


@contextlib.asynccontextmanager
async def running_intake(spool: Spool) -> AsyncIterator[Intake]:
    intake = Intake(spool, clock=lambda: NOW)
    async with asyncio.TaskGroup() as tasks:
        for lane in Lane:
            tasks.create_task(intake.run(lane))
        try:
            yield intake
        finally:
            await intake.close()
    intake.shutdown()


@pytest.fixture
def run_intake() -> RunIntake:
    return running_intake
