"""The demo's devices: what `python -m drivers.simulator` is told to be, and what the manifests' `${env:…}` become."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_UPTIME = "1.3.6.1.2.1.1.3.0"
_AXIS_VIDEO = "1.3.6.1.4.1.368.4.1.4.1.2.1"
_AXIS_TEMPERATURE = "1.3.6.1.4.1.368.4.1.3.1.3.1.1"
_SYNOLOGY = "1.3.6.1.4.1.6574"
_UPS = "1.3.6.1.2.1.33.1"

_CAMERA = [[_AXIS_VIDEO, "integer", 1], [_AXIS_TEMPERATURE, "integer", 1]]
_RECORDER = [
    [f"{_SYNOLOGY}.1.1.0", "integer", 1],
    [f"{_SYNOLOGY}.1.2.0", "integer", 38],
    [f"{_SYNOLOGY}.1.3.0", "integer", 1],
    [f"{_SYNOLOGY}.2.1.1.5.0", "integer", 1],
    [f"{_SYNOLOGY}.3.1.1.3.0", "integer", 1],
]
_POWER = [
    [f"{_UPS}.2.1.0", "integer", 2],
    [f"{_UPS}.2.3.0", "integer", 42],
    [f"{_UPS}.2.4.0", "integer", 97],
    [f"{_UPS}.4.1.0", "integer", 3],
    [f"{_UPS}.4.4.1.5.1", "integer", 23],
    [f"{_UPS}.3.3.1.3.1", "integer", 229],
]
_DOOR_LINE = "D01 {door}\r\nD01 FORCED {forced}\r\nD01 ALIVE 1"


@dataclass(frozen=True)
class Secrets:
    """What the devices and the duty rooms share with the hub; made anew for each run."""

    snmp_user: str = "hub-demo"
    snmp_auth_key: str = field(default_factory=lambda: secrets.token_urlsafe(12), repr=False)
    snmp_priv_key: str = field(default_factory=lambda: secrets.token_urlsafe(12), repr=False)
    onvif_user: str = "hub-demo"
    onvif_password: str = field(default_factory=lambda: secrets.token_urlsafe(12), repr=False)
    snmp_community: str = field(default_factory=lambda: secrets.token_urlsafe(9), repr=False)


def plan(folder: Path, broker: str, known: Secrets) -> dict[str, Any]:
    """The first line for the simulators; `broker` is the institutions' own (mqtt://user:password@host:port)."""
    user = [[known.snmp_user, known.snmp_auth_key, known.snmp_priv_key]]
    cameras = ("center-cam-activity", "center-cam-reception", "center-cam-toilet", "point-cam")
    smokes = ("center-smoke-activity", "center-smoke-reception", "point-smoke", "home-smoke")
    devices: dict[str, dict[str, Any]] = {name: {"kind": "snmp", "users": user, "values": _CAMERA} for name in cameras}
    recording = {"kind": "onvif", "user": known.onvif_user, "password": known.onvif_password, "days": 92}
    devices["center-cam-entrance"] = {**recording, "gap_hours": 2}
    devices["home-cam"] = recording
    devices["center-recorder"] = {"kind": "snmp", "users": user, "values": _RECORDER}
    devices["center-ups"] = {"kind": "snmp", "community": known.snmp_community, "values": _POWER}
    for name in smokes:
        devices[name] = {"kind": "mqtt", "product": "HS1SA", "topic": f"zigbee2mqtt/{name}", "beat": 1.5}
    devices["center-sos"] = {"kind": "mqtt", "product": "TS0215A_sos", "topic": "zigbee2mqtt/center-sos", "beat": 1.5}
    inputs = {"0": False, "1": False, "2": False, "4": False}
    for name in ("center-io", "point-io"):
        devices[name] = {"kind": "modbus", "discrete": inputs, "coils": {"16": False}}
    values = {"door": "CLOSED", "forced": 0}
    line = {"kind": "lines", "template": _DOOR_LINE, "values": values, "interval": 1.5}
    devices["center-back-door"] = {**line, "pty": True}
    devices["point-door"] = {**line, "pty": False}
    devices["center-panel"] = {"kind": "panel", "pty": True, "beat": 1.5}
    return {"folder": str(folder), "broker": broker, "devices": devices}


def environment(places: Mapping[str, Mapping[str, str]], known: Secrets) -> dict[str, str]:
    """The variables that the demo's manifests name, but for broker and duty rooms."""
    ports = {
        "CENTER_CAM_ACTIVITY_PORT": "center-cam-activity",
        "CENTER_CAM_RECEPTION_PORT": "center-cam-reception",
        "CENTER_CAM_TOILET_PORT": "center-cam-toilet",
        "CENTER_CAM_ENTRANCE_PORT": "center-cam-entrance",
        "CENTER_RECORDER_PORT": "center-recorder",
        "CENTER_UPS_PORT": "center-ups",
        "CENTER_MODBUS_PORT": "center-io",
        "CENTER_PANEL": "center-panel",
        "CENTER_DOOR_LINE": "center-back-door",
        "POINT_CAM_PORT": "point-cam",
        "POINT_MODBUS_PORT": "point-io",
        "POINT_DOOR_LINE": "point-door",
        "HOME_CAM_PORT": "home-cam",
    }
    found = {f"ANXIN_DEMO_{name}": places[device]["port"] for name, device in ports.items()}
    return found | {
        "ANXIN_DEMO_SNMP_USER": known.snmp_user,
        "ANXIN_DEMO_SNMP_AUTH_KEY": known.snmp_auth_key,
        "ANXIN_DEMO_SNMP_PRIV_KEY": known.snmp_priv_key,
        "ANXIN_DEMO_SNMP_COMMUNITY": known.snmp_community,
        "ANXIN_DEMO_ONVIF_USER": known.onvif_user,
        "ANXIN_DEMO_ONVIF_PASSWORD": known.onvif_password,
    }
