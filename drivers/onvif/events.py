"""From notifications of a pull point to samples. Pure. One notification that is nonsense is a reject and costs its neighbours nothing.

A topic is compared without the prefixes of its names: the prefix is bound in each message and vendors choose it freely.
ONVIF Core Specification, 9.4 (notification messages) and 9.5 (properties: Initialized, Changed, Deleted).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from drivers.onvif.answer import Element, child, children, printable, text_of
from drivers.onvif.settings import Address, Device
from hub.driver import Binding
from hub.model import Micros, Reject, Sample, Scalar

_LONGEST = 500
_YES, _NO = ("true", "1"), ("false", "0")


class Notification(NamedTuple):
    """What happened, where, and what it says."""

    topic: str
    operation: str
    """Initialized, Changed, Deleted, or empty for what is no property"""
    source: Mapping[str, str]
    data: Mapping[str, str]


def topic_names(topic: str) -> tuple[str, ...]:
    """The names of a topic without their prefixes."""
    return tuple(part.rpartition(":")[2] for part in topic.strip().split("/"))


def notifications_of(answer: Element) -> Iterator[Notification | str]:
    """What PullMessagesResponse holds; a sentence in the place of one that cannot be read."""
    for one in children(answer, "NotificationMessage"):
        yield notification_of(one)


def notification_of(one: Element) -> Notification | str:
    """One wsnt:NotificationMessage, or why it is none."""
    topic = text_of(one, "Topic")
    message = child(one, "Message", "Message")
    if not topic or message is None:
        return "a notification without a topic or a message"
    return Notification(
        printable(topic),
        str(message.get("PropertyOperation", "")),
        _items(child(message, "Source")),
        _items(child(message, "Data")),
    )


def _items(element: Element | None) -> dict[str, str]:
    return {
        str(one.get("Name", ""))[:_LONGEST]: str(one.get("Value", ""))[:_LONGEST]
        for one in children(element, "SimpleItem")
    }


def samples_of(
    found: Iterable[Notification | str], bindings: Sequence[Binding], now: Micros, where: str
) -> tuple[list[Sample], list[Reject]]:
    """The samples of all bound points that these notifications speak of, in their order, each later than the one before.

    `now` is when the answer came: a device's own time says nothing of the order in which we learned things, and a point whose time
    ran back would not be judged.
    """
    samples: list[Sample] = []
    rejects: list[Reject] = []
    for note in found:
        if isinstance(note, str):
            rejects.append(Reject(now, where, "onvif-notification", note))
            continue
        for binding in bindings:
            address: Address = binding.address
            if not _speaks_of(note, address, binding.device):
                continue
            raw, error = _value(note, address, binding.kind)
            if raw is None and error is None:
                continue
            if note.operation == "Initialized" and address.initial == "drop":
                continue
            samples.append(Sample(binding.series, now + len(samples), raw, error))
    return samples, rejects


def _speaks_of(note: Notification, address: Address, device: Device) -> bool:
    if address.event is None or topic_names(address.event) != topic_names(note.topic):
        return False
    if device.source is not None and note.source and device.source not in note.source.values():
        return False
    return all(note.source.get(key) == value for key, value in address.source.items())


def _value(note: Notification, address: Address, kind: str) -> tuple[Scalar | None, str | None]:
    """The raw value, or an error; neither where nothing is to be said."""
    if note.operation == "Deleted":
        return None, "the device does not watch this any more (the property was deleted)"
    text = note.data.get(address.item)
    if text is None:
        return None, f"the message has no item {address.item}"
    if address.map is not None:
        raw = address.map.get(text)
        return (raw, None) if raw is not None else (None, f"{printable(text)[:40]!r} is not in the map")
    value = _typed(text, kind if address.equals is None else "")
    if address.equals is not None:
        same = value == str(address.equals) or _typed(text, _kind_of(address.equals)) == address.equals
        return (None if address.only_when_equal and not same else same), None
    if value is None:
        return None, f"{printable(text)[:40]!r} is no {kind}"
    return value, None


def _kind_of(value: Scalar) -> str:
    return type(value).__name__


def _typed(text: str, kind: str) -> Scalar | None:
    """The text as the point's type; None where it is none."""
    if kind == "bool":
        return True if text.lower() in _YES else False if text.lower() in _NO else None
    try:
        if kind == "int":
            return int(text) if len(text) < 20 else None
        if kind == "float":
            return float(text) if len(text) < 40 else None
    except ValueError:
        return None
    return printable(text)
