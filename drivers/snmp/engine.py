"""An SNMP engine as pysnmp has it: the only file that knows pysnmp, loaded by `engines` (decision 0140).

pysnmp reads, writes, authenticates and encrypts messages; sockets and waiting are the caller's. What it would send is given back to him, so
that the response to an inform can wait. Version 3 users stand in its table for one authoritative engine each.
"""

import contextlib
import time
from collections import OrderedDict
from typing import Any, NamedTuple

from pyasn1.codec.ber import encoder
from pyasn1.type import univ
from pysnmp.carrier.base import AbstractTransportDispatcher
from pysnmp.entity import config
from pysnmp.entity.engine import SnmpEngine
from pysnmp.error import PySnmpError
from pysnmp.proto import rfc1902, rfc3411
from pysnmp.proto.api import v1, v2c
from pysnmp.proto.mpmod.rfc3412 import SNMPv3Message
from pysnmp.proto.proxy import rfc2576

from drivers.snmp.engine_state import Identity
from drivers.snmp.traps import Notification
from drivers.snmp.usm import Secrets
from drivers.snmp.values import Raw

_TICK_S = 10.0
"""pysnmp forgets peers after 300 s and unfinished messages after 600 ticks."""
_TICKS_TO_FORGET = 33
_NEVER = 1_000_000_000
_USERS = 512
"""pairs of a user and an engine that keys are kept for: the agents' own, their shelves', their old ones"""
_MOST_VARBINDS = 256
_MOST_ARCS = 128
"""of an OID (RFC 3416, section 4.1)"""
_UPTIME, _TRAP_OID = "1.3.6.1.2.1.1.3.0", "1.3.6.1.6.3.1.1.4.1.0"
_AUTH = {
    "sha": config.USM_AUTH_HMAC96_SHA,
    "sha224": config.USM_AUTH_HMAC128_SHA224,
    "sha256": config.USM_AUTH_HMAC192_SHA256,
    "sha384": config.USM_AUTH_HMAC256_SHA384,
    "sha512": config.USM_AUTH_HMAC384_SHA512,
}
_PRIV = {
    ("aes128", "blumenthal"): config.USM_PRIV_CFB128_AES,
    ("aes128", "cisco"): config.USM_PRIV_CFB128_AES,
    ("aes192", "blumenthal"): config.USM_PRIV_CFB192_AES_BLUMENTHAL,
    ("aes192", "cisco"): config.USM_PRIV_CFB192_AES,
    ("aes256", "blumenthal"): config.USM_PRIV_CFB256_AES_BLUMENTHAL,
    ("aes256", "cisco"): config.USM_PRIV_CFB256_AES,
}
_MODEL = {"1": 0, "2c": 1, "3": 3}
_SECURITY = {"1": 1, "2c": 2, "3": 3}
AUTH_PRIV = 3
"""The security level with digest and encryption (RFC 3411, section 3.4.3)."""
_TYPES = {
    "integer": rfc1902.Integer32,
    "gauge": rfc1902.Gauge32,
    "timeticks": rfc1902.TimeTicks,
    "counter": rfc1902.Counter32,
    "octets": rfc1902.OctetString,
    "ip": rfc1902.IpAddress,
    "oid": rfc1902.ObjectIdentifier,
}


class _Unwanted(Exception):
    """A message that is no notification; says nothing of its bytes."""


class Heard(NamedTuple):
    """A trap or an inform."""

    version: int
    """on the wire: 0 is version 1, 1 is 2c"""
    said: Notification
    name: bytes
    """its community, or its version 3 user"""
    level: int
    key: bytes | None
    """the same for an inform that is sent again; None of a trap"""
    response: bytes | None
    """what acknowledges an inform; not sent yet"""


class Received(NamedTuple):
    """What became of a datagram."""

    heard: Heard | None
    send: list[bytes]
    """what is to be sent back at once: reports"""
    reason: str
    """why nothing was heard, without any of its bytes"""


class Answer(NamedTuple):
    """What a request came to."""

    status: int
    indication: str
    """empty, or why there is no response: the name of pysnmp's error"""


class _Carrier(AbstractTransportDispatcher):  # type: ignore[misc]
    """Keeps what pysnmp sends; has no socket, no task and no clock but the one that it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []

    def send_message(self, outgoingMessage: bytes, transportDomain: Any, transportAddress: Any) -> None:
        """Keep it for who asked."""
        self.sent.append(bytes(outgoingMessage))

    def taken(self) -> list[bytes]:
        """What was sent since the last call."""
        sent, self.sent = self.sent, []
        return sent


class Engine:
    """One pysnmp engine; 80 ms to make, a mebibyte to keep. Nobody but its borrower calls it."""

    def __init__(self) -> None:
        self._snmp = SnmpEngine()
        self._carrier = _Carrier()
        self._snmp.register_transport_dispatcher(self._carrier)
        self._carrier.set_timer_resolution(_TICK_S)
        self._dispatcher = self._snmp.message_dispatcher
        # requests too: those that nobody takes would leave something of them behind in pysnmp
        kinds = (v1.TrapPDU.tagSet, v2c.SNMPv2TrapPDU.tagSet, *rfc3411.CONFIRMED_CLASS_PDUS)
        self._dispatcher.register_context_engine_id(b"", kinds, self._process)
        points = ("rfc2576.prepareDataElements:sm-failure", "rfc3412.prepareDataElements:sm-failure")
        self._snmp.observer.register_observer(self._note, *points)
        self._communities: dict[bytes, str] = {}
        self._names: dict[str, bytes] = {}
        self._users: OrderedDict[tuple[bytes, bytes], Secrets] = OrderedDict()
        self._identity: Identity | None = None
        self._ahead = 0.0
        self._given = 0
        self._heard: Heard | None = None
        self._reason = ""
        self._answer: Answer | None = None

    # ---- who it is, whom it knows ----

    def become(self, identity: Identity) -> None:
        """Be this engine for those who send informs."""
        self._identity = identity
        ours, boots = self._framework("snmpEngineID", "snmpEngineBoots")
        ours.syntax = ours.syntax.clone(identity.id)
        boots.syntax = boots.syntax.clone(identity.boots)
        self._snmp.snmpEngineID = ours.syntax

    def add_community(self, community: bytes) -> None:
        """Know a community of versions 1 and 2c; nothing happens where it is known."""
        if community in self._communities:
            return
        self._given += 1
        index = f"c{self._given}"
        config.add_v1_system(self._snmp, index, rfc1902.OctetString(community))
        self._communities[community] = index
        self._names[index] = community

    def forget_community(self, community: bytes) -> None:
        """Know it no more."""
        index = self._communities.pop(community, None)
        if index is not None:
            del self._names[index]
            config.delete_v1_system(self._snmp, index)

    def add_user(self, user: bytes, engine_id: bytes, secrets: Secrets) -> None:
        """Know a user's keys at an authoritative engine, some 10 ms of work; nothing happens where they are known."""
        known = self._users.get((user, engine_id))
        if known is not None and known.are(secrets):
            self._users.move_to_end((user, engine_id))
            return
        config.add_v3_user(
            self._snmp,
            rfc1902.OctetString(user),
            _AUTH[secrets.auth],
            secrets.auth_master,
            _PRIV[secrets.priv, secrets.expansion],
            secrets.priv_master,
            securityEngineId=engine_id,
            authKeyType=config.USM_KEY_TYPE_MASTER,
            privKeyType=config.USM_KEY_TYPE_MASTER,
        )
        self._users[user, engine_id] = secrets
        self._users.move_to_end((user, engine_id))
        if len(self._users) > _USERS:
            self._delete_user(next(iter(self._users)))

    @property
    def users(self) -> int:
        """How many pairs of a user and an engine it knows keys for."""
        return len(self._users)

    def _delete_user(self, one: tuple[bytes, bytes]) -> None:
        del self._users[one]
        config.delete_v3_user(self._snmp, rfc1902.OctetString(one[0]), one[1])

    def forget(self) -> None:
        """Be as new: no credentials, no peers."""
        for community in list(self._communities):
            self.forget_community(community)
        for one in list(self._users):
            self._delete_user(one)
        for _ in range(_TICKS_TO_FORGET):
            self._ahead += 2 * _TICK_S
            self._tick()
        self._identity = None

    def _framework(self, *names: str) -> Any:
        return self._snmp.get_mib_builder().import_symbols("__SNMP-FRAMEWORK-MIB", *names)

    def _tick(self) -> None:
        self._carrier.handle_timer_tick(time.monotonic() + self._ahead)

    # ---- what comes ----

    def receive(self, message: bytes, addr: Any) -> Received:
        """One datagram of any bytes."""
        self._heard, self._reason = None, ""
        self._tick()
        if self._identity is not None:  # pysnmp counts its time by the wall's clock, which may jump
            (clock,) = self._framework("snmpEngineTime")
            clock.syntax = clock.syntax.clone(int(time.time()) - self._identity.time)
        try:
            self._dispatcher.receive_message(self._snmp, config.SNMP_UDP_DOMAIN, addr[:2], message)
        except Exception as error:  # noqa: BLE001 -- what its decoders stumble over in other people's bytes is TypeError and more
            self._reason = f"pysnmp cannot read it ({type(error).__name__})"
        heard, self._heard = self._heard, None
        return Received(heard, self._carrier.taken(), self._reason or "it is no message that is wanted here")

    def report_engine(self, number: int, addr: Any) -> list[bytes]:
        """What tells the sender of message `number` our engine: the report to a discovery (RFC 3414, section 4)."""
        message = SNMPv3Message()
        message["msgVersion"] = 3
        header = message["msgGlobalData"]
        header["msgID"], header["msgMaxSize"], header["msgFlags"], header["msgSecurityModel"] = number, 65_507, b"\4", 3
        nobody = v2c.GetRequestPDU()
        v2c.apiPDU.set_defaults(nobody)
        scoped = message["msgData"]["plaintext"]
        scoped["contextEngineId"], scoped["contextName"] = b"", b""
        scoped["data"].setComponentByType(nobody.tagSet, nobody)
        security = univ.Sequence()
        for place, one in enumerate((b"", 0, 0, b"", b"", b"")):
            security.setComponentByPosition(place, univ.Integer(one) if one == 0 else univ.OctetString(one))
        message["msgSecurityParameters"] = encoder.encode(security)
        return self.receive(encoder.encode(message), addr).send

    def _note(self, _engine: Any, _point: str, variables: dict[str, Any], _context: Any) -> None:
        self._reason = str(variables["statusInformation"].get("errorIndication", ""))

    def _process(self, *said: Any) -> None:
        """pysnmp calls this for every trap and inform; an error from here would leave something of it behind in pysnmp."""
        try:
            self._heard = self._hear(*said)
        except Exception as error:  # noqa: BLE001 -- as in `receive`
            self._reason = (
                str(error) if isinstance(error, _Unwanted) else f"pysnmp cannot read it ({type(error).__name__})"
            )

    def _hear(
        self, _engine: Any, model: Any, security: Any, name: Any, level: Any, context_engine: Any, context: Any,
        version: Any, pdu: Any, most: Any, reference: Any,
    ) -> Heard:  # fmt: skip
        response = key = None
        told = pdu
        if model == _MODEL["1"]:
            pdu = rfc2576.v1_to_v2(pdu)
        bindings = v2c.apiPDU.get_varbinds(pdu)
        if pdu.tagSet in rfc3411.CONFIRMED_CLASS_PDUS:
            asked = encoder.encode(pdu)
            answer = (v1 if model == _MODEL["1"] else v2c).apiPDU.get_response(told)
            if model != _MODEL["1"]:
                v2c.apiPDU.set_varbinds(answer, bindings)
            self._dispatcher.return_response_pdu(
                self._snmp, model, security, name, level, context_engine, context, version, answer, most, reference, {}
            )
            response = self._carrier.sent.pop()
            if pdu.tagSet != v2c.InformRequestPDU.tagSet:
                raise _Unwanted("it is a request, no notification")
            key = response if model != _MODEL["3"] else asked  # in 2c the number in `asked` is pysnmp's own
        who = bytes(name) if model == _MODEL["3"] else self._names[str(name)]
        return Heard(int(model), _notification(bindings), who, int(level), key, response)

    # ---- what is asked ----

    def ask(self, version: str, name: bytes, addr: Any, oid: str | None, value: Any = None) -> tuple[Any, list[bytes]]:
        """A SET of one OID, or an empty GET for no OID; gives what `give_up` needs and what is to be sent. Raises ValueError."""
        pdu = v2c.GetRequestPDU() if oid is None else v2c.SetRequestPDU()
        v2c.apiPDU.set_defaults(pdu)
        v2c.apiPDU.set_varbinds(pdu, [] if oid is None else [(oid, value)])
        if version == "1":
            pdu = rfc2576.v2_to_v1(pdu)
        self._answer = None
        level = AUTH_PRIV if version == "3" else 1
        security_name = name if version == "3" else self._communities[name].encode()
        try:
            handle = self._dispatcher.send_pdu(
                self._snmp, config.SNMP_UDP_DOMAIN, addr, _MODEL[version], _SECURITY[version],
                rfc1902.OctetString(security_name), level, None, b"", 0 if version == "1" else 1, pdu, True, _NEVER,
                self._take,
            )  # fmt: skip
        except PySnmpError as error:
            raise ValueError(f"pysnmp cannot send it ({type(error).__name__})") from None
        return (handle, _MODEL[version]), self._carrier.taken()

    def give_up(self, handle: Any) -> None:
        """The answer is not waited for any more."""
        with contextlib.suppress(PySnmpError):
            self._dispatcher.release_state_information(self._snmp, *handle)

    def answer(self) -> Answer | None:
        """What the last request came to; None while there is nothing."""
        return self._answer

    def peer(self, addr: Any) -> bytes:
        """The engine that has told itself there; empty where none has."""
        mp = self._snmp.message_processing_subsystems[_MODEL["3"]]
        found = mp.get_peer_engine_info(config.SNMP_UDP_DOMAIN, addr)[0]
        return b"" if found is None else bytes(found)

    def _take(self, *said: Any) -> None:
        pdu, status = said[8], said[9]
        if status is None:
            self._answer = Answer(int(v2c.apiPDU.get_error_status(pdu)), "")
        else:
            self._answer = Answer(0, type(status.get("errorIndication")).__name__)


def asn1(kind: str, value: Any) -> Any:
    """A value of one of pysnmp's types."""
    return _TYPES[kind](value)


def _notification(bindings: Any) -> Notification:
    """What a trap or inform of version 2 says (RFC 3416, section 4.2.6)."""
    if len(bindings) > _MOST_VARBINDS:
        raise _Unwanted("it has too many variable bindings")
    if any(len(one) > _MOST_ARCS for pair in bindings for one in pair if isinstance(one, univ.ObjectIdentifier)):
        raise _Unwanted("an OID of too many arcs")
    said = [(str(oid), _raw(value)) for oid, value in bindings]
    trap = said[1][1] if len(said) > 1 else None
    if [oid for oid, _ in said[:2]] != [_UPTIME, _TRAP_OID] or not isinstance(trap, str):
        raise _Unwanted("it does not begin with sysUpTime.0 and snmpTrapOID.0")
    return Notification(trap, said[2:])


def _raw(value: Any) -> Raw:
    """int of numbers, str of OIDs and IpAddresses, bytes of octets, None of no value: as gufo-snmp gives them."""
    if isinstance(value, rfc1902.IpAddress):
        return ".".join(str(octet) for octet in bytes(value))
    if isinstance(value, univ.Null):
        return None
    if isinstance(value, univ.ObjectIdentifier):
        return str(value)
    if isinstance(value, univ.OctetString):
        return bytes(value)
    return int(value)
