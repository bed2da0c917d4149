"""Version 3 messages that no well-behaved sender makes, put together with pysnmp's types and ciphers."""

import hmac
from typing import Any

from pyasn1.codec.ber import encoder
from pyasn1.type import univ
from pysnmp.entity import config
from pysnmp.proto.api import v2c
from pysnmp.proto.mpmod.rfc3412 import ScopedPDU, SNMPv3Message

from drivers.snmp.usm import DIGESTS, localized_key
from tests.drivers.snmp.agent import AUTH_KEY, PRIV_KEY

_AES = config.PRIV_SERVICES[config.USM_PRIV_CFB128_AES]
KINDS = (v2c.GetRequestPDU, v2c.SetRequestPDU, v2c.SNMPv2TrapPDU, v2c.InformRequestPDU, v2c.ResponsePDU, v2c.ReportPDU)


class Keys:
    """Of the user `sha256` at one engine."""

    def __init__(self, engine: bytes) -> None:
        self.engine = engine
        digest = DIGESTS["sha256"]
        self.auth = localized_key(digest, AUTH_KEY.encode(), engine)
        self.priv = localized_key(digest, PRIV_KEY.encode(), engine)[:16]

    def scoped(self, kind: Any, number: int, trap: str) -> bytes:
        """A scoped PDU that says `trap`."""
        pdu = kind()
        v2c.apiPDU.set_defaults(pdu)
        v2c.apiPDU.set_request_id(pdu, number)
        up, said = (1, 3, 6, 1, 2, 1, 1, 3, 0), (1, 3, 6, 1, 6, 3, 1, 1, 4, 1, 0)
        v2c.apiPDU.set_varbinds(pdu, [(up, v2c.TimeTicks(5)), (said, v2c.ObjectIdentifier(trap))])
        scoped = ScopedPDU()
        scoped["contextEngineId"], scoped["contextName"] = self.engine, b""
        scoped["data"].setComponentByType(pdu.tagSet, pdu)
        made: bytes = encoder.encode(scoped)
        return made

    def sealed(self, number: int, flags: int, boots: int, time: int, user: bytes, scoped: bytes) -> bytes:
        """`scoped` encrypted in a message with the right digest."""
        hidden, salt = _AES.encrypt_data(univ.OctetString(self.priv), (boots, time, None), scoped)
        security = univ.Sequence()
        for place, one in enumerate((self.engine, boots, time, user, bytes(24), bytes(salt))):
            made = univ.Integer(one) if isinstance(one, int) else univ.OctetString(one)
            security.setComponentByPosition(place, made)
        message = SNMPv3Message()
        message["msgVersion"] = 3
        header = message["msgGlobalData"]
        header["msgID"], header["msgMaxSize"], header["msgSecurityModel"] = number, 65_507, 3
        header["msgFlags"] = bytes((flags,))
        message["msgSecurityParameters"] = encoder.encode(security)
        message["msgData"]["encryptedPDU"] = bytes(hidden)
        blank: bytes = encoder.encode(message)
        digest = hmac.digest(self.auth, blank, "sha256")[:24]
        return blank.replace(bytes(24), digest, 1)
