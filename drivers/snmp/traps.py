"""What a notification says about points, by the rules of their addresses. Pure.

A trap can be forged, lost and late: it raises suspicion and has the agent asked; it never clears (reliability.md, section 3).
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from drivers.snmp.settings import SnmpAddress, SnmpDevice, TrapRule
from drivers.snmp.values import Raw, decode, instance_of
from hub.driver import Binding
from hub.model import Micros, Sample, Series


class Notification(NamedTuple):
    """What a trap or an inform says, of version 1 in the words of version 2 (RFC 3584, section 3.1)."""

    trap: str
    """snmpTrapOID"""
    varbinds: Sequence[tuple[str, Raw]]
    """without sysUpTime and snmpTrapOID"""


class Meaning(NamedTuple):
    """What follows from a notification."""

    samples: list[Sample]
    ask: list[Series]
    """points whose state the agent is to be asked for at once"""
    known: bool
    """whether any rule names this trap"""


class Rules:
    """All rules of a link by their trap."""

    def __init__(self, bindings: Sequence[Binding]) -> None:
        self._rules: dict[str, list[tuple[Binding, TrapRule]]] = {}
        for binding in bindings:
            for rule in binding.address.raised_by:
                self._rules.setdefault(_canonical(rule.trap), []).append((binding, rule))
        self.points = [one.series for one in bindings if one.address.raised_by and _can_be_asked(one.address)]
        """those that traps raise and that the agent can be asked for"""

    def apply(self, said: Notification, at: Micros, rows: Mapping[Series, Mapping[str, str]]) -> Meaning:
        """What `said` means; `rows` has the instance of each row of the tables, by index."""
        rules = self._rules.get(_canonical(said.trap), ())
        meaning = Meaning([], [], bool(rules))
        for binding, rule in rules:
            if not all(_is_among(_value_of(said, oid), wanted) for oid, wanted in rule.when.items()):
                continue
            address: SnmpAddress = binding.address
            if _can_be_asked(address):
                meaning.ask.append(binding.series)
            raised = _raised(said, rule, address, binding.kind)
            series = _series(said, rule, binding, rows.get(binding.series))
            if raised is not None and series is not None:
                meaning.samples.append(Sample(series, at, raised))
        return meaning


def _canonical(trap: str) -> str:
    """The trap without a zero before its last arc: as a version 1 trap has none, RFC 3584 puts one in whether the MIB has it or not."""
    above, _, last = trap.rpartition(".")
    return f"{above.removesuffix('.0')}.{last}"


def _can_be_asked(address: SnmpAddress) -> bool:
    return address.oid is not None or address.table is not None or address.reboot


def _raised(said: Notification, rule: TrapRule, address: SnmpAddress, kind: str) -> bool | int | float | str | None:
    if rule.varbind is None:
        return rule.value
    value = decode(_value_of(said, rule.varbind), address, kind).raw
    return value if value is not None and _is_among(value, rule.raises) else None


def _series(said: Notification, rule: TrapRule, binding: Binding, rows: Mapping[str, str] | None) -> Series | None:
    """Which series the trap is about; None where it cannot be told or is another device's."""
    row: str | None = None
    if rule.instance is not None:
        value = _value_of(said, rule.instance)
        row = value.decode("utf-8", "replace") if isinstance(value, bytes) else None if value is None else str(value)
    elif rule.instance_index is not None:
        below = f"{rule.instance_index}."
        row = next((oid[len(below) :] for oid, _ in said.varbinds if oid.startswith(below)), None)
    named = rule.instance is not None or rule.instance_index is not None
    device: SnmpDevice = binding.device
    address: SnmpAddress = binding.address
    if address.indexed and address.table is None:
        return binding.series if named and row is not None and row == device.index else None
    if address.table is not None:
        if row is None or rows is None:
            return None  # the agent tells which row it is
        if address.indexed:
            row = row.removeprefix(f"{device.index}.")
        return binding.series._replace(instance=rows[row]) if row in rows else None
    if not named:
        return binding.series
    return None if not row else binding.series._replace(instance=instance_of(row))


def _value_of(said: Notification, oid: str) -> Raw:
    """The value of the variable binding that is `oid` or the first below it."""
    below = f"{oid}."
    return next((value for name, value in said.varbinds if name == oid or name.startswith(below)), None)


def _is_among(value: Raw | bool | float, wanted: Sequence[bool | int | str]) -> bool:
    if isinstance(value, bytes):
        value = value.rstrip(b"\0").decode("utf-8", "replace")
    return any(value == one for one in wanted)
