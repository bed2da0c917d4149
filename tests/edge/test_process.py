"""`anxin edge` as it is run: a process of its own, one file, a driver that a third party installed, a real broker."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from hub.cli.edge import run
from hub.model import Lane
from hub.testing import eventually, wait_until
from tests import lampbus
from tests.brokers import PASSWORD, OwnBroker
from tests.edge.fake_hub import FakeHub, serving


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lampbus.install(tmp_path_factory.mktemp("site"))


@pytest.fixture
def lamps(tmp_path: Path) -> Iterator[int]:
    """The port of a lamp bus with two lamps."""
    port = tmp_path / "port"
    command = [sys.executable, str(lampbus.DEVICE), "--ledger", str(tmp_path / "ledger"), "--port-file", str(port)]
    with subprocess.Popen([*command, "--rate", "50", "lamp-1", "lamp-2"]) as process:
        wait_until(port.exists)
        yield int(port.read_text())
        process.terminate()


def bundle(port: int, broker_port: int, **changes: Any) -> dict[str, Any]:
    points = [{"point": "level", "type": "int", "record": "reading", "every": 1_000_000, "address": {}}]
    return {
        "version": 1,
        "edge": "edge-1",
        "institution": "kita-1",
        "partition": 3,
        "broker": {"host": "127.0.0.1", "port": broker_port, "username": "hub", "password": PASSWORD},
        "beat": 100_000,
        "endpoints": [
            {
                "id": "bus-1",
                "driver": "lampbus",
                "settings": {"host": "127.0.0.1", "port": port, "password": "s3cret"},
                "devices": [
                    {"id": "lamp-1", "lane": "bulk", "settings": {}, "points": points},
                    {"id": "lamp-2", "lane": "urgent", "settings": {}, "points": points},
                ],
            }
        ],
        **changes,
    }


def start(folder: Path, site: Path, document: dict[str, Any], *options: str) -> "subprocess.Popen[str]":
    config = folder / "edge.json"
    config.write_text(json.dumps(document))
    environment = {**os.environ, "PYTHONPATH": str(site)}
    command = [sys.executable, "-m", "hub.cli.edge", "--config", str(config), *options]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


async def test_a_third_partys_driver_is_found_run_and_carried_to_the_hub(
    tmp_path: Path, site: Path, lamps: int, broker: OwnBroker
) -> None:
    hub = FakeHub()
    with start(tmp_path, site, bundle(lamps, broker.port)) as edge:
        async with serving(hub, broker.as_user()):
            await eventually(lambda: hub.values(Lane.BULK) and hub.values(Lane.URGENT))
            await eventually(
                lambda: len(hub.values(Lane.BULK, "beat")) > 2 and len(hub.values(Lane.URGENT, "beat")) > 2
            )
            edge.send_signal(signal.SIGTERM)
            assert edge.wait(5) == 0
    assert {sample.series.device for sample in hub.samples[Lane.URGENT]} == {"edge-1", "lamp-2"}
    assert {sample.series.device for sample in hub.samples[Lane.BULK]} == {"edge-1", "lamp-1"}
    assert hub.values(Lane.BULK, "beat")[0] == 0  # seconds since it began
    assert len(hub.values(Lane.BULK, "spool_bulk")) == len(hub.values(Lane.BULK, "spool_urgent"))
    assert (tmp_path / "edge.spool" / "spool.db").exists()
    assert edge.stderr is not None


async def test_an_edge_that_is_killed_goes_on_where_it_was_and_nothing_said_to_be_safe_is_missing(
    tmp_path: Path, site: Path, lamps: int, broker: OwnBroker
) -> None:
    hub = FakeHub()
    ledger = tmp_path / "ledger"

    def safe() -> set[int]:
        return {int(line.split()[1]) for line in ledger.read_text().splitlines() if line.startswith("ok")}

    async with serving(hub, broker.as_user()):
        for _ in range(3):
            with start(tmp_path, site, bundle(lamps, broker.port)) as edge:
                before = len(safe())
                await eventually(lambda count=before: len(safe()) > count + 10)  # type: ignore[misc]
                edge.kill()
        promised = safe()
        with start(tmp_path, site, bundle(lamps, broker.port)) as edge:
            await eventually(lambda: promised <= {*hub.values(Lane.BULK), *hub.values(Lane.URGENT)})
            edge.kill()


def test_it_stops_within_five_seconds_without_a_broker_and_without_its_device(tmp_path: Path, site: Path) -> None:
    with start(tmp_path, site, bundle(1, 1), "--log-level", "info") as edge:
        assert edge.stderr is not None
        line = ""
        while "link.down" not in line:
            line = edge.stderr.readline()
            assert line
        edge.send_signal(signal.SIGINT)
        assert edge.wait(5) == 0
        assert "s3cret" not in edge.stderr.read()


@pytest.fixture(autouse=True)
def _leave_no_logger() -> Iterator[None]:
    """`run` in this process points the logs at a standard error that ends with the test."""
    yield
    structlog.reset_defaults()


def refused(tmp_path: Path, document: object, capsys: pytest.CaptureFixture[str]) -> str:
    config = tmp_path / "edge.json"
    config.write_text(document if isinstance(document, str) else json.dumps(document))
    assert run(config, None) == 2
    said = capsys.readouterr().err
    assert str(config) in said
    return said


@pytest.fixture
def importable(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(site))


@pytest.mark.usefixtures("importable")
def test_a_file_that_does_not_hold_is_refused_naming_file_and_key_and_no_secret(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = bundle(1, 1)
    (endpoint,) = good["endpoints"]
    device = endpoint["devices"][0]
    assert "not UTF-8" in refused_bytes(tmp_path, b'{"\xff": 1}', capsys)
    assert "line 1" in refused(tmp_path, "{", capsys)
    assert "colour" in refused(tmp_path, {**good, "colour": 1}, capsys)
    said = refused(tmp_path, {**good, "endpoints": [{**endpoint, "driver": "nosuch"}]}, capsys)
    assert "endpoints.bus-1.driver" in said
    assert "'nosuch'" in said
    assert "lampbus" in said
    said = refused(tmp_path, {**good, "endpoints": [{**endpoint, "settings": {"host": "h", "prt": "s3cret"}}]}, capsys)
    assert "endpoints.bus-1.settings.port" in said
    assert "s3cret" not in said
    said = refused(
        tmp_path, {**good, "endpoints": [{**endpoint, "devices": [{**device, "settings": {"unit": 1}}]}]}, capsys
    )
    assert "endpoints.bus-1.devices.lamp-1.settings.unit" in said
    points = [{**device["points"][0], "address": {"register": 1}}]
    said = refused(tmp_path, {**good, "endpoints": [{**endpoint, "devices": [{**device, "points": points}]}]}, capsys)
    assert "endpoints.bus-1.devices.lamp-1.points.level.address.register" in said


def refused_bytes(tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]) -> str:
    (tmp_path / "edge.json").write_bytes(content)
    assert run(tmp_path / "edge.json", None) == 2
    return capsys.readouterr().err


def test_a_file_that_is_not_there_is_said_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path / "nosuch.json", None) == 2
    assert "nosuch.json" in capsys.readouterr().err


@pytest.mark.usefixtures("importable")
def test_a_spool_that_cannot_be_had_is_said_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "edge.json").write_text(json.dumps(bundle(1, 1)))
    (tmp_path / "occupied").write_text("")
    assert run(tmp_path / "edge.json", tmp_path / "occupied") == 2
    assert "occupied" in capsys.readouterr().err


@pytest.mark.parametrize("broken", ["raise ImportError('no serial here')", "driver = object()", "x = 1"])
def test_a_driver_that_is_broken_is_said_by_name(
    tmp_path: Path, broken: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = lampbus.install(tmp_path / "site")
    (folder / "anxin_lampbus.py").write_text(broken)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "anxin_lampbus", raising=False)
    assert "the driver 'lampbus'" in refused(tmp_path, bundle(1, 1), capsys)
    sys.modules.pop("anxin_lampbus", None)
