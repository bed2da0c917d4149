"""What an edge says of itself: its birth, how it ended before, its death, its clock, how long it can hold."""

import signal
from pathlib import Path

import pytest

from hub.core.wire import SessionState
from hub.edge import own_points
from hub.edge.life import BOOT, FIRST, RUNNING, STOPPED, UNKNOWN, Birth, Life
from hub.model import Lane
from hub.testing import eventually
from tests import lampbus
from tests.brokers import OwnBroker
from tests.edge.fake_hub import FakeHub, serving
from tests.edge.sites import document, running
from tests.edge.test_process import bundle, start


def test_starts_are_counted_and_the_last_end_is_told(tmp_path: Path) -> None:
    run = tmp_path / "boot_id"
    run.write_text("first\n")
    assert Life(tmp_path, run).begin() == Birth(1, FIRST, 1)
    life = Life(tmp_path, run)
    assert life.begin() == Birth(2, RUNNING, 1)
    life.end(STOPPED)
    life = Life(tmp_path, run)
    assert life.begin() == Birth(3, STOPPED, 1)
    life.end("failed: RuntimeError")
    run.write_text("second\n")  # the machine was started anew
    assert Life(tmp_path, run).begin() == Birth(4, "failed: RuntimeError", 2)
    assert Life(tmp_path, run).begin() == Birth(5, RUNNING, 2)


def test_this_machine_names_its_run_or_nothing_is_said_of_it(tmp_path: Path) -> None:
    assert Life(tmp_path).begin().machine_boots == int(BOOT.exists())
    assert Life(tmp_path / "other", tmp_path / "missing").begin() == Birth(1, FIRST, 0)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"boots": "many", "end": 1}',
        b"\xff",
        b"[" * 4096,
        b'{"boots": 1}',
        b'{"boots": 1, "machine": [7]}',
    ],
)
def test_a_file_that_cannot_be_read_is_no_reason_not_to_start(tmp_path: Path, content: bytes) -> None:
    run = tmp_path / "boot_id"
    run.write_text("first\n")
    (tmp_path / "life.json").write_bytes(content)
    assert Life(tmp_path, run).begin() == Birth(0, UNKNOWN, 0)
    assert Life(tmp_path, run).begin() == Birth(2, RUNNING, 1)


@pytest.mark.parametrize("machine", ["7", "[]", '{"run": 1}', '{"run": "first", "boots": "x"}', "null"])
def test_what_cannot_be_read_of_the_machine_costs_that_count_alone(tmp_path: Path, machine: str) -> None:
    run = tmp_path / "boot_id"
    run.write_text("first\n")
    (tmp_path / "life.json").write_text(f'{{"boots": 4, "end": "stopped", "machine": {machine}}}')
    assert Life(tmp_path, run).begin() == Birth(5, STOPPED, 1)


def test_a_folder_that_takes_nothing_is_no_reason_either(tmp_path: Path) -> None:
    life = Life(tmp_path / "not" / "there", tmp_path / "missing")
    assert life.begin() == Birth(1, FIRST)
    life.end(STOPPED)


async def test_birth_and_death_are_told_at_each_start_and_end(tmp_path: Path, broker: OwnBroker) -> None:
    hub = FakeHub()
    site = lampbus.install(tmp_path / "site")
    async with serving(hub, broker.as_user()):
        for ends, count in ((signal.SIGKILL, 1), (signal.SIGTERM, 2), (signal.SIGKILL, 3)):
            with start(tmp_path, site, bundle(1, broker.port)) as edge:
                await eventually(lambda n=count: len(hub.values(Lane.BULK, "boots")) == n)  # type: ignore[misc]
                edge.send_signal(ends)
                edge.wait(20)
            await eventually(lambda n=count: hub.dead == n)  # type: ignore[misc]
    assert hub.values(Lane.BULK, "boots") == [1, 2, 3]
    assert hub.values(Lane.BULK, "last_end") == [FIRST, RUNNING, STOPPED]
    assert hub.values(Lane.BULK, "drivers") == ["lampbus 1.0"] * 3
    born = [state.session for state in hub.states if state.born]
    assert len(set(born)) == 3
    assert {state.session for state in hub.states if not state.born} == set(born)
    assert isinstance(hub.states[0], SessionState)


@pytest.mark.parametrize("ahead", [0, -7_000_000, 40_000_000])
async def test_the_clock_is_measured_against_the_hubs(tmp_path: Path, broker: OwnBroker, ahead: int) -> None:
    hub = FakeHub(ahead=-ahead)
    async with serving(hub, broker.as_user()), running(document(broker.port), tmp_path):
        await eventually(lambda: hub.values(Lane.BULK, "clock_skew"))
        skew, error = hub.values(Lane.BULK, "clock_skew")[-1], hub.values(Lane.BULK, "clock_error")[-1]
    assert isinstance(skew, float)
    assert isinstance(error, float)
    assert abs(skew - ahead / 1e6) <= error + 0.002


async def test_how_long_the_spool_can_hold_is_told_once_it_was_measured(
    tmp_path: Path, broker: OwnBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_points, "LEAST", 0.5)
    hub = FakeHub()
    async with serving(hub, broker.as_user()), running(document(broker.port), tmp_path):
        await eventually(lambda: hub.values(Lane.BULK, "hold_seconds"))
    (held, *_) = hub.values(Lane.BULK, "hold_seconds")
    assert isinstance(held, int)
    assert held > 3600
