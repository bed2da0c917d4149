"""What a manifest and a profile may say to the serial driver."""

from typing import Any

import pytest
from pydantic import ValidationError

from drivers.serial.settings import Address, Device, Endpoint, transmitter_of

LINES = {"port": "/dev/ttyS0", "protocol": "lines"}
PANEL = {"port": "/dev/ttyS0", "protocol": "gb26875"}


@pytest.mark.parametrize(
    ("model", "document", "named"),
    [
        (Endpoint, {**LINES, "baud": 9600}, "baud"),
        (Endpoint, {**LINES, "port": "ttyS0"}, "port"),
        (Endpoint, {**LINES, "port": "socket://10.0.0.1"}, "port"),
        (Endpoint, {**LINES, "port": "socket://user:pw@10.0.0.1:5000"}, "port"),
        (Endpoint, {**LINES, "port": "spy:///dev/ttyS0"}, "port"),
        (Endpoint, {**LINES, "port": "socket://h:99999"}, "port"),
        (Endpoint, {**LINES, "protocol": "modbus"}, "protocol"),
        (Endpoint, {**LINES, "baudrate": 1}, "baudrate"),
        (Endpoint, {**LINES, "idle_timeout": 0}, "idle_timeout"),
        (Endpoint, {**LINES, "max_line": 10_000}, "max_line"),
        (Endpoint, {**LINES, "ignore": ["ok", "(a+)+"]}, "ignore.1"),
        (Endpoint, {**PANEL, "max_line": 100}, "max_line"),
        (Endpoint, {**PANEL, "query": "?"}, "query"),
        (Device, {"id": 1}, "id"),
        (Address, {}, "exactly one of pattern, octets and item"),
        (Address, {"pattern": "(?P<value>x)", "item": "part"}, "exactly one"),
        (Address, {"pattern": "T=(.*)"}, r"'T=(.*)'"),
        (Address, {"pattern": "T=((?P<value>"}, "T=((?P<value>"),
        (Address, {"pattern": "(?P<value>x)", "bit": "fire"}, "bit"),
        (Address, {"item": "part"}, "exactly one of bit and field"),
        (Address, {"item": "part", "bit": "mains_fault"}, "mains_fault"),
        (Address, {"item": "transmitter", "bit": "duty_answer"}, "duty_answer"),
        (Address, {"item": "part", "bit": "fire", "map": {"1": True}}, "map"),
        (Address, {"item": "clock_skew", "bit": "fire"}, "clock_skew"),
        (Address, {"item": "part", "bit": "fire", "system_type": 256}, "system_type"),
    ],
)
def test_settings_that_do_not_hold_are_refused_and_named(model: Any, document: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(document)
    assert named in str(caught.value)


@pytest.mark.parametrize(
    "port", ["/dev/ttyUSB0", "socket://10.0.0.1:5000", "listen://0.0.0.0:6000", "socket://[::1]:5000"]
)
def test_ports_that_are_taken(port: str) -> None:
    assert Endpoint.model_validate({"port": port, "protocol": "gb26875"}).port == port


def test_a_transmitters_address_has_12_hexadecimal_digits() -> None:
    assert transmitter_of(Device(address="0102030405ff")) == 0x0102030405FF
    assert transmitter_of(Device()) is None
    with pytest.raises(ValueError, match="'a1'"):
        transmitter_of(Device(address="a1"))
