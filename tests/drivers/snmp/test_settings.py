"""Settings: what is refused, that the refusal names the key, and that no secret is ever shown."""

from importlib.metadata import entry_points
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from drivers.snmp import driver
from hub.driver import ENTRY_POINT_GROUP, Driver

V3 = {"host": "h", "user": "u", "auth_key": "authpass-12", "priv_key": "privpass-12"}
V2 = {"host": "h", "version": "2c", "community": "c0mmunity", "insecure_transport": True}


def _refusal(model: type[BaseModel], settings: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(settings)
    told = f"{caught.value} {caught.value!r} {caught.value.errors(include_input=False)}"
    assert not any(secret in told for secret in ("authpass", "privpass", "c0mmunity", "short7x"))
    first = caught.value.errors(include_input=False)[0]
    return ".".join(str(part) for part in first["loc"]) + ": " + first["msg"]


@pytest.mark.parametrize(
    ("model", "settings", "names"),
    [
        (driver.Endpoint, V3 | {"comunity": "c0mmunity"}, "comunity"),
        (driver.Endpoint, V3 | {"community": "c0mmunity"}, "community"),
        (driver.Endpoint, V3 | {"insecure_transport": True}, "insecure_transport"),
        (driver.Endpoint, V3 | {"auth_key": "short7x"}, "auth_key"),
        (driver.Endpoint, V3 | {"auth": "md5"}, "auth"),
        (driver.Endpoint, V3 | {"priv": "des"}, "priv"),
        (driver.Endpoint, V3 | {"priv_key": None}, "priv_key"),
        (driver.Endpoint, V3 | {"user": None}, "user"),
        (driver.Endpoint, V3 | {"version": "1"}, "version"),
        (driver.Endpoint, V3 | {"port": 65536}, "port"),
        (driver.Endpoint, V3 | {"max_varbinds": 0}, "max_varbinds"),
        (driver.Endpoint, V2 | {"insecure_transport": False}, "insecure_transport"),
        (driver.Endpoint, V2 | {"community": None}, "community"),
        (driver.Endpoint, V2 | {"user": "u"}, "user"),
        (driver.Device, {"index": "1.x"}, "index"),
        (driver.Device, {"unit": 1}, "unit"),
        (driver.Address, {"oid": "1.3.6.1", "table": "holding"}, "table"),
        (driver.Address, {"oid": "sysUpTime.0"}, "oid"),
        (driver.Address, {"oid": "3.1"}, "oid"),
        (driver.Address, {"oid": "1.40"}, "oid"),
        (driver.Address, {"oid": "1"}, "oid"),
        (driver.Address, {"oid": "1.3.4294967296"}, "oid"),
        (driver.Address, {"oid": "1.3" + ".1" * 127}, "oid"),
        (driver.Address, {"oid": "1.3.6.1", "type": "float"}, "type"),
    ],
)
def test_bad_settings_are_refused_naming_the_key_and_showing_no_secret(
    model: type[BaseModel], settings: dict[str, Any], names: str
) -> None:
    assert names in _refusal(model, settings)


def test_no_secret_is_in_the_representation_of_an_endpoint() -> None:
    for settings in (V3, V2):
        endpoint = driver.Endpoint.model_validate(settings)
        told = f"{endpoint!r} {endpoint} {endpoint.model_dump()} {endpoint.model_dump_json()}"
        assert not any(secret in told for secret in ("authpass", "privpass", "c0mmunity"))


def test_a_leading_dot_and_leading_zeros_of_an_oid_mean_nothing() -> None:
    assert driver.Address.model_validate({"oid": ".1.3.06.1"}).model_dump()["oid"] == "1.3.6.1"


def test_the_driver_keeps_the_contract_and_is_found_by_its_entry_point() -> None:
    kept: Driver = driver
    assert kept.name == "snmp"
    assert [point.load() for point in entry_points(group=ENTRY_POINT_GROUP, name="snmp")] == [driver]
