"""`anxin profile`: what is wrong with a profile, and a device's live exchange written as a case that the real driver reads back."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from drivers.simulator.faults import Faults
from drivers.simulator.modbus import ModbusDevice
from drivers.simulator.modbus_bus import ModbusBus
from drivers.simulator.mqtt_device import MqttDevice
from drivers.simulator.wire import TcpPort
from hub.cases import Case, load_case
from hub.cli.main import app as anxin
from hub.config import data_folder
from hub.core.rehearsal import rehearse
from hub.engine import Prefix
from hub.model import to_micros
from hub.mqtt import parse_broker
from hub.profiles import load_profiles
from hub.runtime.replay import replay
from hub.simulation import Place
from tests.drivers.snmp.agent import AUTH_KEY, PRIV_KEY, ROOT, Snmpd
from tests.ports import free_port

PROFILES = load_profiles([data_folder("device-profiles")])
ANXIN = [sys.executable, "-c", "from hub.cli.main import main; main()", "profile"]


async def profile(*words: str, **environment: str) -> tuple[int, str, str]:
    """The command in a thread, with a loop of its own, while the device that it asks lives on in this one."""
    told = await asyncio.to_thread(CliRunner().invoke, anxin, ["profile", *words], env=environment)
    assert told.exception is None or isinstance(told.exception, SystemExit), told.exception
    return told.exit_code, told.stdout, told.stderr


async def profile_process(*words: str) -> tuple[int, str, str]:
    """The same as a process, as people run it."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *ANXIN, *words, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe
    )
    async with asyncio.timeout(90):
        out, error = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), error.decode()


def settings(option: str, **values: object) -> list[str]:
    return [word for key, value in values.items() for word in (option, f"{key}={value}")]


async def held(
    case: Case, known: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch, broker: str | None = None
) -> str:
    """How the replay differs from what was recorded."""
    real, began = time.time_ns, case.about.recorded_at
    behind = real() - to_micros(began) * 1000  # type: ignore[arg-type]
    monkeypatch.setattr(time, "time_ns", lambda: real() - behind)
    came = await replay(case, known[case.profile], Place(folder, broker))
    outcome = rehearse(known[case.profile], came.samples, time.time_ns() // 1000)
    return "\n".join(case.differences(outcome, tuple(one.code for one in came.rejects)))


def everything(folder: Path) -> str:
    return "".join(path.read_text("utf-8") for path in sorted(folder.iterdir()))


# record -------------------------------------------------------------------------------------------------------------


async def test_a_modbus_device_becomes_a_case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "adam-6050-door" / "as-found"
    async with ModbusDevice() as device:
        for address, value in enumerate((True, False, False)):
            device.set_discrete(1, address, value)
        where = settings("--endpoint", host=device.host, port=device.port)
        code, out, error = await profile(
            "record", "adam-6050-door", *where, "--output", str(output), "--firmware", "4.1"
        )
    assert code == 0, error
    assert "4 readings, 1 alarms, 0 rejects" in out
    assert "look at:  lock" in out
    case = load_case(output)
    assert (case.about.origin, case.about.firmware) == ("recording", "4.1")
    assert yaml.safe_load(case.files["registers.yaml"]) == {"units": {1: {"discrete": {0: [1, 0, 0]}}}}
    assert {(one.alarm, one.state) for one in case.about.expect.alarms} == {("held_open", "unack_active")}
    assert await held(case, dict(PROFILES), tmp_path, monkeypatch) == ""
    assert "127.0.0.1" not in everything(output)


@pytest.mark.parametrize("transport", ["rtu_over_tcp", "rtu"])
async def test_a_modbus_line_becomes_a_case(transport: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "adam-6050-button" / "line"
    bus = ModbusBus(transport, Faults({}, 0), tmp_path, "line")
    bus.places = {(1, "discrete", 4): 1}
    await bus.open()
    try:
        where = settings("--endpoint", **bus.endpoint)
        code, _, error = await profile("record", "adam-6050-button", *where, "--output", str(output))
    finally:
        await bus.close()
    assert code == 0, error
    assert yaml.safe_load((output / "registers.yaml").read_text()) == {"units": {1: {"discrete": {4: [1]}}}}
    assert await held(load_case(output), dict(PROFILES), tmp_path, monkeypatch) == ""


_AGENT = f"""
profile: test-agent
extends: rfc1628-ups
points:
  name: {{title: {{zh: 名称, en: Name}}, type: str, address: {{oid: {ROOT}.1.0}}}}
  load_now: {{title: {{zh: 负载, en: Load}}, type: int, address: {{oid: {ROOT}.2.0}}}}
"""


async def test_an_agent_that_we_did_not_write_becomes_a_case_without_its_keys_names_and_addresses(
    peers: Prefix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, file = tmp_path / "test-agent" / "as-found", tmp_path / "profiles" / "test-agent.yaml"
    file.parent.mkdir()
    file.write_text(_AGENT, "utf-8")
    agent = Snmpd(peers.program("snmpd"), tmp_path / "snmpd", free_port())
    agent.set("1.0", "string", f"gate of kita-7 at 10.9.8.7, AC:CC:8E:01:02:03, key {AUTH_KEY}")
    agent.set("2.0", "integer", 42)
    await agent.start()
    try:
        where = settings("--endpoint", host=agent.host, port=agent.port, user="sha256", auth="sha256",
                         auth_key="${env:TEST_AUTH}", priv_key="${env:TEST_PRIV}")  # fmt: skip
        code, out, error = await profile(
            "record", str(file), *where, "--output", str(output), "--redact", "kita-7",
            TEST_AUTH=AUTH_KEY, TEST_PRIV=PRIV_KEY,
        )  # fmt: skip
    finally:
        await agent.stop()
    assert code == 0, error
    written = everything(output) + out
    for private in (AUTH_KEY, PRIV_KEY, "kita-7", "10.9.8.7", "AC:CC:8E", "sha256"):
        assert private not in written, private
    case = load_case(output)
    (name,) = [one.value for one in case.about.expect.readings if one.point == "name"]
    assert name == "gate of redacted-1 at 192.0.2.1, 00:00:5E:00:53:01, key redacted"
    known = load_profiles([data_folder("device-profiles"), file.parent])
    assert await held(case, known, tmp_path, monkeypatch) == ""


async def test_messages_at_a_broker_become_a_case_and_the_edges_session_is_left_alone(
    mqtt_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "tuya-ts0215a-sos" / "as-found"
    broker = parse_broker(mqtt_url)
    assert broker.password is not None
    password = broker.password.get_secret_value()
    topic = "zigbee2mqtt/0x00158d0001020304"
    async with MqttDevice(broker, topic, "TS0215A_sos", beat=0.2):
        where = settings("--endpoint", host=broker.host, port=broker.port, username=broker.username,
                         password="${env:TEST_PASSWORD}")  # fmt: skip
        code, _, error = await profile(
            "record", "tuya-ts0215a-sos", *where, *settings("--device", topic=topic), "--output", str(output),
            "--seconds", "1", TEST_PASSWORD=password,
        )  # fmt: skip
    assert code == 0, error
    written = everything(output)
    for private in (password, str(broker.username) + ":", "00158d", "127.0.0.1"):
        assert private not in written, private
    case = load_case(output)
    assert case.about.device == {"topic": "zigbee2mqtt/0x00005e0053000001"}
    assert len(case.about.expect.readings) >= 2
    assert await held(case, dict(PROFILES), tmp_path, monkeypatch, mqtt_url) == ""


@asynccontextmanager
async def printing(*lines: bytes) -> AsyncIterator[TcpPort]:
    wire = TcpPort()
    await wire.plug()

    async def say() -> None:
        await wire.called(60)
        for line in lines:
            await wire.write(line)

    saying = asyncio.create_task(say(), name="test prints")
    try:
        yield wire
    finally:
        saying.cancel()
        await asyncio.wait([saying])
        await wire.unplug()


async def test_a_line_becomes_a_case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "ascii-line-door" / "as-found"
    async with printing(b"D01 ALIVE 7\r\nD01 O", b"PEN\r\nguest 10.1.1.1\r\n") as wire:
        where = settings("--endpoint", port=wire.port, protocol="lines")
        code, _, error = await profile(
            "record",
            "ascii-line-door",
            *where,
            *settings("--device", address="01"),
            "--output",
            str(output),
            "--seconds",
            "1",
        )
    assert code == 0, error
    assert "10.1.1.1" not in everything(output)
    case = load_case(output)
    assert case.about.endpoint == {"protocol": "lines"}
    assert case.about.expect.rejects == ("line",)
    assert await held(case, dict(PROFILES), tmp_path, monkeypatch) == ""


async def test_a_recording_that_would_hold_a_secret_is_not_written(tmp_path: Path) -> None:
    output = tmp_path / "case"
    frame = b"@@\x01\x00 my-hidden-word ##"
    async with printing(frame * 3) as wire:
        where = settings("--endpoint", port=wire.port, protocol="gb26875")
        code, _, error = await profile(
            "record",
            "gb26875-transmitter",
            *where,
            "--output",
            str(output),
            "--seconds",
            "1",
            "--redact",
            "my-hidden-word",
        )
    assert code == 2
    assert "line.jsonl: still holds a secret" in error
    assert "my-hidden-word" not in error
    assert not output.exists()


def test_what_cannot_be_recorded_says_why_and_leaves_nothing(tmp_path: Path, closed_port: int) -> None:
    output, host = tmp_path / "case", settings("--endpoint", host="127.0.0.1", port=closed_port)
    hidden = {"TEST_KEY": "very-hidden-key"}
    cases: list[tuple[list[str], int, str]] = [
        (["adam-6050-door", *host], 1, "modbus"),
        (["no-such-profile", *host], 2, "no profile"),
        (["anxin-edge", *host], 2, "nothing to record"),
        (["adam-6050-door", *host, "--endpoint", "color=red"], 2, "color"),
        (["adam-6050-door", "--endpoint", "host"], 2, "KEY=VALUE"),
        (["rfc1628-ups", *host, "--endpoint", "priv_key=${env:TEST_KEY}"], 2, "settings"),
        (["rfc1628-ups", *host, "--endpoint", "priv_key=${env:TEST_NONE}"], 2, "has no TEST_NONE"),
        (
            ["heiman-hs1sa", *host, "--endpoint", "username=hub", "--endpoint", "password=abc", "--device", "topic=x"],
            2,
            "fewer than 4",
        ),
        (["heiman-hs1sa", *host, "--endpoint", "tls=true", "--device", "topic=x"], 2, "inside TLS"),
    ]
    for words, expected, said in cases:
        told = CliRunner().invoke(anxin, ["profile", "record", *words, "--output", str(output)], env=hidden)
        code, error = told.exit_code, told.stderr
        assert (code, said in error) == (expected, True), (words, error)
        assert "very-hidden-key" not in error
        assert not output.exists()
    output.mkdir()
    told = CliRunner().invoke(anxin, ["profile", "record", "adam-6050-door", *host, "--output", str(output)])
    assert (told.exit_code, "is there already" in told.stderr) == (2, True)


# check --------------------------------------------------------------------------------------------------------------

Change = Callable[[dict[str, Any]], None]


async def test_the_shipped_profiles_hold() -> None:
    code, out, error = await profile_process("check", str(data_folder("device-profiles")))
    flagged = error.splitlines()
    assert (code, all(": flag: liveness.offline_after: " in line for line in flagged)) == (0, True)
    assert out.endswith(f", 0 wrong, {len(flagged)} flagged\n")


def _change(path: str, value: Any) -> Change:
    def change(document: dict[str, Any]) -> None:
        *way, last = path.split(".")
        for key in way:
            document = document[key]
        if value is None:
            del document[last]
        else:
            document[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_change("colour", "red"), "colour: Extra inputs"),
        (_change("driver", "smoke-signals"), "no driver 'smoke-signals'"),
        (
            _change("points.door.address", {"table": "discrete", "adress": 0}),
            "points.door.address.adress: Extra inputs",
        ),
        (_change("device", {"unite": 1}), "device.unite: Extra inputs"),
        (_change("alarms.link_lost", None), "alarms: exactly one watches the point 'link'"),
        (_change("alarms.forced_open.class", "panic"), "alarms.forced_open: Value error, fire and panic are always"),
        (_change("alarms.forced_open.condition", {"present": True}), "alarms.forced_open.condition: 'present'"),
        (_change("alarms.forced_open.response.zh", "go there"), "alarms.forced_open.response.zh: holds no Chinese"),
        (_change("points.door.record", "beat"), "alarms.held_open.point: a beat is never judged"),
        (_change("points.door.every", "1h"), "test.within: shorter than points.door.every"),
    ],
)
def test_what_is_wrong_with_a_profile_is_said_with_its_key(change: Change, said: str, tmp_path: Path) -> None:
    from hub.runtime.profile_check import problems

    document = yaml.safe_load(
        (data_folder("device-profiles") / "access_controller" / "advantech-adam-6050-door.yaml").read_text()
    )
    document["profile"] = "my-door"
    path = tmp_path / "my-door.yaml"
    path.write_text(yaml.safe_dump(document, allow_unicode=True), "utf-8")
    assert problems(path, PROFILES) == []
    change(document)
    path.write_text(yaml.safe_dump(document, allow_unicode=True), "utf-8")
    assert [one for one in problems(path, PROFILES) if said in one], problems(path, PROFILES)


async def test_a_wrong_profile_ends_the_check_with_its_file_and_code_1(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "profile: mine\nextends: rfc1628-ups\nliveness: {beat: 30s, offline_after: 31s}\n"
    )
    (tmp_path / "none.yaml").write_text("- 1\n")
    code, out, error = await profile("check", str(tmp_path))
    assert (code, out) == (1, "2 profiles, 2 wrong\n")
    first, second = error.splitlines()
    assert "mine.yaml: liveness" in first
    assert "none.yaml: not a mapping" in second
    code, _, error = await profile("check", str(tmp_path / "gone.yaml"))
    assert (code, "gone.yaml: there is no such file" in error) == (2, True)


@pytest.fixture
def closed_port() -> int:
    return free_port()
