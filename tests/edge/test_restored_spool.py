"""A spool that was put back from a backup: the hub has had other messages under the numbers that it gives again."""

import shutil
from pathlib import Path

from hub.core import window
from hub.core.batching import pack
from hub.edge.spool import open_spool
from hub.model import Lane
from hub.testing import eventually
from tests.brokers import OwnBroker
from tests.edge.conftest import NOW, RunIntake
from tests.edge.fake_hub import FakeHub, serving
from tests.edge.test_uplink import carrying, lamp


async def test_numbers_given_twice_because_a_backup_was_restored_lose_nothing(
    broker: OwnBroker, tmp_path: Path, run_intake: RunIntake
) -> None:
    hub = FakeHub()
    folder = tmp_path / "spool"
    with open_spool(folder, lambda: NOW) as spool:
        spool.confirm(Lane.URGENT, 0)
    shutil.copytree(folder, tmp_path / "backup")
    async with serving(hub, broker.as_user()):
        with open_spool(folder, lambda: NOW) as spool:
            async with run_intake(spool) as intake, carrying(broker, intake):
                for n in range(1, 31):
                    await intake.put(Lane.URGENT, lamp(n))
                await eventually(lambda: intake.depth(Lane.URGENT).messages == 0)
        with open_spool(tmp_path / "backup", lambda: NOW) as spool:
            async with run_intake(spool) as intake:
                for n in range(1001, 1051):  # read before the hub was reached: numbers 1 to 50 again
                    await intake.put(Lane.URGENT, lamp(n))
                async with carrying(broker, intake):
                    await eventually(lambda: intake.depth(Lane.URGENT).messages == 0)
    assert hub.values(Lane.URGENT) == [*range(1, 31), *range(1001, 1051)]


async def test_what_an_earlier_process_sent_and_was_not_told_of_is_let_go_of_and_not_doubled(
    broker: OwnBroker, tmp_path: Path, run_intake: RunIntake
) -> None:
    hub = FakeHub()
    folder = tmp_path / "spool"
    with open_spool(folder, lambda: NOW) as spool:
        async with run_intake(spool) as intake:
            for n in range(1, 2 * window.LIMIT + 1):
                await intake.put(Lane.URGENT, lamp(n))
        for message in spool.unconfirmed(Lane.URGENT, 0, 90):
            hub.take(Lane.URGENT, spool.stream(Lane.URGENT), message.seq, message.payload)
    with open_spool(folder, lambda: NOW) as spool:
        stream = spool.stream(Lane.URGENT)
        async with run_intake(spool) as intake, serving(hub, broker.as_user()):
            await intake.put(Lane.URGENT, lamp(2 * window.LIMIT + 1))
            async with carrying(broker, intake):
                await eventually(lambda: intake.depth(Lane.URGENT).messages == 0)
        assert spool.stream(Lane.URGENT) == stream
    assert hub.values(Lane.URGENT) == list(range(1, 2 * window.LIMIT + 2))


def test_the_spool_tells_what_was_there_when_it_was_opened(tmp_path: Path) -> None:
    for expected in (None, 0):
        with open_spool(tmp_path / "spool", lambda: NOW) as spool:
            assert spool.inherited(Lane.BULK) == expected
    with open_spool(tmp_path / "spool", lambda: NOW) as spool:
        spool.append(Lane.BULK, pack(lamp(1)))
        assert spool.inherited(Lane.BULK) == 0
    with open_spool(tmp_path / "spool", lambda: NOW) as spool:
        assert spool.inherited(Lane.BULK) == 1
        spool.restart(Lane.BULK)
        assert spool.inherited(Lane.BULK) is None
