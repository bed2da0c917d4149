"""What an SNMP agent, device and point are told by people: pydantic models that refuse unknown keys and name them.

Version 3 with authentication and privacy is the rule. Versions 1 and 2c send their community in the clear and know no integrity: they need
`insecure_transport: true`, so that somebody has decided it.
"""

import ipaddress
import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

_OID = re.compile(r"^\.?\d{1,10}(\.\d{1,10})*$")
_LAST_ARC = 2**32 - 1
MOST_ADDRESSES = 1024
"""of one search: four networks of 256"""
_LONGEST_OID = 128
"""Arcs of an OBJECT IDENTIFIER (RFC 3416, section 4.1)."""


def _arcs(text: str) -> str:
    if _OID.match(text) is None:
        raise ValueError("an OID is numbers and dots, like 1.3.6.1.2.1.33.1.2.4.0")
    arcs = text.removeprefix(".").split(".")
    if len(arcs) > _LONGEST_OID or any(int(arc) > _LAST_ARC for arc in arcs):
        raise ValueError(f"an OID has at most {_LONGEST_OID} arcs of at most {_LAST_ARC}")
    return ".".join(str(int(arc)) for arc in arcs)


def _rooted(text: str) -> str:
    oid = _arcs(text)
    first, _, rest = oid.partition(".")
    if first not in ("0", "1", "2") or not rest or (first != "2" and int(rest.partition(".")[0]) > 39):
        raise ValueError("an OID begins with 0, 1 or 2, then a second arc (at most 39 below 0 and 1)")
    return oid


Oid = Annotated[str, Field(max_length=600), AfterValidator(_rooted)]
Arcs = Annotated[str, Field(max_length=600), AfterValidator(_arcs)]
Key = Annotated[SecretStr, Field(min_length=8, max_length=255)]
"""A password of USM: at least 8 characters (RFC 3414, section 11.2)."""


class _Model(BaseModel):
    # an input's value may be a key: it is never shown in an error
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def _address(text: str) -> str:
    return str(ipaddress.ip_address(text))


class SnmpTraps(_Model):
    """Where traps and informs are heard. All endpoints of a process that name the same host and port share one listener."""

    host: Annotated[str, AfterValidator(_address)] = "0.0.0.0"  # noqa: S104 -- agents send from anywhere; settings name them
    port: int = Field(default=162, ge=1, le=65535)
    community: SecretStr | None = Field(default=None, min_length=1, max_length=255)
    """versions 1 and 2c: of the traps, where it is another one than the endpoint's"""
    sources: Annotated[tuple[Annotated[str, AfterValidator(_address)], ...], Field(max_length=16)] = ()
    """further addresses that the agent sends from, beside the endpoint's own"""
    state: str | None = Field(default=None, min_length=1, max_length=400)
    """folder that keeps the listener's engine id and boots, so that senders of version 3 informs know it again after a restart"""


class SnmpAccess(_Model):
    """How agents are spoken with: version, credentials, patience."""

    port: int = Field(default=161, ge=1, le=65535)
    version: Literal["1", "2c", "3"] = "3"
    community: SecretStr | None = Field(default=None, min_length=1, max_length=255)
    """1 and 2c only"""
    insecure_transport: bool = False
    """1 and 2c only, and then it must be true"""
    user: str | None = Field(default=None, min_length=1, max_length=32)
    """3 only"""
    auth: Literal["sha", "sha224", "sha256", "sha384", "sha512"] = "sha256"
    auth_key: Key | None = None
    priv: Literal["aes128", "aes192", "aes256"] = "aes128"
    priv_key: Key | None = None
    key_expansion: Literal["blumenthal", "cisco"] = "blumenthal"
    """how aes192 and aes256 make their key of a shorter digest; vendors differ"""
    timeout_s: float = Field(default=2.0, ge=0.05, le=30.0)
    retries: int = Field(default=1, ge=0, le=5)
    """how often a request without an answer is sent again: UDP loses packets"""
    max_varbinds: int = Field(default=20, ge=1, le=60)
    """points asked for in one request"""

    @model_validator(mode="after")
    def _credentials_of_the_version(self) -> Self:
        if self.version != "3":
            if self.community is None:
                raise ValueError(f"community: version {self.version} needs one")
            if not self.insecure_transport:
                raise ValueError(
                    f"insecure_transport: version {self.version} is sent in the clear; say true to accept that"
                )
            if self.user is not None or self.auth_key is not None or self.priv_key is not None:
                raise ValueError("user, auth_key, priv_key: these belong to version 3")
            return self
        if self.community is not None or self.insecure_transport:
            raise ValueError("community, insecure_transport: these belong to versions 1 and 2c")
        for name in ("user", "auth_key", "priv_key"):
            if getattr(self, name) is None:
                raise ValueError(f"{name}: version 3 needs it (authPriv is the only level)")
        return self


class SnmpEndpoint(SnmpAccess):
    """An SNMP agent."""

    host: str = Field(min_length=1, max_length=253)
    write_community: SecretStr | None = Field(default=None, min_length=1, max_length=255)
    """1 and 2c only: for writing, where it is another one"""
    traps: SnmpTraps | None = None
    """listen for the agent's traps and informs; left out, it is only asked"""

    @model_validator(mode="after")
    def _communities_of_the_version(self) -> Self:
        trapped = None if self.traps is None else self.traps.community
        if self.version == "3" and (self.write_community, trapped) != (None, None):
            raise ValueError("write_community, traps.community: these belong to versions 1 and 2c")
        return self

    @property
    def name(self) -> str:
        """How errors name this endpoint."""
        return f"snmp {self.host}:{self.port}"


def _networks(text: object) -> object:
    return text.replace(",", " ").split() if isinstance(text, str) else text


def _network(text: str) -> str:
    return str(ipaddress.ip_network(text, strict=False))


class SnmpSearch(SnmpAccess):
    """Where to look for agents, and how fast: only at the addresses of `ranges`, each once."""

    ranges: Annotated[
        tuple[Annotated[str, AfterValidator(_network)], ...], BeforeValidator(_networks), Field(min_length=1)
    ] = Field(description="addresses and networks: 192.0.2.0/28,192.0.2.40")
    per_second: float = Field(default=10.0, gt=0, le=50.0, description="questions a second, at most")
    timeout_s: float = Field(default=1.0, ge=0.05, le=30.0, description="seconds for each answer")

    @model_validator(mode="after")
    def _not_too_many(self) -> Self:
        if sum(ipaddress.ip_network(one).num_addresses for one in self.ranges) > MOST_ADDRESSES:
            raise ValueError(f"ranges: more than {MOST_ADDRESSES} addresses")
        return self

    @property
    def addresses(self) -> list[str]:
        """Every address once, in the order given; without a network's own and its broadcast address."""
        found: dict[str, None] = {}
        for one in self.ranges:
            network = ipaddress.ip_network(one)
            found |= dict.fromkeys(str(address) for address in network.hosts())
        return list(found)

    def settings(self, host: str) -> dict[str, Any]:
        """Of the endpoint there, for a manifest: without secrets, and without this search's patience."""
        own = SnmpAccess.model_fields.keys() & self.model_fields_set
        kept = own - {"community", "auth_key", "priv_key", "timeout_s", "retries"}
        return {"host": host} | {name: getattr(self, name) for name in SnmpAccess.model_fields if name in kept}

    def endpoint(self, host: str) -> SnmpEndpoint:
        """The agent there."""
        own = SnmpAccess.model_fields.keys() & self.model_fields_set
        return SnmpEndpoint.model_validate(
            {"host": host, "timeout_s": self.timeout_s} | {name: getattr(self, name) for name in own}
        )


class SnmpDevice(_Model):
    """One device behind the agent: nothing, or the index of its rows in the agent's tables."""

    index: Arcs | None = None
    """appended to every OID that is `indexed` (an outlet, a battery, a port)"""


class TrapRule(_Model):
    """What one kind of trap or inform says about a point. It may raise; what clears is only ever the agent's answer to a question.

    Every rule asks the agent for the point at once. With `value`, or a `varbind` whose value is among `raises`, it gives a sample first.
    """

    trap: Oid
    """snmpTrapOID; of a version 1 trap as RFC 3584 translates it: enterprise.0.specific"""
    value: bool | int | str | None = None
    """the sample, as the agent would have answered it"""
    varbind: Oid | None = None
    """the variable binding, this OID or below it, whose value is the sample"""
    raises: Annotated[tuple[bool | int | str, ...], Field(max_length=100)] = ()
    """the values of `varbind` that are taken; for another one the agent is only asked"""
    when: Annotated[dict[Oid, tuple[int | str, ...]], Field(max_length=8)] = Field(default_factory=dict)
    """only where these variable bindings, each this OID or below it, have one of these values"""
    instance: Oid | None = None
    """the variable binding whose value is the row"""
    instance_index: Oid | None = None
    """the column of which some variable binding is a row: what follows it in its OID is the row"""

    @model_validator(mode="after")
    def _can_only_raise(self) -> "TrapRule":
        if (self.varbind is None) != (not self.raises):
            raise ValueError("varbind, raises: a trap's value needs the list of those that raise; a trap never clears")
        if self.varbind is not None and self.value is not None:
            raise ValueError("value, varbind: one of them says what the sample is")
        if self.instance is not None and self.instance_index is not None:
            raise ValueError("instance, instance_index: one of them says which row")
        return self


class SnmpAddress(_Model):
    """Where a point is. `type` says what the agent must answer with; left out, the profile's point type decides.

    `oid` is one value, `table` a column whose rows become instances, `reboot` whether the agent began anew. A point with none of them is
    only ever raised by a trap.
    """

    oid: Oid | None = None
    table: Oid | None = None
    """the column, without index: 1.3.6.1.2.1.2.2.1.8 is ifOperStatus"""
    label: Oid | None = None
    """a column of the same table that names the rows (ifName, hrStorageDescr); without it they are called by their index"""
    rows: int = Field(default=128, ge=1, le=2048)
    """rows that the table may have; more of them are an error"""
    reboot: bool = False
    """true at the first reading after the agent began anew, by sysUpTime and snmpEngineBoots, else false"""
    raised_by: Annotated[tuple[TrapRule, ...], Field(max_length=32)] = ()
    indexed: bool = False
    """the device's index is appended"""
    type: (
        Literal["integer", "gauge", "counter", "timeticks", "truth", "string", "quantity", "hex", "oid", "ip"] | None
    ) = None
    """truth: TruthValue, 1 is true and 2 is false; hex: octets as `00:1b:…`; a string is read as a number where the point is one; quantity:
    a string that begins with the number (`28 C/82 F`)"""
    encoding: Literal["utf-8", "gb18030", "latin-1"] = "utf-8"
    """of strings"""

    @model_validator(mode="after")
    def _one_place(self) -> "SnmpAddress":
        places = sum((self.oid is not None, self.table is not None, self.reboot))
        if places > 1:
            raise ValueError("oid, table, reboot: a point is one of them")
        if places == 0 and not self.raised_by:
            raise ValueError("oid, table, reboot, raised_by: one of them must say where the value comes from")
        if self.label is not None and self.table is None:
            raise ValueError("label: only a table has rows to name")
        return self

    @property
    def name(self) -> str:
        """How errors name this point."""
        return self.oid or self.table or ("reboot" if self.reboot else "a trap")
