"""The manifest and the variables that fit simulated devices: `anxinctl apply -f` it and run an edge a site. Pure.

Secrets stand in no manifest: a setting that is secret becomes `${env:…}`, its value goes into the file of variables.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from hub.profiles import Profile

DIVISIONS = [
    {"code": "14", "title": {"zh": "山西省", "en": "Shanxi"}},
    {"code": "1404", "parent": "14", "title": {"zh": "长治市", "en": "Changzhi"}},
    {"code": "140403", "parent": "1404", "title": {"zh": "潞州区", "en": "Luzhou"}},
]


class Sited(NamedTuple):
    """One simulated device as a manifest names it."""

    name: str
    site: str
    profile: Profile
    endpoint: Mapping[str, Any]
    secret: frozenset[str]
    """keys of the endpoint's settings that are secret"""
    device: Mapping[str, Any]


_MAIL = {
    "host": "127.0.0.1",
    "port": 1025,
    "security": "none",
    "sender": "hub@simulated.invalid",
    "recipients": ["desk@simulated.invalid"],
}
"""fire and panic are told by two kinds of channel; whoever plays with it points this at a receiver of mail"""


def manifest_of(devices: Sequence[Sited], webhook: str, secret: str) -> tuple[dict[str, Any], dict[str, str]]:
    """The manifest as it is written, and the values of the variables that it names. Fires and presses are told to `webhook`."""
    variables = {"ANXIN_SIM_WEBHOOK_SECRET": secret}
    desk = {"url": webhook, "secret": "${env:ANXIN_SIM_WEBHOOK_SECRET}"}
    sites = dict.fromkeys(one.site for one in devices)
    institutions = [_institution(site, [one for one in devices if one.site == site], variables) for site in sites]
    responder = {
        "id": "sim-desk",
        "title": {"zh": "模拟值班", "en": "Simulated duty desk"},
        "manned": True,
        "channels": [
            {"id": "hook", "kind": "webhook", "settings": desk},
            {"id": "mail", "kind": "smtp", "settings": _MAIL},
        ],
    }
    document = {
        "divisions": DIVISIONS,
        "responders": [responder],
        "policies": [_policy(site) for site in sites],
        "institutions": institutions,
    }
    return document, variables


def _policy(site: str) -> dict[str, Any]:
    """An institution with fire or panic devices must have one."""
    return {
        "id": f"{site}-policy",
        "title": {"zh": f"模拟机构 {site} 火警与一键报警", "en": f"Fire and panic at {site}"},
        "institution": site,
        "signal_classes": ["fire", "panic"],
        "priorities": ["critical"],
        "round_every": "60s",
        "steps": [{"responder": "sim-desk", "kinds": 2}],
    }


def _institution(site: str, devices: Sequence[Sited], variables: dict[str, str]) -> dict[str, Any]:
    edge = f"{site}-edge"
    endpoints: dict[str, dict[str, Any]] = {}
    lines = []
    for one in devices:
        shared = one.profile.driver == "mqtt"
        settings = {key: value for key, value in one.endpoint.items() if not (shared and key == "client_id")}
        if shared:
            settings["client_id"] = f"{edge}-mqtt"
        name = f"{site}-mqtt" if shared else one.name
        if name not in endpoints:
            hidden = {key: _hidden(name, key, settings[key], variables) for key in settings if key in one.secret}
            endpoints[name] = {
                "id": name,
                "driver": one.profile.driver,
                "edge": edge,
                "settings": {**settings, **hidden},
            }
        line: dict[str, Any] = {"id": one.name, "profile": one.profile.profile, "position": one.name, "endpoint": name}
        if one.device:
            line["settings"] = dict(one.device)
        lines.append(line)
    return {
        "id": site,
        "division": DIVISIONS[-1]["code"],
        "type": "private",
        "title": {"zh": f"模拟机构 {site}", "en": f"Simulated site {site}"},
        "zones": [{"id": "room", "purpose": "activity_room", "title": {"zh": "活动室", "en": "Activity room"}}],
        "positions": [{"id": one.name, "zone": "room", "title": one.profile.title.model_dump()} for one in devices],
        "edges": [{"id": edge}],
        "endpoints": list(endpoints.values()),
        "devices": lines,
    }


def _hidden(endpoint: str, key: str, value: Any, variables: dict[str, str]) -> str:
    name = "ANXIN_SIM_" + re.sub(r"[^A-Z0-9]", "_", f"{endpoint}_{key}".upper())
    variables[name] = str(value)
    return f"${{env:{name}}}"
