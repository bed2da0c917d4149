"""From a bundle's endpoints to plans: what stands in the file is what the driver gets, parsed by its own models."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.bundle import Bundle, parse_bundle
from hub.errors import BadInput
from hub.model import Lane, Series
from hub.runtime.drivers import find_driver, plan_links
from tests import lampbus

BUNDLE = """
{"version": 1, "edge": "edge-1", "institution": "kita-1", "partition": 3, "beat": "10s",
 "broker": {"host": "127.0.0.1", "port": 1883, "username": "edge-1", "password": "x"},
 "endpoints": [
  {"id": "bus-1", "driver": "lampbus", "settings": {"host": "10.0.0.1", "port": 7}, "devices": [
    {"id": "lamp-1", "lane": "bulk", "settings": {}, "points": [
      {"point": "level", "type": "int", "record": "reading", "every": "2s", "address": {}},
      {"point": "press", "type": "str", "record": "event", "every": "30s", "address": {}, "writable": true}]},
    {"id": "lamp-2", "lane": "urgent", "settings": {}, "points": []}]},
  {"id": "bus-2", "driver": "lampbus", "settings": {"host": "10.0.0.2", "port": 7}}]}
"""


@pytest.fixture(autouse=True)
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(lampbus.install(tmp_path / "site")))
    sys.modules.pop("anxin_lampbus", None)
    yield
    sys.modules.pop("anxin_lampbus", None)


def bundle() -> Bundle:
    return parse_bundle(BUNDLE, "edge.json")


def test_each_endpoint_becomes_a_plan_with_the_drivers_own_models() -> None:
    one, other = plan_links(bundle().endpoints, "edge.json")
    assert (one.endpoint_id, one.source, one.urgent) == ("bus-1", "lampbus:/bus-1", True)
    assert (other.endpoint_id, other.urgent, other.bindings) == ("bus-2", False, ())
    assert (one.endpoint.host, one.endpoint.port) == ("10.0.0.1", 7)
    assert type(one.endpoint).__name__ == "LampEndpoint"
    assert one.lanes == {"lamp-1": Lane.BULK, "lamp-2": Lane.URGENT}
    assert one.every == {Series("lamp-1", "level"): 2_000_000, Series("lamp-1", "press"): 30_000_000}
    assert [(b.series.point, b.kind, b.writable) for b in one.bindings] == [
        ("level", "int", False),
        ("press", "str", True),
    ]
    assert {type(b.address).__name__ for b in one.bindings} == {"LampAddress"}


@pytest.mark.parametrize("name", ["mqtt", "modbus", "snmp", "serial", "lampbus"])
def test_built_in_drivers_and_a_third_partys_are_found_the_same_way(name: str) -> None:
    assert find_driver(name, "edge.json").name == name


def test_a_driver_that_is_not_there_is_refused_with_the_ones_that_are() -> None:
    with pytest.raises(
        BadInput, match=r"edge\.json.*no driver 'abacus'.*lampbus, modbus, mqtt, onvif, rtsp, serial, snmp"
    ):
        find_driver("abacus", "edge.json")
