"""A live exchange becomes a case: the real driver reads the device through its simulator's tap; what it read is what the case expects.

A person reviews it before it is believed: the driver cannot know what the device meant.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any, NamedTuple

from pydantic import BaseModel, SecretStr

from hub.bundle import BundleEndpoint
from hub.cases import DEVICE, QUALITIES
from hub.core.redaction import Redactor
from hub.core.rehearsal import rehearse
from hub.driver import Link, PollLink, PushLink
from hub.errors import BadInput, LinkDown
from hub.model import Quality, Reading, Reject, Sample
from hub.profiles import Profile
from hub.runtime.drivers import LinkPlan, plan_links
from hub.runtime.replay import OWN, bundled, find_simulator
from hub.simulation import Place

MAX_SAMPLES = 5_000
"""A case is read by people."""
_SHORTEST = 4
"""Characters of a secret that can be told from other text."""
_NAMES = frozenset({"user", "username", "login"})
_PLACES = frozenset({"host"})


class Recorded(NamedTuple):
    """A case as it will be written."""

    about: dict[str, Any]
    """case.yaml"""
    files: Mapping[str, bytes]
    replaced: Mapping[str, int]
    """how many different originals of each kind were redacted"""
    secrets: Redactor


async def record(
    profile: Profile,
    endpoint: Mapping[str, Any],
    device: Mapping[str, Any],
    seconds: float,
    place: Place,
    where: str,
    redact: Sequence[str] = (),
) -> Recorded:
    """Listen for `seconds`, then ask once for every point. Raises BadInput, DriverError, OSError; nothing of ours stays connected."""
    if profile.driver == OWN:
        raise BadInput("the edge's own profile has nothing to record", where, code="driver")
    simulator = find_simulator(profile.driver, where)
    if not hasattr(simulator, "tap"):
        raise BadInput(f"devices of driver {profile.driver!r} cannot be recorded yet", where, code="driver")
    direct = _planned(profile, endpoint, device, where)
    redactor = _redactor(direct, endpoint, device, redact)
    began = datetime.now(UTC).replace(microsecond=0)
    async with simulator.tap(direct.endpoint, direct.bindings, place) as tap:
        settings = {key: value for key, value in {**endpoint, **tap.endpoint}.items() if value is not None}
        plan = _planned(profile, settings, device, where)
        async with plan.driver.connect(plan.endpoint, plan.bindings) as link:
            samples, rejects = await _listen(plan, link, seconds)
        files = tap.files(redactor)
        kept = {key: endpoint[key] for key in tap.kept if key in endpoint}
    outcome = rehearse(profile, samples, int(datetime.now(UTC).timestamp() * 1e6))
    alarms = [
        {"alarm": one.definition, **({"instance": one.instance} if one.instance else {}), "state": str(one.state)}
        for one in outcome.alarms
    ]
    about: dict[str, Any] = {
        "origin": "recording",
        "source": "",
        "recorded_at": began,
        "endpoint": _redacted(kept, redactor),
        "device": _redacted(dict(device), redactor),
        "expect": {
            "readings": [_expected(one, redactor) for one in outcome.readings],
            "alarms": alarms,
            "rejects": [one.code for one in rejects],
        },
    }
    return Recorded(about, files, redactor.replaced, redactor)


def _planned(profile: Profile, endpoint: Mapping[str, Any], device: Mapping[str, Any], where: str) -> LinkPlan:
    behind = bundled(DEVICE, profile, device)
    one = BundleEndpoint(id="device", driver=profile.driver, settings=dict(endpoint), devices=(behind,))
    return plan_links([one], where)[0]


async def _listen(plan: LinkPlan, link: Link, seconds: float) -> tuple[list[Sample], list[Reject]]:
    samples: list[Sample] = []
    rejects: list[Reject] = []
    if isinstance(link, PushLink):
        try:
            async with asyncio.timeout(seconds):
                async for delivery in link.deliveries():
                    samples += delivery.samples
                    rejects += delivery.rejects
                    await delivery.settle()
                    if len(samples) + len(rejects) > MAX_SAMPLES:
                        raise BadInput(f"more than {MAX_SAMPLES} values: record for a shorter time", "--seconds")
        except TimeoutError:
            pass  # that was the time
        except LinkDown:
            if not samples and not rejects:
                raise  # a device that hung up after it spoke has said what it had to say
    if isinstance(link, PollLink):
        samples += await link.read([one.series for one in plan.bindings])
    if not samples and not rejects:
        raise LinkDown(f"nothing came within {seconds:g} s")
    return samples, rejects


def _redactor(
    plan: LinkPlan, endpoint: Mapping[str, Any], device: Mapping[str, Any], redact: Sequence[str]
) -> Redactor:
    secrets: dict[str, str] = {}
    known = {text: f"redacted-{n}" for n, text in enumerate(redact, 1)}
    for model in (plan.endpoint, plan.bindings[0].device):
        _collect(model, secrets, known)
    for settings in (endpoint, device):  # a secret that a driver did not mark as one
        for key, value in settings.items():
            if isinstance(value, str) and any(word in key.lower() for word in ("passw", "secret", "token", "communit")):
                secrets[value] = "redacted"
    if any(0 < len(secret) < _SHORTEST for secret in (*secrets, *redact)):
        reason = f"a secret of fewer than {_SHORTEST} characters cannot be told from other text: record with another"
        raise BadInput(reason, "--endpoint, --device, --redact", code="secret")
    return Redactor({**known, **secrets}, [*secrets, *redact])


def _collect(model: BaseModel, secrets: dict[str, str], known: dict[str, str]) -> None:
    for name, value in model:
        if isinstance(value, SecretStr):
            secrets[value.get_secret_value()] = "redacted"
        elif isinstance(value, BaseModel):
            _collect(value, secrets, known)
        elif name in _NAMES and isinstance(value, str) and len(value) >= _SHORTEST:
            known[value] = "user"
        elif name in _PLACES and isinstance(value, str):
            known[value] = "192.0.2.254" if _is_address(value) else "host.example"


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _redacted(value: Any, redact: Redactor) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {key: _redacted(below, redact) for key, below in value.items()}
    return [_redacted(below, redact) for below in value] if isinstance(value, list | tuple) else value


def _expected(reading: Reading, redact: Redactor) -> dict[str, Any]:
    found: dict[str, Any] = {"point": reading.series.point}
    if reading.series.instance:
        found["instance"] = redact(reading.series.instance)
    if reading.quality in (Quality.BAD_DEVICE, Quality.BAD_GONE):
        return {**found, "error": redact(reading.text or "")}
    value = redact(reading.text) if reading.text is not None else reading.value
    if isinstance(value, float) and value == int(value):
        value = int(value)
    if reading.quality is not Quality.GOOD:
        found["quality"] = next(name for name, quality in QUALITIES.items() if quality is reading.quality)
    return {**found, "value": value} if value is not None else found
