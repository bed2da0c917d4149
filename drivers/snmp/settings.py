"""What an SNMP agent, device and point are told by people: pydantic models that refuse unknown keys and name them.

Version 3 with authentication and privacy is the rule. Version 2c sends its community in the clear and knows no integrity: it needs
`insecure_transport: true`, so that somebody has decided it.
"""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

_OID = re.compile(r"^\.?\d{1,10}(\.\d{1,10})*$")
_LAST_ARC = 2**32 - 1
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


class SnmpEndpoint(_Model):
    """An SNMP agent."""

    host: str = Field(min_length=1, max_length=253)
    port: int = Field(default=161, ge=1, le=65535)
    version: Literal["2c", "3"] = "3"
    community: SecretStr | None = Field(default=None, min_length=1, max_length=255)
    """2c only"""
    insecure_transport: bool = False
    """2c only, and then it must be true"""
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
    def _credentials_of_the_version(self) -> "SnmpEndpoint":
        if self.version == "2c":
            if self.community is None:
                raise ValueError("community: version 2c needs one")
            if not self.insecure_transport:
                raise ValueError("insecure_transport: version 2c is sent in the clear; say true to accept that")
            if self.user is not None or self.auth_key is not None or self.priv_key is not None:
                raise ValueError("user, auth_key, priv_key: these belong to version 3")
            return self
        if self.community is not None or self.insecure_transport:
            raise ValueError("community, insecure_transport: these belong to version 2c")
        for name in ("user", "auth_key", "priv_key"):
            if getattr(self, name) is None:
                raise ValueError(f"{name}: version 3 needs it (authPriv is the only level)")
        return self

    @property
    def name(self) -> str:
        """How errors name this endpoint."""
        return f"snmp {self.host}:{self.port}"


class SnmpDevice(_Model):
    """One device behind the agent: nothing, or the index of its rows in the agent's tables."""

    index: Arcs | None = None
    """appended to every OID that is `indexed` (an outlet, a battery, a port)"""


class SnmpAddress(_Model):
    """Where a point is. `type` says what the agent must answer with; left out, the profile's point type decides."""

    oid: Oid
    indexed: bool = False
    """the device's index is appended"""
    type: Literal["integer", "gauge", "counter", "timeticks", "truth", "string", "hex", "oid", "ip"] | None = None
    """truth: TruthValue, 1 is true and 2 is false; hex: octets as `00:1b:…`; a string is read as a number where the point is one"""
    encoding: Literal["utf-8", "gb18030", "latin-1"] = "utf-8"
    """of strings"""
