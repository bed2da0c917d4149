"""From a device's answers to values of points: identity, media profiles, clock. Pure; whatever an answer lacks is None or an error with its reason."""

import datetime
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from drivers.onvif.answer import Element, child, children, local, printable, text_of
from hub.model import Scalar

HD_WIDTH, HD_HEIGHT = 1280, 720
"""High definition begins at 1280 × 720 pixels (SMPTE ST 296)."""

_IDENTITY = {
    "manufacturer": "Manufacturer",
    "model": "Model",
    "firmware": "FirmwareVersion",
    "serial": "SerialNumber",
    "hardware": "HardwareId",
}


class NoValueError(Exception):
    """The device answered, and this point has no value in it; says why."""


class MediaProfile(NamedTuple):
    """What a device can stream, of tt:Profile (ONVIF Media Service Specification, 5.2)."""

    token: str
    name: str
    source: str
    encoding: str
    width: int | None
    height: int | None
    fps: float | None
    bitrate: int | None
    """kbit/s at most"""


def services_of(answer: Element) -> dict[str, str]:
    """Addresses by namespace, of GetServicesResponse."""
    found = {text_of(one, "Namespace"): text_of(one, "XAddr") for one in children(answer, "Service")}
    return {name: address for name, address in found.items() if name and address}


def services_of_capabilities(answer: Element, namespaces: Mapping[str, str]) -> dict[str, str]:
    """The same of GetCapabilitiesResponse, which older devices have; `namespaces` by the capability's name."""
    found = {
        namespaces[local(one)]: text_of(one, "XAddr")
        for one in (answer.iter() if answer is not None else ())
        if local(one) in namespaces
    }
    return {name: address for name, address in found.items() if address}


def identity_of(answer: Element, what: str) -> str:
    """One value of GetDeviceInformationResponse; raises NoValueError."""
    text = printable(text_of(answer, _IDENTITY[what]))
    if not text:
        raise NoValueError(f"the device does not tell its {what}")
    return text


def profiles_of(answer: Element) -> list[MediaProfile]:
    """The video profiles of GetProfilesResponse; a size that cannot be read is None."""
    found = []
    for one in children(answer, "Profiles"):
        encoder = child(one, "VideoEncoderConfiguration")
        if encoder is None:
            continue  # sound or metadata
        width, height = (_whole(text_of(encoder, "Resolution", key)) for key in ("Width", "Height"))
        rate = _number(text_of(encoder, "RateControl", "FrameRateLimit"))
        found.append(
            MediaProfile(
                str(one.get("token", "")),
                text_of(one, "Name"),
                text_of(one, "VideoSourceConfiguration", "SourceToken"),
                printable(text_of(encoder, "Encoding")),
                width,
                height,
                rate if rate is not None and rate > 0 else None,  # 0: the device chooses
                _whole(text_of(encoder, "RateControl", "BitrateLimit")),
            )
        )
    return found


def media_value(profiles: Sequence[MediaProfile], what: str, name: str, source: str | None) -> Scalar:
    """One value of one profile: `main` has the most pixels, else its token or name. Raises NoValueError."""
    mine = [one for one in profiles if source is None or one.source == source]
    if what == "profiles":
        return len(mine)
    chosen = mine if name == "main" else [one for one in mine if name in (one.token, one.name)]
    if not chosen:
        raise NoValueError("the device has no such media profile with a video encoder")
    if any(one.width is None or one.height is None for one in chosen):
        raise NoValueError("the size of a media profile cannot be read")
    one = max(chosen, key=lambda profile: (profile.width or 0) * (profile.height or 0))
    if what == "hd":
        return (one.width or 0) >= HD_WIDTH and (one.height or 0) >= HD_HEIGHT
    value: Scalar | None = getattr(one, what)
    if value is None or value == "":
        raise NoValueError(f"the media profile does not say its {what}")
    return value


def draws_time(answer: Element) -> bool:
    """Whether an overlay with the time is among those of GetOSDsResponse (tt:OSDTextConfiguration, Type Time or DateAndTime)."""
    kinds = [text_of(one, "TextString", "Type") for one in children(answer, "OSDs")]
    return any(kind in ("Time", "DateAndTime") for kind in kinds)


def clock_of(answer: Element) -> float:
    """The device's clock in seconds since the epoch, of GetSystemDateAndTimeResponse; whole seconds. Raises NoValueError."""
    utc = child(answer, "SystemDateAndTime", "UTCDateTime")
    parts = [
        _whole(text_of(utc, *path.split("/")))
        for path in ("Date/Year", "Date/Month", "Date/Day", "Time/Hour", "Time/Minute", "Time/Second")
    ]
    try:
        year, month, day, hour, minute, second = (part if part is not None else -1 for part in parts)
        # 60: a leap second, which a datetime does not know
        moment = datetime.datetime(year, month, day, hour, minute, min(second, 59), tzinfo=datetime.UTC)
    except (ValueError, OverflowError):
        raise NoValueError("the device does not tell its time in UTC") from None
    return moment.timestamp()


def clock_offset(device: float, before: float, after: float) -> float:
    """Seconds that the device is ahead, from its clock between our times of asking and of hearing.

    Half of the way counts for each direction, and half a second is added because the device tells whole seconds: right to half a second
    and half the way there and back.
    """
    return round(device + 0.5 - (before + after) / 2, 3)


def moment_of(text: str) -> float | None:
    """Seconds since the epoch of an xs:dateTime; without a zone it is UTC. None where it is none."""
    try:
        moment = datetime.datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=datetime.UTC)
        return moment.timestamp()
    except (ValueError, OverflowError):
        return None


def _whole(text: str) -> int | None:
    number = _number(text)
    return int(number) if number is not None else None


def _number(text: str) -> float | None:
    if len(text) > 12 or not text.isascii():
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 <= number <= 10_000_000 else None  # a NaN is not
